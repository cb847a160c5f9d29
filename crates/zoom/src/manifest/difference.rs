//! What differs between two manifests, for people and for exit codes.

use std::fmt;

use serde_json::Value;

use super::overlay::{keys_of, label};
use super::redact::{redacted, redacted_member};

/// One difference. It shows no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where, such as `oauth_information.scopes[imchat:bot].optional`.
    pub path: String,
    /// What.
    pub kind: ChangeKind,
}

/// What happens to a member.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind {
    /// It is new.
    Added(Value),
    /// It goes.
    Removed(Value),
    /// It gets another value.
    Replaced(Value, Value),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.kind {
            ChangeKind::Added(new) => write!(f, "+ {path}: {new}"),
            ChangeKind::Removed(old) => write!(f, "- {path}: {old}"),
            ChangeKind::Replaced(old, new) => write!(f, "~ {path}: {old} -> {new}"),
        }
    }
}

/// What it takes to come from one to the other. Zoom's export leaves out what is empty or off, so empty, off and missing
/// are the same; the order of lists is Zoom's own, so it does not count where elements can be told apart.
#[must_use]
pub fn differences(from: &Value, to: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&mut changes, "", "", from, to);
    changes
}

/// What is there, is not empty, and is nothing that we ask for: paths and values that an update leaves as they are.
#[must_use]
pub fn kept(live: &Value, wanted: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&mut changes, "", "", wanted, live);
    changes.retain(|change| matches!(change.kind, ChangeKind::Added(_)));
    changes
}

fn compare(changes: &mut Vec<Change>, path: &str, name: &str, from: &Value, to: &Value) {
    match (from, to) {
        _ if is_empty(from) && is_empty(to) => {}
        (Value::Object(old), Value::Object(new)) => {
            let only_new = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(only_new) {
                let place = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let side =
                    |side: &serde_json::Map<String, Value>| side.get(name).cloned().unwrap_or_default();
                compare(changes, &place, name, &side(old), &side(new));
            }
        }
        (Value::Array(old), Value::Array(new)) if is_list_of(name, old) && is_list_of(name, new) => {
            elements(changes, path, name, old, new);
        }
        _ if from == to => {}
        _ => changes.push(Change {
            path: path.to_owned(),
            kind: match (is_empty(from), is_empty(to)) {
                (true, _) => ChangeKind::Added(redacted_member(name, to)),
                (_, true) => ChangeKind::Removed(redacted_member(name, from)),
                _ => ChangeKind::Replaced(redacted_member(name, from), redacted_member(name, to)),
            },
        }),
    }
}

/// Lists whose elements can be told apart: texts, and objects with a key.
fn is_list_of(name: &str, list: &[Value]) -> bool {
    list.iter().all(Value::is_string) || (list.iter().all(Value::is_object) && !keys_of(name).is_empty())
}

fn elements(changes: &mut Vec<Change>, path: &str, name: &str, old: &[Value], new: &[Value]) {
    let place = |index, element: &Value| format!("{path}[{}]", label(name, index, element));
    // Zoom tolerates duplicates: each element is the partner of one other at most.
    let mut free: Vec<(usize, &Value)> = new.iter().enumerate().collect();
    for (index, element) in old.iter().enumerate() {
        match take_partner(name, &mut free, element) {
            Some(partner) => compare(changes, &place(index, element), "", element, partner),
            None => changes.push(Change {
                path: place(index, element),
                kind: ChangeKind::Removed(redacted(element)),
            }),
        }
    }
    for (index, element) in free {
        changes.push(Change {
            path: place(index, element),
            kind: ChangeKind::Added(redacted(element)),
        });
    }
}

fn take_partner<'a>(list: &str, free: &mut Vec<(usize, &'a Value)>, element: &Value) -> Option<&'a Value> {
    let at = if element.is_string() {
        free.iter().position(|(_, other)| *other == element)
    } else {
        keys_of(list).iter().find_map(|key| {
            let own = element.get(key).filter(|value| !is_empty(value))?;
            free.iter().position(|(_, other)| other.get(key) == Some(own))
        })
    }?;
    Some(free.remove(at).1)
}

/// Nothing, off, or made of nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        _ => false,
    }
}

