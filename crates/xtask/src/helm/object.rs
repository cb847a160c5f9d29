//! Kubernetes objects as they are rendered.

use serde_json::Value;

static NOTHING: Value = Value::Null;

/// What stands there, or nothing.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&NOTHING)
}

/// The text that stands there; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

/// The members of the list that stands there.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn kind(object: &Value) -> &str {
    text(object, "/kind")
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// Kind and name, as faults print them.
pub(super) fn title(object: &Value) -> String {
    format!("{}/{}", kind(object), name(object))
}

pub(super) fn is_hook(object: &Value) -> bool {
    at(object, "/metadata/annotations/helm.sh~1hook").is_string()
}

/// Where the specification of an object's pods is, if it has any.
pub(super) fn pods(object: &Value) -> Option<&Value> {
    match kind(object) {
        "Pod" => object.pointer("/spec"),
        "Deployment" | "Job" => object.pointer("/spec/template/spec"),
        _ => None,
    }
}

pub(super) fn pods_mut(object: &mut Value) -> Option<&mut Value> {
    match kind(object) {
        "Pod" => object.pointer_mut("/spec"),
        "Deployment" | "Job" => object.pointer_mut("/spec/template/spec"),
        _ => None,
    }
}

/// The labels of an object's pods.
pub(super) fn pod_labels(object: &Value) -> &Value {
    match kind(object) {
        "Pod" => at(object, "/metadata/labels"),
        _ => at(object, "/spec/template/metadata/labels"),
    }
}

/// Whether labels have all that a selector asks for; an empty selector is none.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|wanted| {
        !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

/// Every text in a value, keys of maps too.
pub(super) fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => {
            for (key, member) in members {
                found.push(key.clone());
                texts(member, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
