//! Credentials in answers, which are Zoom's to give and not the app's to hold.

use bytes::Bytes;
use serde_json::Value;

/// Members of Zoom's answers that open something by themselves. `start_url` holds the host's own access key: "anyone with
/// this URL will be able to log in to the Zoom client as the host" (Zoom: Meetings API).
const CREDENTIALS: [&str; 6] = [
    "access_token",
    "refresh_token",
    "download_access_token",
    "download_token",
    "start_url",
    "zak",
];

/// A JSON answer that speaks of a credential and cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable;

/// The answer without its credentials, and which they were. Without any it stays as it is, byte for byte.
pub(super) fn withhold(body: Bytes) -> Result<(Bytes, Vec<&'static str>), Unreadable> {
    if !CREDENTIALS.iter().any(|name| contains(&body, name.as_bytes())) {
        return Ok((body, Vec::new()));
    }
    let mut value: Value = serde_json::from_slice(&body).map_err(|_| Unreadable)?;
    let mut withheld = Vec::new();
    remove(&mut value, &mut withheld);
    if withheld.is_empty() {
        return Ok((body, withheld));
    }
    withheld.sort_unstable();
    withheld.dedup();
    let body = serde_json::to_vec(&value).map_err(|_| Unreadable)?;
    Ok((body.into(), withheld))
}

fn contains(body: &[u8], name: &[u8]) -> bool {
    body.windows(name.len()).any(|window| window == name)
}

fn remove(value: &mut Value, withheld: &mut Vec<&'static str>) {
    match value {
        Value::Object(members) => {
            for name in CREDENTIALS {
                if members.remove(name).is_some() {
                    withheld.push(name);
                }
            }
            members.values_mut().for_each(|member| remove(member, withheld));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| remove(item, withheld)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_removed_wherever_they_stand() {
        let answer = json!({
            "id": 81_234_567_890_i64, "start_url": "https://zoom.us/s/1?zak=PLANTED", "join_url": "https://zoom.us/j/1",
            "recordings": [{ "download_access_token": "PLANTED", "download_url": "https://zoom.us/rec/download/x" }],
        });
        let (body, withheld) = withhold(answer.to_string().into()).ok().unwrap();
        assert_eq!(withheld, ["download_access_token", "start_url"]);
        let kept: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            kept,
            json!({
                "id": 81_234_567_890_i64, "join_url": "https://zoom.us/j/1",
                "recordings": [{ "download_url": "https://zoom.us/rec/download/x" }],
            })
        );
    }

    #[test]
    fn an_answer_without_credentials_keeps_its_bytes() {
        for text in ["{ \"b\" : 1.50, \"a\":\"zak\" }", "no JSON at all", ""] {
            let (body, withheld) = withhold(Bytes::from(text)).ok().unwrap();
            assert_eq!(body, text);
            assert!(withheld.is_empty());
        }
    }

    #[test]
    fn what_speaks_of_a_credential_and_cannot_be_read_is_not_passed_on() {
        assert!(withhold(Bytes::from("{\"zak\": \"PLANTED\"")).is_err());
    }
}