/// The same texts in any order.
pub(super) fn is_same_set(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len()
        && one.iter().all(|it| it.is_string() && other.contains(it))
        && other.iter().all(|it| one.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(from: &Value, to: &Value) -> Vec<String> {
        differences(from, to).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn differences_say_what_and_where() {
        let from = json!({ "oauth_information": {
            "strict_mode": false, "usage": "USER_OPERATION", "oauth_allow_list": ["https://a.example/", "https://b.example/"],
            "scopes": [{ "scope": "a:b:c", "optional": true }, { "scope": "gone:b:c", "optional": true }],
        }});
        let to = json!({ "oauth_information": {
            "strict_mode": true, "usage": "ADMIN_MANAGEMENT", "oauth_allow_list": ["https://b.example/", "https://c.example/"],
            "scopes": [{ "scope": "new:b:c" }, { "scope": "a:b:c" }],
        }});
        assert_eq!(
            told(&from, &to),
            [
                "- oauth_information.oauth_allow_list[https://a.example/]: \"https://a.example/\"",
                "+ oauth_information.oauth_allow_list[https://c.example/]: \"https://c.example/\"",
                "- oauth_information.scopes[a:b:c].optional: true",
                "- oauth_information.scopes[gone:b:c]: {\"optional\":true,\"scope\":\"gone:b:c\"}",
                "+ oauth_information.scopes[new:b:c]: {\"scope\":\"new:b:c\"}",
                "+ oauth_information.strict_mode: true",
                "~ oauth_information.usage: \"USER_OPERATION\" -> \"ADMIN_MANAGEMENT\"",
            ]
        );
    }

    #[test]
    fn empty_off_and_missing_are_one_and_order_does_not_count() {
        let from = json!({ "a": "", "b": { "c": false, "d": [] }, "products": ["X", "Y"] });
        assert_eq!(
            told(&from, &json!({ "products": ["Y", "X"], "e": null })),
            [""; 0]
        );
    }

    #[test]
    fn the_second_of_the_same_is_one_too_many() {
        let scope = json!({ "scope": "a:b:c" });
        let from = json!({ "scopes": [scope, scope] });
        assert_eq!(
            told(&from, &json!({ "scopes": [scope] })),
            ["- scopes[a:b:c]: {\"scope\":\"a:b:c\"}"]
        );
    }

    #[test]
    fn no_difference_shows_a_secret() {
        let from = json!({ "events": [{ "subscription_id": "s", "h": { "password": "PLANTED1", "username": "u" } }] });
        let to = json!({ "events": [{ "subscription_id": "s", "h": { "password": "PLANTED2", "username": "u" } }] });
        assert_eq!(
            told(&from, &to),
            ["~ events[s].h.password: \"(secret)\" -> \"(secret)\""]
        );
        assert!(!told(&json!({}), &to).join("").contains("PLANTED"));
        assert!(!told(&from, &json!({})).join("").contains("PLANTED"));
    }

    #[test]
    fn what_is_kept_is_what_nobody_asked_for() {
        let live = json!({ "a": 1, "b": { "c": 2, "d": "" }, "e": false });
        let kept: Vec<_> = kept(&live, &json!({ "b": { "x": 1 } }))
            .into_iter()
            .map(|it| it.path)
            .collect();
        assert_eq!(kept, ["b.c", "a"]);
    }

    fn manifest() -> impl Strategy<Value = Value> {
        let scope = prop::sample::select(vec!["a:b:c", "d:e:f", "g:h:i"]);
        let scope = (scope, any::<bool>(), any::<bool>()).prop_map(|(scope, optional, unknown)| {
            let mut it = json!({ "scope": scope, "optional": optional });
            if unknown {
                it["unknown"] = json!("u");
            }
            it
        });
        let texts = prop::collection::vec(prop::sample::select(vec!["x", "y", "z", ""]), 0..3);
        (prop::collection::vec(scope, 0..4), texts, any::<Option<bool>>()).prop_map(|(scopes, texts, flag)| {
            json!({ "oauth_information": { "scopes": scopes, "oauth_allow_list": texts, "strict_mode": flag } })
        })
    }

    proptest! {
        #[test]
        fn a_manifest_does_not_differ_from_itself_and_laid_over_twice_is_laid_over_once(
            live in manifest(), mut wanted in manifest(),
        ) {
            let mut seen = Vec::new();
            if let Some(scopes) = wanted["oauth_information"]["scopes"].as_array_mut() {
                scopes.retain(|it| !seen.contains(&it["scope"]) && { seen.push(it["scope"].clone()); true });
            }
            prop_assert_eq!(told(&live, &live), [""; 0]);
            let laid = super::super::overlay(&live, &wanted);
            prop_assert_eq!(told(&laid, &super::super::overlay(&laid, &wanted)), [""; 0]);
        }
    }
}
