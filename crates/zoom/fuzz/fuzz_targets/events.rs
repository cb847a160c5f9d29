//! Every typed event, on any body. Grown from the fixtures with the dictionary of Zoom's members beside it.

#![no_main]

use domicile_zoom::event::{AppDeauthorized, Envelope, EventError, EventKind, RecordingEvent};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let envelope = Envelope::parse(body).ok();
    // `serde_json::Value` gives one name of its own a second meaning.
    let same = serde_json::from_slice::<Value>(body)
        .ok()
        .map(|value| value.to_string())
        .filter(|same| !same.contains("$serde_json"));

    match RecordingEvent::parse(body) {
        Ok(event) => {
            assert!(RecordingEvent::reads(event.kind));
            // The job must act for the user by whom the inbox routed.
            if let Some(envelope) = &envelope {
                assert_eq!(envelope.kind(), event.kind);
                assert_eq!(envelope.user_id.as_ref(), Some(&event.recording.host_id));
            }
            let ids: std::collections::HashSet<_> = event
                .recording
                .files
                .iter()
                .map(|file| file.zoom_file_id.as_str())
                .collect();
            assert!(ids.iter().all(|id| !id.is_empty()));
            if let Some(same) = &same {
                let again = RecordingEvent::parse(same.as_bytes()).expect("the same value in another form");
                assert_eq!(format!("{event:?}"), format!("{again:?}"));
            }
        }
        Err(error) => told(&error, body, RecordingEvent::reads),
    }
    match AppDeauthorized::parse(body) {
        Ok(event) => {
            if let Some(envelope) = &envelope {
                assert_eq!(envelope.kind(), EventKind::AppDeauthorized);
                assert_eq!(envelope.account_id.as_ref(), Some(&event.account_id));
            }
            if let Some(same) = &same {
                assert_eq!(AppDeauthorized::parse(same.as_bytes()), Ok(event));
            }
        }
        Err(error) => told(&error, body, |kind| kind == EventKind::AppDeauthorized),
    }
});

/// A body of another kind is told from one that is broken.
fn told(error: &EventError, body: &[u8], reads: impl Fn(EventKind) -> bool) {
    let _ = error.to_string();
    if *error == EventError::OtherKind
        && let Ok(envelope) = Envelope::parse(body)
    {
        assert!(!reads(envelope.kind()));
    }
}
