//! What is wanted, laid over what is there.

use serde_json::{Map, Value};

use super::difference::{is_empty, is_same_set};

/// The manifest to put: what is wanted where something is wanted, and what is there everywhere else. A list that is wanted
/// is ours as a whole, but the elements that both have keep the members that we do not know.
#[must_use]
pub fn overlay(live: &Value, wanted: &Value) -> Value {
    lay("", live, wanted)
}

fn lay(name: &str, live: &Value, wanted: &Value) -> Value {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => Value::Object(lay_object(live, wanted)),
        (Value::Array(live), Value::Array(wanted)) if wanted.iter().any(Value::is_object) => wanted
            .iter()
            .enumerate()
            .map(|(index, element)| match partner(name, live, index, element) {
                Some(partner) => lay_element(name, partner, element),
                None => element.clone(),
            })
            .collect(),
        (Value::Array(theirs), Value::Array(ours)) if is_same_set(theirs, ours) => live.clone(),
        _ if is_empty(live) && is_empty(wanted) => live.clone(),
        _ => wanted.clone(),
    }
}

fn lay_object(live: &Map<String, Value>, wanted: &Map<String, Value>) -> Map<String, Value> {
    let mut laid = live.clone();
    for (name, value) in wanted {
        match live.get(name) {
            Some(there) => laid.insert(name.clone(), lay(name, there, value)),
            None => laid.insert(name.clone(), value.clone()),
        };
    }
    laid
}

fn lay_element(list: &str, live: &Value, wanted: &Value) -> Value {
    let mut laid = lay(list, live, wanted);
    // A subscription that is the same by name keeps the id that Zoom has for it.
    let theirs = live.get("subscription_id").filter(|id| !is_empty(id));
    if list == "events"
        && let (Some(id), Some(laid)) = (theirs, laid.as_object_mut())
    {
        laid.insert("subscription_id".to_owned(), id.clone());
    }
    laid
}

/// The element of the other list that is the same thing.
fn partner<'a>(list: &str, others: &'a [Value], index: usize, element: &Value) -> Option<&'a Value> {
    let keys = keys_of(list);
    if keys.is_empty() {
        return others.get(index);
    }
    keys.iter().find_map(|key| {
        let own = element.get(key).filter(|value| !is_empty(value))?;
        others.iter().find(|other| other.get(key) == Some(own))
    })
}

/// What an element of a list is called: the first of its keys that it has, or its place.
pub(super) fn label(list: &str, index: usize, element: &Value) -> String {
    if let Value::String(text) = element {
        return text.clone();
    }
    keys_of(list)
        .iter()
        .find_map(|key| element.get(key).and_then(Value::as_str))
        .map_or_else(|| index.to_string(), str::to_owned)
}

/// By which members the elements of a list are told apart, best first; none where only their place tells.
pub(super) fn keys_of(list: &str) -> &'static [&'static str] {
    match list {
        "scopes" => &["scope"],
        "domain_allow_list" | "sdk_domain_allow_list" | "trust_domain_list" => &["domain"],
        "events" => &["subscription_id", "subscription_name"],
        "shortcuts" => &["shortcut_id", "action_id"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wanted_wins_and_what_nobody_asked_for_stays() {
        let live = json!({
            "display_information": { "display_name": "Old", "icon": "i" },
            "features": { "plugin_sdk": { "x": 1 }, "products": ["B", "A"] }
        });
        let wanted = json!({
            "display_information": { "display_name": "New", "description": "d" },
            "features": { "products": ["A", "B"] }
        });
        assert_eq!(
            overlay(&live, &wanted),
            json!({
                "display_information": { "display_name": "New", "icon": "i", "description": "d" },
                "features": { "plugin_sdk": { "x": 1 }, "products": ["B", "A"] }
            })
        );
    }

    #[test]
    fn a_wanted_list_is_ours_and_its_elements_keep_what_is_unknown() {
        let live = json!({ "scopes": [
            { "scope": "a:b:c", "optional": true, "reason": "r" }, { "scope": "gone:b:c", "optional": false },
        ]});
        let wanted = json!({ "scopes": [
            { "scope": "new:b:c", "optional": false }, { "scope": "a:b:c", "optional": false },
        ]});
        assert_eq!(
            overlay(&live, &wanted),
            json!({ "scopes": [
                { "scope": "new:b:c", "optional": false },
                { "scope": "a:b:c", "optional": false, "reason": "r" },
            ]})
        );
    }

    #[test]
    fn a_subscription_is_found_by_id_or_name_and_keeps_zooms_id_and_its_header() {
        let header = json!({ "custom_header_type": 1, "username": "u" });
        let live = json!({ "events": [
            { "subscription_id": "zooms-own", "subscription_name": "core", "production_event_custom_header": header },
        ]});
        let wanted = json!({ "events": [
            { "subscription_id": "core", "subscription_name": "core", "event_types": ["meeting.ended"] },
        ]});
        assert_eq!(
            overlay(&live, &wanted),
            json!({ "events": [{
                "subscription_id": "zooms-own", "subscription_name": "core", "event_types": ["meeting.ended"],
                "production_event_custom_header": header,
            }]})
        );
    }

    #[test]
    fn empty_and_missing_are_the_same() {
        let live = json!({ "a": "", "b": null });
        assert_eq!(overlay(&live, &json!({ "a": null, "b": [] })), live);
    }
}
