//! The elements of a body (Zoom: Send, edit, and delete messages).

use serde_json::Value;

use super::fault::{ContentFault, Fault};
use super::read::Reader;
use super::{Members, limits};

/// One element of a body.
#[derive(Clone, PartialEq)]
pub enum Element {
    /// A text.
    Message(Message),
    /// Names with values.
    Fields(Fields),
    /// Buttons.
    Actions(Actions),
    /// A list to choose from.
    Select(Select),
    /// A preview with a link.
    Attachments(Attachments),
    /// Elements beside a coloured bar.
    Section(Section),
    /// An element of another kind (`file`, `divider`, `progress_bar`, `timepicker`, `datepicker`, `radio_buttons`,
    /// `checkboxes`, `alert`, `images`, `plain_text_input`, `video`, `page`, or one that is not known), as it is.
    Other(Members),
}

/// `message`
#[derive(Clone, PartialEq)]
pub struct Message {
    /// The text.
    pub text: String,
    /// Whether the person may change it.
    pub editable: Option<bool>,
    /// `link`, `style` and whatever else there is.
    pub rest: Members,
}

/// `fields`
#[derive(Clone, PartialEq)]
pub struct Fields {
    /// The fields, in order.
    pub items: Vec<Field>,
    /// Whatever else there is.
    pub rest: Members,
}

/// A name with its value.
#[derive(Clone, PartialEq)]
pub struct Field {
    /// The name.
    pub key: String,
    /// The value; empty where it is yet to be filled in.
    pub value: String,
    /// Whether the person may change it.
    pub editable: Option<bool>,
    /// `style`, `short` and whatever else there is.
    pub rest: Members,
}

/// `actions`
#[derive(Clone, PartialEq)]
pub struct Actions {
    /// The buttons, in order.
    pub items: Vec<Button>,
    /// Whatever else there is.
    pub rest: Members,
}

/// A button.
#[derive(Clone, PartialEq)]
pub struct Button {
    /// What stands on it.
    pub text: String,
    /// What comes back when it is pressed.
    pub value: String,
    /// How it looks.
    pub style: Option<Style>,
    /// Whatever else there is.
    pub rest: Members,
}

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// What is meant to be pressed.
    Primary,
    /// Like any other.
    Default,
    /// What destroys.
    Danger,
    /// It cannot be pressed.
    Disabled,
}

impl Style {
    const WORDS: &'static [&'static str] = &["Primary", "Default", "Danger", "Disabled"];

    /// Zoom's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "Primary",
            Self::Default => "Default",
            Self::Danger => "Danger",
            Self::Disabled => "Disabled",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        [Self::Primary, Self::Default, Self::Danger, Self::Disabled]
            .into_iter()
            .find(|style| style.as_str() == text)
    }
}

/// `select`
#[derive(Clone, PartialEq)]
pub struct Select {
    /// What is asked.
    pub text: Option<String>,
    /// The choices, where they are the bot's own.
    pub items: Vec<Choice>,
    /// `static_source`, `selected_item` and whatever else there is.
    pub rest: Members,
}

/// A choice of a `select`.
#[derive(Clone, PartialEq)]
pub struct Choice {
    /// What the person reads.
    pub text: String,
    /// What comes back when it is chosen.
    pub value: String,
    /// Whatever else there is.
    pub rest: Members,
}

/// `attachments`: `resource_url`, `img_url`, `information{title, description}`.
#[derive(Clone, PartialEq)]
pub struct Attachments {
    /// All of it.
    pub rest: Members,
}

/// `section`
#[derive(Clone, PartialEq)]
pub struct Section {
    /// The elements, in order.
    pub sections: Vec<Element>,
    /// What stands below.
    pub footer: Option<String>,
    /// `sidebar_color`, `footer_icon`, `ts` and whatever else there is.
    pub rest: Members,
}

/// The sources of a `select` that Zoom fills in itself.
const STATIC_SOURCES: &[&str] = &["members", "channels"];

/// Reads an element; `depth` is the number of sections that it lies in.
pub(super) fn read(
    path: &str,
    value: &Value,
    faults: &mut Vec<ContentFault>,
    depth: usize,
) -> Option<Element> {
    let mut reader = Reader::of(path, value, faults)?;
    let kind = reader.text("type")?;
    match kind.as_str() {
        "message" => Some(Element::Message(Message {
            editable: reader.flag("editable"),
            text: reader.text("text")?,
            rest: reader.rest(),
        })),
        "fields" => Some(Element::Fields(Fields {
            items: reader.items("items", limits::ITEMS, field),
            rest: reader.rest(),
        })),
        "actions" => Some(Element::Actions(Actions {
            items: reader.items("items", limits::BUTTONS, button),
            rest: reader.rest(),
        })),
        "select" => Some(select(&mut reader)),
        "attachments" => Some(attachments(&mut reader)),
        "section" => section(&mut reader, depth),
        _ => {
            let mut rest = reader.rest();
            rest.insert("type".to_owned(), kind.into());
            Some(Element::Other(rest))
        }
    }
}

fn field(reader: &mut Reader<'_>) -> Option<Field> {
    let (key, value, editable) = (
        reader.text("key"),
        reader.value_text("value"),
        reader.flag("editable"),
    );
    Some(Field {
        key: key?,
        value: value?,
        editable,
        rest: reader.rest(),
    })
}

