//! What a bot's message must be (Chatbot specification; platform: content).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::chat_error::ChatError;

/// The body of a message to send.
#[derive(Deserialize)]
pub(crate) struct SendBody {
    pub robot_jid: String,
    pub to_jid: String,
    pub account_id: String,
    pub content: Map<String, Value>,
    pub user_jid: Option<String>,
    pub visible_to_user: Option<String>,
    pub reply_to: Option<String>,
    #[serde(default)]
    pub is_markdown_support: bool,
}

/// The body of an edit.
#[derive(Deserialize)]
pub(crate) struct EditBody {
    pub robot_jid: String,
    pub account_id: String,
    pub content: Map<String, Value>,
    pub user_jid: Option<String>,
    pub is_markdown_support: Option<bool>,
}

/// The query of a deletion.
#[derive(Deserialize)]
pub(crate) struct DeleteQuery {
    pub robot_jid: String,
    pub account_id: String,
    pub user_jid: Option<String>,
}

/// The body of an unfurl: its content is JSON as a string.
#[derive(Deserialize)]
pub(crate) struct UnfurlBody {
    pub content: String,
}

/// The body of the one answer to an interactive event.
#[derive(Deserialize)]
pub(crate) struct CallbackBody {
    pub content: Map<String, Value>,
    pub visible_to_user: Option<String>,
    pub reply_to: Option<String>,
    #[serde(default)]
    pub is_markdown_support: bool,
}

/// What the elements of known types must have, and of which JSON type. Types that are not here pass as they are.
const ELEMENTS: [(&str, &[(&str, Kind)]); 16] = [
    ("message", &[("text", Kind::Text)]),
    ("actions", &[("items", Kind::List)]),
    ("fields", &[("items", Kind::List)]),
    ("select", &[]),
    ("attachments", &[("information", Kind::Object)]),
    ("section", &[("sections", Kind::List)]),
    ("page", &[("pages", Kind::List)]),
    ("file", &[("title", Kind::Object)]),
    ("progress_bar", &[("value", Kind::Number)]),
    ("timepicker", &[("action_id", Kind::Text)]),
    ("datepicker", &[("action_id", Kind::Text)]),
    (
        "radio_buttons",
        &[("action_id", Kind::Text), ("options", Kind::List)],
    ),
    (
        "checkboxes",
        &[("action_id", Kind::Text), ("options", Kind::List)],
    ),
    ("alert", &[("text", Kind::Text)]),
    ("images", &[("images", Kind::List)]),
    ("plain_text_input", &[("action_id", Kind::Text)]),
];

/// What each item of these lists must have as text.
const ITEMS: [(&str, &str, &[&str]); 5] = [
    ("actions", "items", &["text", "value"]),
    ("fields", "items", &["key", "value"]),
    ("select", "select_items", &["text", "value"]),
    ("radio_buttons", "options", &["text", "value"]),
    ("checkboxes", "options", &["text", "value"]),
];

/// The styles of a button.
const STYLES: [&str; 4] = ["Primary", "Default", "Danger", "Disabled"];

/// Cards hold no more levels of sections.
const LEVELS: usize = 8;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    List,
    Object,
    Number,
}

impl Kind {
    fn fits(self, value: Option<&Value>) -> bool {
        match self {
            Self::Text => value.is_some_and(Value::is_string),
            Self::List => value.is_some_and(Value::is_array),
            Self::Object => value.is_some_and(Value::is_object),
            Self::Number => value.is_some_and(Value::is_number),
        }
    }
}

/// A JSON body of this form, or the one error for all that does not fit.
pub(crate) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ChatError> {
    serde_json::from_slice(bytes).map_err(|_| ChatError::BAD_BODY)
}

/// Refuses a content that is no card.
pub(crate) fn check_content(content: &Map<String, Value>) -> Result<(), ChatError> {
    let head = content.get("head");
    let body = content.get("body");
    let has_one = head.is_some() || body.is_some();
    let head_fits = head.is_none_or(is_head);
    let body_fits = body.is_none_or(|body| is_body(body, LEVELS));
    let settings_fit = content.get("settings").is_none_or(Value::is_object);
    if has_one && head_fits && body_fits && settings_fit {
        Ok(())
    } else {
        Err(ChatError::BAD_BODY)
    }
}

