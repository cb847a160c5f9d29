//! The region's own cards.

use serde_json::{Value, json};

use super::element::Style;
use super::{Content, ContentFault};

/// How a button of a card looks.
pub type ButtonStyle = Style;

/// Makes a content piece by piece. Buttons that follow each other stand in one row, fields in one table.
#[derive(Clone, Default)]
pub struct Card {
    head: Option<Value>,
    body: Vec<Value>,
}

impl Card {
    /// A card with this line on top.
    pub fn new(head: &str) -> Self {
        Self {
            head: Some(json!({"text": head})),
            body: Vec::new(),
        }
    }

    /// A smaller line below the line on top.
    #[must_use]
    pub fn sub_head(mut self, text: &str) -> Self {
        if let Some(Value::Object(head)) = &mut self.head {
            head.insert("sub_head".to_owned(), json!({"text": text}));
        }
        self
    }

    /// A text.
    #[must_use]
    pub fn message(mut self, text: &str) -> Self {
        self.body.push(json!({"type": "message", "text": text}));
        self
    }

    /// A text that leads somewhere.
    #[must_use]
    pub fn link(mut self, text: &str, url: &str) -> Self {
        self.body
            .push(json!({"type": "message", "text": text, "link": url}));
        self
    }

    /// A name with its value.
    #[must_use]
    pub fn field(self, key: &str, value: &str) -> Self {
        self.item("fields", json!({"key": key, "value": value, "editable": false}))
    }

    /// A button.
    #[must_use]
    pub fn button(self, text: &str, value: &str, style: ButtonStyle) -> Self {
        self.item(
            "actions",
            json!({"text": text, "value": value, "style": style.as_str()}),
        )
    }

    /// A preview that leads somewhere.
    #[must_use]
    pub fn attachment(mut self, title: &str, description: &str, url: &str) -> Self {
        self.body.push(json!({
            "type": "attachments",
            "resource_url": url,
            "information": {"title": {"text": title}, "description": {"text": description}},
        }));
        self
    }

    /// The body of another card beside a coloured bar, such as `#0E72ED`, and what stands below it.
    #[must_use]
    pub fn section(mut self, colour: &str, body: &Card, footer: Option<&str>) -> Self {
        let mut section = json!({"type": "section", "sidebar_color": colour, "sections": &body.body});
        if let (Value::Object(section), Some(footer)) = (&mut section, footer) {
            section.insert("footer".to_owned(), footer.into());
        }
        self.body.push(section);
        self
    }

    /// The content, checked like any other.
    pub fn build(self) -> Result<Content, Vec<ContentFault>> {
        let mut content = json!({"body": self.body});
        if let (Value::Object(content), Some(head)) = (&mut content, self.head) {
            content.insert("head".to_owned(), head);
        }
        Content::parse(&content)
    }

    fn item(mut self, kind: &str, item: Value) -> Self {
        let last = self.body.last_mut().filter(|last| last["type"] == kind);
        if let Some(items) = last.and_then(|last| last["items"].as_array_mut()) {
            items.push(item);
        } else {
            self.body.push(json!({"type": kind, "items": [item]}));
        }
        self
    }
}
