//! What may be shown of a manifest.

use serde_json::Value;
use url::Url;

/// What stands in the place of a secret.
pub(super) const SECRET: &str = "(secret)";

/// The same JSON with every secret replaced: members whose name says so, and passwords in URLs (INV-3).
#[must_use]
pub fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), redacted_member(name, value)))
            .collect(),
        Value::Array(elements) => elements.iter().map(redacted).collect(),
        Value::String(text) if has_credentials(text) => Value::from(SECRET),
        other => other.clone(),
    }
}

/// The same for one member.
pub(super) fn redacted_member(name: &str, value: &Value) -> Value {
    if is_secret(name) && !super::difference::is_empty(value) {
        Value::from(SECRET)
    } else {
        redacted(value)
    }
}

/// Names of members whose value is nobody's business. A URL where a token is fetched is none of them.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if name.ends_with("_url") || name.ends_with("_uri") {
        return false;
    }
    ["secret", "password", "passcode", "token", "credential", "private"]
        .iter()
        .any(|word| name.contains(word))
        || name == "custom_header_value"
        || name == "api_key"
        // The private parts of a JSON Web Key.
        || matches!(name.as_str(), "d" | "p" | "q" | "dp" | "dq" | "qi" | "k")
}

fn has_credentials(text: &str) -> bool {
    text.contains('@') && Url::parse(text).is_ok_and(|url| url.password().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_known_by_their_names_at_any_depth() {
        let shown = redacted(&json!({
            "a": [{ "client_secret": "PLANTED", "client_id": "id", "token_url": "https://a.example/token" }],
            "custom_header_key": "x-a", "custom_header_value": "PLANTED", "fcm_token": { "deep": "PLANTED" },
            "webhook_url": "https://user:PLANTED@a.example/", "password": ""
        }));
        assert_eq!(
            shown,
            json!({
                "a": [{ "client_secret": SECRET, "client_id": "id", "token_url": "https://a.example/token" }],
                "custom_header_key": "x-a", "custom_header_value": SECRET, "fcm_token": SECRET,
                "webhook_url": SECRET, "password": ""
            })
        );
    }
}