fn is_head(head: &Value) -> bool {
    head.is_object()
        && head.get("text").is_none_or(Value::is_string)
        && head.get("style").is_none_or(Value::is_object)
        && head
            .get("sub_head")
            .is_none_or(|sub| sub.get("text").is_some_and(Value::is_string))
}

fn is_body(body: &Value, levels: usize) -> bool {
    levels > 0
        && body
            .as_array()
            .is_some_and(|elements| elements.iter().all(|element| is_element(element, levels)))
}

fn is_element(element: &Value, levels: usize) -> bool {
    let Some(kind) = element.get("type").and_then(Value::as_str) else {
        return false;
    };
    let needed = ELEMENTS.iter().find(|(name, _)| *name == kind);
    let has_all =
        needed.is_none_or(|(_, members)| members.iter().all(|(name, kind)| kind.fits(element.get(*name))));
    let items_fit = ITEMS
        .iter()
        .filter(|(name, _, _)| *name == kind)
        .all(|(_, list, members)| {
            element.get(*list).is_none_or(|items| {
                let each = |item: &Value| members.iter().all(|name| item[*name].is_string());
                items.as_array().is_some_and(|items| items.iter().all(each))
            })
        });
    let own = match kind {
        "actions" => items(element, "items").all(|item| {
            item.get("style")
                .is_none_or(|style| style.as_str().is_some_and(|style| STYLES.contains(&style)))
        }),
        "select" => element.get("select_items").is_some() != element.get("static_source").is_some(),
        "section" => is_body(&element["sections"], levels - 1),
        "page" => items(element, "pages").all(|page| is_body(&page["body"], levels - 1)),
        _ => true,
    };
    has_all && items_fit && own
}

fn items<'a>(element: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    element.get(list).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accepted(content: &Value) -> bool {
        check_content(content.as_object().unwrap()).is_ok()
    }

    #[test]
    fn cards_of_every_known_and_of_unknown_elements_pass() {
        for element in [
            json!({ "type": "message", "text": "hello", "link": "https://a.example" }),
            json!({ "type": "actions", "items": [{ "text": "Go", "value": "go", "style": "Primary" }] }),
            json!({ "type": "fields", "items": [{ "key": "a", "value": "b", "editable": true }] }),
            json!({ "type": "select", "text": "Pick", "static_source": "members" }),
            json!({ "type": "select", "text": "Pick", "select_items": [{ "text": "A", "value": "a" }] }),
            json!({ "type": "section", "sections": [{ "type": "message", "text": "in" }], "footer": "f" }),
            json!({ "type": "progress_bar", "value": 40 }),
            json!({ "type": "hologram", "anything": 1 }),
        ] {
            assert!(accepted(&json!({ "body": [element] })), "{element}");
        }
        assert!(accepted(
            &json!({ "head": { "text": "h", "sub_head": { "text": "s" } } })
        ));
    }

    #[test]
    fn what_is_no_card_is_refused() {
        for content in [
            json!({}),
            json!({ "head": "text" }),
            json!({ "head": { "text": 1 } }),
            json!({ "body": {} }),
            json!({ "body": [{ "text": "no type" }] }),
            json!({ "body": [{ "type": "message" }] }),
            json!({ "body": [{ "type": "actions", "items": [{ "text": "Go" }] }] }),
            json!({ "body": [{ "type": "actions", "items": [{ "text": "Go", "value": "g", "style": "Loud" }] }] }),
            json!({ "body": [{ "type": "select", "text": "neither" }] }),
            json!({ "body": [{ "type": "section", "sections": [{ "type": "fields" }] }] }),
        ] {
            assert!(!accepted(&content), "{content}");
        }
        let deep = (0..20).fold(
            json!({ "type": "divider" }),
            |inner, _| json!({ "type": "section", "sections": [inner] }),
        );
        assert!(!accepted(&json!({ "body": [deep] })));
    }
}