fn button(reader: &mut Reader<'_>) -> Option<Button> {
    let (text, value) = (reader.text("text"), reader.text("value"));
    let style = match reader.optional_text("style") {
        Some(word) => {
            let style = Style::from_text(&word);
            if style.is_none() {
                reader.fault("style", Fault::NotOneOf(Style::WORDS));
            }
            style
        }
        None => None,
    };
    Some(Button {
        text: text?,
        value: value?,
        style,
        rest: reader.rest(),
    })
}

fn select(reader: &mut Reader<'_>) -> Element {
    const CHOICES: &[&str] = &["select_items", "group_items", "static_source"];
    if !CHOICES.iter().any(|name| reader.has(name)) {
        reader.fault("", Fault::NoneOf(CHOICES));
    }
    let text = reader.optional_text("text");
    let items = if reader.has("select_items") {
        reader.items("select_items", limits::ITEMS, choice)
    } else {
        Vec::new()
    };
    let source = reader.optional_text("static_source");
    if source
        .as_deref()
        .is_some_and(|word| !STATIC_SOURCES.contains(&word))
    {
        reader.fault("static_source", Fault::NotOneOf(STATIC_SOURCES));
    }
    let mut rest = reader.rest();
    if let Some(source) = source {
        rest.insert("static_source".to_owned(), source.into());
    }
    Element::Select(Select { text, items, rest })
}

fn choice(reader: &mut Reader<'_>) -> Option<Choice> {
    let (text, value) = (reader.text("text"), reader.text("value"));
    Some(Choice {
        text: text?,
        value: value?,
        rest: reader.rest(),
    })
}

fn attachments(reader: &mut Reader<'_>) -> Element {
    const LINKS: &[&str] = &["resource_url", "img_url"];
    if !LINKS.iter().any(|name| reader.has(name)) {
        reader.fault("", Fault::NoneOf(LINKS));
    }
    for name in LINKS {
        if let Some(url) = reader.optional_text(name) {
            reader.put_back(name, url.into());
        }
    }
    if let Some(information) = reader.optional("information") {
        let path = reader.path_of("information");
        let _ = Reader::of(&path, &information, reader.faults());
        reader.put_back("information", information);
    }
    Element::Attachments(Attachments { rest: reader.rest() })
}

fn section(reader: &mut Reader<'_>, depth: usize) -> Option<Element> {
    if depth >= limits::SECTIONS {
        reader.fault(
            "",
            Fault::TooDeep {
                levels: limits::SECTIONS,
            },
        );
        return None;
    }
    if !reader.has("sections") {
        reader.fault("sections", Fault::Missing);
    }
    let path = reader.path_of("sections");
    let sections = reader
        .list("sections", limits::BODY_ELEMENTS)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter_map(|(index, element)| read(&format!("{path}[{index}]"), element, reader.faults(), depth + 1))
        .collect();
    Some(Element::Section(Section {
        sections,
        footer: reader.optional_text("footer"),
        rest: reader.rest(),
    }))
}

impl Element {
    /// As Zoom wants it.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Message(message) => {
                let mut members = typed("message", &message.rest);
                members.insert("text".to_owned(), message.text.clone().into());
                put(&mut members, "editable", message.editable);
                members.into()
            }
            Self::Fields(fields) => {
                let mut members = typed("fields", &fields.rest);
                let items = fields.items.iter().map(|field| {
                    let mut members = field.rest.clone();
                    members.insert("key".to_owned(), field.key.clone().into());
                    members.insert("value".to_owned(), field.value.clone().into());
                    put(&mut members, "editable", field.editable);
                    members
                });
                members.insert("items".to_owned(), items.collect());
                members.into()
            }
            Self::Actions(actions) => {
                let mut members = typed("actions", &actions.rest);
                let items = actions.items.iter().map(|button| {
                    let mut members = button.rest.clone();
                    members.insert("text".to_owned(), button.text.clone().into());
                    members.insert("value".to_owned(), button.value.clone().into());
                    put(&mut members, "style", button.style.map(Style::as_str));
                    members
                });
                members.insert("items".to_owned(), items.collect());
                members.into()
            }
            Self::Select(select) => {
                let mut members = typed("select", &select.rest);
                put(&mut members, "text", select.text.clone());
                if !select.items.is_empty() {
                    let items = select.items.iter().map(|choice| {
                        let mut members = choice.rest.clone();
                        members.insert("text".to_owned(), choice.text.clone().into());
                        members.insert("value".to_owned(), choice.value.clone().into());
                        members
                    });
                    members.insert("select_items".to_owned(), items.collect());
                }
                members.into()
            }
            Self::Attachments(attachments) => typed("attachments", &attachments.rest).into(),
            Self::Section(section) => {
                let mut members = typed("section", &section.rest);
                let sections = section.sections.iter().map(Self::to_value);
                members.insert("sections".to_owned(), sections.collect());
                put(&mut members, "footer", section.footer.clone());
                members.into()
            }
            Self::Other(members) => members.clone().into(),
        }
    }
}

fn typed(kind: &str, rest: &Members) -> Members {
    let mut members = rest.clone();
    members.insert("type".to_owned(), kind.into());
    members
}

fn put<T: Into<Value>>(members: &mut Members, name: &str, value: Option<T>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.into());
    }
}
