//! The signed-event conformance corpus: `events/*.json` are bodies as Zoom writes them, in every odd form that was seen or
//! documented, with made-up data; `expected.json` says what each must come to. `web` pushes the same files through its
//! extractor.
//!
//! To add one: the file, and its line in `expected.json`. A fixture without a line, or a line without one, fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use domicile_kernel::Secret;
use domicile_zoom::challenge;
use domicile_zoom::event::{AppDeauthorized, Envelope, EventError, EventKind, RecordingEvent};
use domicile_zoom::recording::{FileType, RecordingType};
use domicile_zoom::signature::{
    SIGNATURE_HEADER, SignatureHeaders, TIMESTAMP_HEADER, WebhookSecrets, Window, sign, verify,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every event that the service's reference of Zoom's platform names.
const EVENTS: &[&str] = &[
    "app.authorization_request_created",
    "app_deauthorized",
    "bot_installed",
    "bot_notification",
    "chat_message.submit",
    "endpoint.url_validation",
    "interactive_message_actions",
    "interactive_message_editable",
    "interactive_message_fields_editable",
    "interactive_message_select",
    "meeting.ended",
    "meeting.summary_completed",
    "recording.archive_files_completed",
    "recording.batch_deleted",
    "recording.batch_recovered",
    "recording.batch_trashed",
    "recording.cloud_storage_usage_updated",
    "recording.completed",
    "recording.deleted",
    "recording.paused",
    "recording.recovered",
    "recording.registration_approved",
    "recording.registration_created",
    "recording.registration_denied",
    "recording.renamed",
    "recording.resumed",
    "recording.started",
    "recording.stopped",
    "recording.transcript_completed",
    "recording.trashed",
    "team_chat.app_mention",
    "team_chat.channel_message_posted",
    "team_chat.dm_message_posted",
    "team_chat.link_shared",
    "user.deactivated",
    "user.deleted",
    "user.disassociated",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Each fixture's body and what it must come to, by file name.
fn corpus() -> BTreeMap<String, (Vec<u8>, Value)> {
    let expected = std::fs::read(folder().join("expected.json")).unwrap();
    let mut expected: BTreeMap<String, Value> = serde_json::from_slice(&expected).unwrap();
    let corpus: BTreeMap<_, _> = std::fs::read_dir(folder().join("events"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let expected = expected
                .remove(&name)
                .unwrap_or_else(|| panic!("events/{name} has no line in expected.json"));
            (name, (std::fs::read(&path).unwrap(), expected))
        })
        .collect();
    assert!(expected.is_empty(), "without a file: {:?}", expected.keys());
    corpus
}

fn time(time: Option<DateTime<Utc>>) -> Option<String> {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn routing(envelope: &Envelope) -> Value {
    json!({
        "event": envelope.event,
        "kind": envelope.kind().label(),
        "account_id": envelope.account_id.as_ref().map(domicile_kernel::ZoomAccountId::as_str),
        "user_id": envelope.user_id.as_ref().map(domicile_kernel::ZoomUserId::as_str),
        "client_id": envelope.client_id,
        "event_ts": time(envelope.event_ts),
    })
}

fn recording(event: &RecordingEvent) -> Value {
    let recording = &event.recording;
    let files: Vec<_> = recording
        .files
        .iter()
        .map(|file| {
            json!({
                "id": file.zoom_file_id.as_str(),
                "file_type": file.file_type.as_ref().map(FileType::as_str),
                "recording_type": file.recording_type.as_ref().map(RecordingType::as_str),
                "size_bytes": file.file_size_bytes,
                "ready": file.is_ready(),
            })
        })
        .collect();
    json!({
        "uuid": recording.uuid.as_str(),
        "meeting_id": recording.meeting_id,
        "host_id": recording.host_id.as_str(),
        "topic": recording.topic.expose(),
        "start_time": time(recording.start_time),
        "download_token": event.download_token.is_some(),
        "operator_id": event.operator_id.as_ref().map(domicile_kernel::ZoomUserId::as_str),
        "files": files,
    })
}

fn deauthorized(event: &AppDeauthorized) -> Value {
    json!({
        "account_id": event.account_id.as_str(),
        "user_id": event.user_id.as_str(),
        "client_id": event.client_id,
        "deauthorized_at": time(event.deauthorized_at),
    })
}

#[test]
fn every_event_has_a_fixture() {
    let covered: BTreeSet<_> = corpus()
        .into_values()
        .filter_map(|(_, expected)| Some(expected["event"].as_str()?.to_owned()))
        .collect();
    for event in EVENTS {
        assert!(covered.contains(*event), "{event} has no fixture");
    }
    for kind in EventKind::KNOWN {
        assert!(
            EVENTS.contains(&kind.label()),
            "{} is not in the list",
            kind.label()
        );
    }
}

#[test]
fn every_fixture_is_routed_as_expected() {
    for (name, (body, expected)) in corpus() {
        match Envelope::parse(&body) {
            Ok(envelope) => {
                let routing = routing(&envelope);
                for (member, value) in routing.as_object().unwrap() {
                    assert_eq!(Some(value), expected.get(member), "{name}: {member}");
                }
            }
            Err(error) => {
                let (told, expected) = (error.to_string(), expected["error"].as_str().unwrap_or(&name));
                // Where in the text a parser gives up is its own affair.
                assert!(told.starts_with(expected), "{name}: {told}");
            }
        }
    }
}

#[test]
fn every_typed_event_is_read_as_expected() {
    let mut typed = 0;
    for (name, (body, expected)) in corpus() {
        let Ok(envelope) = Envelope::parse(&body) else {
            continue;
        };
        let kind = envelope.kind();
        let (read, member) = if RecordingEvent::reads(kind) {
            let read = RecordingEvent::parse(&body).map(|event| recording(&event));
            assert_eq!(
                AppDeauthorized::parse(&body),
                Err(EventError::OtherKind),
                "{name}"
            );
            (read, "recording")
        } else if kind == EventKind::AppDeauthorized {
            assert_eq!(
                RecordingEvent::parse(&body).err(),
                Some(EventError::OtherKind),
                "{name}"
            );
            (
                AppDeauthorized::parse(&body).map(|event| deauthorized(&event)),
                "deauthorized",
            )
        } else {
            assert_eq!(
                RecordingEvent::parse(&body).err(),
                Some(EventError::OtherKind),
                "{name}"
            );
            continue;
        };
        typed += 1;
        match read {
            Ok(read) => assert_eq!(read, expected[member], "{name}"),
            Err(error) => assert_eq!(json!(error.to_string()), expected["typed_error"], "{name}"),
        }
    }
    assert!(typed > 40, "{typed}");
}

#[test]
fn challenges_and_only_challenges_are_answered_and_only_with_a_harmless_token() {
    for (name, (body, expected)) in corpus() {
        match challenge::parse(&body) {
            Some(Ok(token)) => assert_eq!(json!(token.as_str()), expected["challenge"], "{name}"),
            Some(Err(_)) => assert_eq!(expected["challenge_refused"], true, "{name}"),
            None => assert!(
                expected.get("challenge").is_none() && expected.get("challenge_refused").is_none(),
                "{name}"
            ),
        }
    }
}

/// Zoom signs bytes. What is read, escaped and written again has other bytes, and its signature does not verify.
#[test]
fn every_fixture_verifies_as_its_bytes_and_as_nothing_else() {
    let token = Secret::from("the-secret-token");
    let secrets = WebhookSecrets::new(std::slice::from_ref(&token)).unwrap();
    let now = "2026-11-20T09:40:01Z".parse::<DateTime<Utc>>().unwrap();
    let mut rewritten = 0;
    for (name, (body, _)) in corpus() {
        let signature = sign(&token, now.timestamp(), &body);
        let timestamp = now.timestamp().to_string();
        let headers = SignatureHeaders::from_headers(|header| match header {
            TIMESTAMP_HEADER => Some(timestamp.as_bytes()),
            SIGNATURE_HEADER => Some(signature.as_bytes()),
            _ => None,
        })
        .unwrap();
        let check = |body: &[u8]| verify(&headers, &secrets, body, now, Window::default()).is_ok();
        assert!(check(&body), "{name}");
        if let Ok(value) = serde_json::from_slice::<Value>(&body) {
            for other in [serde_json::to_vec(&value), serde_json::to_vec_pretty(&value)] {
                let other = other.unwrap();
                assert_eq!(check(&other), other == body, "{name}");
                rewritten += usize::from(other != body);
            }
        }
    }
    assert!(rewritten > 100, "{rewritten}");
}

#[test]
fn no_error_quotes_the_body() {
    for (name, (body, _)) in corpus() {
        for end in [body.len() / 3, body.len() / 2] {
            let Err(error) = Envelope::parse(&body[..end]) else {
                continue;
            };
            let error = error.to_string();
            assert!(error.starts_with("the body is not"), "{name}: {error}");
            assert!(error.len() < 80, "{name}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The reader that streams agrees with one that holds the whole value, on fixtures with one member replaced.
    #[test]
    fn a_mutated_fixture_is_routed_as_by_the_reference(
        fixture in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        replacement in prop::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(0), json!(18_446_744_073_709_551_615_u64), json!(1.5), json!(1e300),
            json!(""), json!("other"), json!("a\u{0}b"), json!("\u{1F4C8}"), json!("x".repeat(257)), json!([]), json!([["a"]]),
            json!({}), json!({"account_id": "other", "host_id": "other"}),
        ]),
    ) {
        let corpus: Vec<_> = corpus().into_values().collect();
        let (body, _) = fixture.get(&corpus);
        if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
            reference::replace(&mut value, place, replacement);
            let mutated = value.to_string();
            let parsed = Envelope::parse(mutated.as_bytes()).map(|envelope| routing(&envelope)).ok();
            prop_assert_eq!(parsed, reference::routing(&value));
        }
    }

    #[test]
    fn a_fixture_with_any_byte_replaced_never_panics(
        fixture in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let corpus: Vec<_> = corpus().into_values().filter(|(body, _)| !body.is_empty()).collect();
        let mut body = fixture.get(&corpus).0.clone();
        let at = place.index(body.len());
        body[at] = byte;
        let _ = (Envelope::parse(&body), RecordingEvent::parse(&body), AppDeauthorized::parse(&body));
        let _ = challenge::parse(&body);
    }
}
