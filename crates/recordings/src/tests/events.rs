//! What Zoom sends.

use serde_json::{Value, json};

pub(super) const ACCOUNT: &str = "AccountAAAAAAAAAAAAAAA";
pub(super) const HOST: &str = "HostAAAAAAAAAAAAAAAAAA";
pub(super) const MEETING: &str = "/ajXp112QmuoKj4854875==";
pub(super) const TOPIC: &str = "PLANTED-TOPIC quarterly review";

/// A video whose first bytes are right.
pub(super) fn mp4(size: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x18ftypisom".to_vec();
    bytes.extend((0_u8..=250).cycle().take(size - bytes.len()));
    bytes
}

/// One file of an event, served at this URL.
pub(super) fn video(id: &str, url: &str, size: usize) -> Value {
    json!({
        "id": id,
        "recording_start": "2026-05-30T09:01:02Z",
        "recording_end": "2026-05-30T10:02:03Z",
        "file_type": "MP4",
        "file_extension": "MP4",
        "file_size": size,
        "download_url": url,
        "status": "completed",
        "recording_type": "shared_screen_with_speaker_view",
    })
}

/// `recording.completed` with these files.
pub(super) fn completed(files: &[Value]) -> Value {
    json!({
        "event": "recording.completed",
        "event_ts": 1_780_310_000_000_i64,
        "download_token": "webhook-token",
        "payload": {
            "account_id": ACCOUNT,
            "object": {
                "id": 81_234_567_890_i64,
                "uuid": MEETING,
                "host_id": HOST,
                "topic": TOPIC,
                "type": 2,
                "start_time": "2026-05-20T09:00:00Z",
                "recording_files": files,
            }
        }
    })
}

/// The answer of `GET /meetings/{uuid}/recordings` with these files.
pub(super) fn api_answer(files: &[Value]) -> Value {
    json!({
        "uuid": MEETING,
        "id": 81_234_567_890_i64,
        "host_id": HOST,
        "account_id": ACCOUNT,
        "download_access_token": "api-download-token",
        "recording_files": files,
    })
}
