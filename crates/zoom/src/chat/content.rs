//! What a message shows: `content{settings?, head{text, style, sub_head}, body[]}` (Zoom: Send, edit, and delete messages).
//!
//! The six kinds of element that Zoom's guide describes are typed. All others, also those that Zoom will invent, pass as
//! they are, and so does every member that is not known here. What is checked is what makes Zoom refuse a message or what
//! must never be sent; each limit says where it is from and how sure it is.

mod card;
mod element;
mod fault;
mod read;
mod rules;

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use read::Reader;

pub use card::{ButtonStyle, Card};
pub use element::{
    Actions, Attachments, Button, Choice, Element, Field, Fields, Message, Section, Select, Style,
};
pub use fault::{ContentFault, Fault};
pub use rules::limits;

/// Members of an object that are passed on unread.
pub type Members = Map<String, Value>;

/// A checked content. Its texts are personal data: `Debug` shows none of them.
#[derive(Clone, PartialEq)]
pub struct Content {
    /// The line on top.
    pub head: Option<Head>,
    /// What is below it, in order.
    pub body: Vec<Element>,
    /// `settings` and whatever else stands beside head and body.
    pub rest: Members,
}

/// The line on top of a message.
#[derive(Clone, PartialEq)]
pub struct Head {
    /// The line.
    pub text: String,
    /// A smaller line below it.
    pub sub_head: Option<String>,
    /// The members of `sub_head` besides its text.
    pub sub_head_rest: Members,
    /// `style` and whatever else there is.
    pub rest: Members,
}

impl Content {
    /// Reads and checks a content. Every fault is given, not only the first.
    pub fn parse(value: &Value) -> Result<Self, Vec<ContentFault>> {
        let mut faults = Vec::new();
        rules::check(value, &mut faults);
        // What is too deep to be walked is not taken apart either.
        if faults
            .iter()
            .any(|fault| matches!(fault.fault, Fault::TooDeep { .. }))
        {
            return Err(faults);
        }
        let content = read_content(value, &mut faults);
        match content {
            Some(content) if faults.is_empty() => Ok(content),
            _ => Err(faults),
        }
    }

    /// As Zoom wants it.
    pub fn to_value(&self) -> Value {
        let mut members = self.rest.clone();
        if let Some(head) = &self.head {
            members.insert("head".to_owned(), head.to_value());
        }
        if !self.body.is_empty() {
            members.insert(
                "body".to_owned(),
                self.body.iter().map(Element::to_value).collect(),
            );
        }
        Value::Object(members)
    }

    /// As JSON text, which is how an unfurl carries it.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }
}

impl Head {
    fn to_value(&self) -> Value {
        let mut members = self.rest.clone();
        members.insert("text".to_owned(), self.text.clone().into());
        if let Some(text) = &self.sub_head {
            let mut sub_head = self.sub_head_rest.clone();
            sub_head.insert("text".to_owned(), text.clone().into());
            members.insert("sub_head".to_owned(), sub_head.into());
        }
        Value::Object(members)
    }
}

fn read_content(value: &Value, faults: &mut Vec<ContentFault>) -> Option<Content> {
    let mut reader = Reader::of("content", value, faults)?;
    let head = reader.optional("head").map(|head| read_head(&head, &mut reader));
    let body = reader
        .list("body", limits::BODY_ELEMENTS)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter_map(|(index, element)| {
            let path = format!("{}[{index}]", reader.path_of("body"));
            element::read(&path, element, reader.faults(), 0)
        })
        .collect::<Vec<_>>();
    let has_body = value
        .get("body")
        .and_then(Value::as_array)
        .is_some_and(|body| !body.is_empty());
    if head.is_none() && !has_body && reader.faults().is_empty() {
        reader.fault("", Fault::Empty);
    }
    Some(Content {
        head: head.flatten(),
        body,
        rest: reader.rest(),
    })
}

fn read_head(value: &Value, parent: &mut Reader<'_>) -> Option<Head> {
    let path = parent.path_of("head");
    let mut reader = Reader::of(&path, value, parent.faults())?;
    let text = reader.text("text");
    let mut sub_head_rest = Members::new();
    let sub_head = reader.optional("sub_head").and_then(|value| {
        let path = reader.path_of("sub_head");
        let mut reader = Reader::of(&path, &value, reader.faults())?;
        let text = reader.text("text");
        sub_head_rest = reader.rest();
        text
    });
    Some(Head {
        text: text?,
        sub_head,
        sub_head_rest,
        rest: reader.rest(),
    })
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("head", &self.head.is_some())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
