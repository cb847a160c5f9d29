//! Routing said a second time, over a whole JSON value and without regard for speed.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeZone, Utc};
use domicile_zoom::event::EventKind;
use proptest::sample::Index;
use serde_json::{Value, json};

/// Replaces one member or item, chosen among all that there are.
pub fn replace(value: &mut Value, place: Index, replacement: Value) {
    let mut places = Vec::new();
    collect(value, String::new(), &mut places);
    if places.is_empty() {
        return;
    }
    let place: &String = place.get(&places);
    if let Some(old) = value.pointer_mut(place) {
        *old = replacement;
    }
}

fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        collect(
            value,
            format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
            places,
        );
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(index, value): (usize, _)| below(&index.to_string(), value)),
        _ => {}
    }
    if !at.is_empty() {
        places.push(at);
    }
}

/// What an envelope must hold; nothing where it cannot be read.
pub fn routing(body: &Value) -> Option<Value> {
    let members = body.as_object()?;
    let nothing = Value::Null;
    let event = id(members.get("event").unwrap_or(&nothing))??;
    let payload = &body["payload"];
    let object = &payload["object"];
    let first = |places: &[&Value]| -> Option<Option<String>> {
        for place in places {
            let found = id(place)?;
            if found.is_some() {
                return Some(found);
            }
        }
        Some(None)
    };
    let account_id = first(&[&payload["account_id"], &payload["accountId"]])?;
    let mut users = vec![&object["host_id"], &payload["user_id"], &payload["userId"]];
    if event.starts_with("user.") {
        users.push(&object["id"]);
    }
    if event.starts_with("team_chat.") {
        users.push(&payload["operator_id"]);
    }
    let user_id = first(&users)?;
    let client_id = id(&payload["client_id"])?;
    let event_ts = time(&body["event_ts"]).or_else(|| time(&payload["event_ts"]));
    Some(json!({
        "event": event,
        "kind": EventKind::from_name(&event).label(),
        "account_id": account_id,
        "user_id": user_id,
        "client_id": client_id,
        "event_ts": event_ts.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    }))
}

// The outer `None` is a value that is no id, the inner an id that is not there.
#[expect(clippy::option_option, reason = "a malformed and an absent id are two things")]
fn id(value: &Value) -> Option<Option<String>> {
    let text = match value {
        Value::Null => return Some(None),
        Value::String(text) if text.is_empty() => return Some(None),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    (text.len() <= 256 && !text.chars().any(char::is_control)).then_some(Some(text))
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number far below 2^53")]
fn time(value: &Value) -> Option<DateTime<Utc>> {
    let millis = match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let number = number.as_f64()?;
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
        })?,
        Value::String(text) => match text.trim().parse() {
            Ok(millis) => millis,
            Err(_) => {
                let text = text.trim();
                let plain = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok();
                return DateTime::parse_from_rfc3339(text)
                    .map(|time| time.to_utc())
                    .ok()
                    .or_else(|| plain.map(|time| time.and_utc()));
            }
        },
        _ => return None,
    };
    Utc.timestamp_millis_opt(millis).single()
}
