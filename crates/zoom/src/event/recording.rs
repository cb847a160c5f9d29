use std::fmt;

use domicile_kernel::{Secret, Timestamp, ZoomAccountId, ZoomUserId};
use serde::Deserialize;

use super::{EventError, EventKind, from_json};
use crate::recording::{MeetingRecording, WireRecording, from_object};
use crate::wire::{Object, Scalar};

/// An event about one meeting's recording: completed, transcript completed, trashed, deleted, recovered, renamed.
#[derive(Clone)]
pub struct RecordingEvent {
    /// Which of them.
    pub kind: EventKind,
    /// The account in which it happened.
    pub account_id: ZoomAccountId,
    /// Who trashed, deleted or recovered it. Zoom's `operator`, an e-mail address, is not kept.
    pub operator_id: Option<ZoomUserId>,
    /// When it happened.
    pub event_ts: Option<Timestamp>,
    /// Opens the files for 24 hours, as a bearer token only; some events and installs lack it.
    pub download_token: Option<Secret<String>>,
    /// The recording with the files that this event is about.
    pub recording: MeetingRecording,
}

/// Shows what a log may hold.
impl fmt::Debug for RecordingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingEvent")
            .field("kind", &self.kind)
            .field("account_id", &self.account_id)
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    event: Scalar,
    #[serde(default)]
    event_ts: Scalar,
    #[serde(default)]
    download_token: Scalar,
    #[serde(default)]
    payload: Object<Payload>,
}

#[derive(Deserialize, Default)]
struct Payload {
    #[serde(default)]
    account_id: Scalar,
    #[serde(default)]
    operator_id: Scalar,
    #[serde(default)]
    object: Object<WireRecording>,
}

impl RecordingEvent {
    /// True for the kinds that this type reads.
    pub fn reads(kind: EventKind) -> bool {
        matches!(
            kind,
            EventKind::RecordingCompleted
                | EventKind::RecordingTranscriptCompleted
                | EventKind::RecordingTrashed
                | EventKind::RecordingDeleted
                | EventKind::RecordingRecovered
                | EventKind::RecordingRenamed
        )
    }

    /// Reads the event from a verified body.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let body: Body = from_json(body)?;
        let event = body.event.id("event")?.ok_or(EventError::Missing("event"))?;
        let kind = EventKind::from_name(&event);
        if !Self::reads(kind) {
            return Err(EventError::OtherKind);
        }
        let payload = body.payload.0.ok_or(EventError::Missing("payload"))?;
        let recording = from_object(payload.object)?;
        let account_id = payload
            .account_id
            .id("payload.account_id")?
            .map(ZoomAccountId::new)
            .or_else(|| recording.account_id.clone())
            .ok_or(EventError::Missing("payload.account_id"))?;
        Ok(Self {
            kind,
            account_id,
            operator_id: payload
                .operator_id
                .id("payload.operator_id")?
                .map(ZoomUserId::new),
            event_ts: body.event_ts.time(),
            download_token: body.download_token.secret(),
            recording,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{FileType, ProcessingStatus, RecordingType};
    use chrono::{TimeZone, Utc};
    use domicile_kernel::{MeetingUuid, ZoomFileId};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn completed() -> Value {
        json!({
            "payload": {
                "account_id": "AccountAAAAAAAAAAAAAAA",
                "object": {
                    "id": 81_234_567_890_i64,
                    "uuid": "/ajXp112QmuoKj4854875==",
                    "host_id": "HostAAAAAAAAAAAAAAAAAA",
                    "account_id": "AccountAAAAAAAAAAAAAAA",
                    "topic": "Quarterly review – \u{1F4C8}",
                    "type": 2,
                    "start_time": "2026-11-20T09:00:00Z",
                    "timezone": "Europe/Berlin",
                    "host_email": "PLANTED-EMAIL@example.com",
                    "duration": 61,
                    "password": "PLANTED-PASSWORD",
                    "recording_play_passcode": "PLANTED-PASSCODE",
                    "share_url": "https://us06web.zoom.us/rec/share/PLANTED-SHARE",
                    "total_size": 30_097_008,
                    "recording_count": 2,
                    "recording_files": [
                        {
                            "id": "ed6c2f27-2ae7-42f4-b3d0-835b493e4fa8",
                            "meeting_id": "/ajXp112QmuoKj4854875==",
                            "recording_start": "2026-11-20T09:01:02Z",
                            "recording_end": "2026-11-20T10:02:03Z",
                            "file_type": "MP4",
                            "file_extension": "MP4",
                            "file_size": 30_000_000,
                            "play_url": "https://us06web.zoom.us/rec/play/PLANTED-PLAY",
                            "download_url": "https://us06web.zoom.us/rec/webhook_download/abc",
                            "status": "completed",
                            "recording_type": "shared_screen_with_speaker_view"
                        },
                        {
                            "recording_start": "2026-11-20T09:01:02Z",
                            "recording_end": "2026-11-20T10:02:03Z",
                            "file_type": "TIMELINE",
                            "file_extension": "JSON",
                            "download_url": "https://us06web.zoom.us/rec/webhook_download/def"
                        }
                    ]
                }
            },
            "event_ts": 1_795_170_000_000_i64,
            "event": "recording.completed",
            "download_token": "TOKEN"
        })
    }

    fn parse(body: &Value) -> Result<RecordingEvent, EventError> {
        RecordingEvent::parse(body.to_string().as_bytes())
    }

    fn with(change: impl FnOnce(&mut Value)) -> Result<RecordingEvent, EventError> {
        let mut body = completed();
        change(&mut body);
        parse(&body)
    }

    #[test]
    fn a_completed_recording_is_read_with_its_files() {
        let event = parse(&completed()).unwrap();
        assert_eq!(event.kind, EventKind::RecordingCompleted);
        assert_eq!(event.account_id, ZoomAccountId::new("AccountAAAAAAAAAAAAAAA"));
        assert_eq!(event.download_token.unwrap().expose(), "TOKEN");
        let recording = event.recording;
        assert_eq!(recording.uuid, MeetingUuid::new("/ajXp112QmuoKj4854875=="));
        assert_eq!(recording.meeting_id, Some(81_234_567_890));
        assert_eq!(recording.host_id, ZoomUserId::new("HostAAAAAAAAAAAAAAAAAA"));
        assert_eq!(recording.topic.expose(), "Quarterly review – \u{1F4C8}");
        assert_eq!(
            recording.start_time,
            Utc.with_ymd_and_hms(2026, 11, 20, 9, 0, 0).single()
        );

        let [video, timeline] = &recording.files[..] else {
            panic!("two files")
        };
        assert_eq!(
            video.zoom_file_id,
            ZoomFileId::new("ed6c2f27-2ae7-42f4-b3d0-835b493e4fa8")
        );
        assert_eq!(video.file_type, Some(FileType::Mp4));
        assert_eq!(video.file_extension.as_deref(), Some("MP4"));
        assert_eq!(
            video.recording_type,
            Some(RecordingType::SharedScreenWithSpeakerView)
        );
        assert_eq!(video.file_size_bytes, Some(30_000_000));
        assert_eq!(
            video.recording_end,
            Utc.with_ymd_and_hms(2026, 11, 20, 10, 2, 3).single()
        );
        assert_eq!(
            video.download_url.as_ref().unwrap().expose(),
            "https://us06web.zoom.us/rec/webhook_download/abc"
        );
        assert_eq!(video.status, Some(ProcessingStatus::Completed));
        assert!(video.is_ready() && timeline.is_ready());
        assert!(timeline.has_synthetic_id());
        assert_eq!(timeline.status, None);
    }

    #[test]
    fn the_debug_form_shows_no_personal_or_secret_value() {
        let shown = format!("{:?}", parse(&completed()).unwrap());
        for hidden in ["PLANTED", "TOKEN", "Quarterly", "https://"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }

    #[test]
    fn ids_and_sizes_may_be_numbers_or_text() {
        let event = with(|body| {
            let object = &mut body["payload"]["object"];
            object["id"] = json!("81234567890");
            object["host_id"] = json!(42);
            object["recording_files"][0]["file_size"] = json!("30000000");
            object["recording_files"][0]["id"] = json!(7);
            body["event_ts"] = json!("1795170000000");
        })
        .unwrap();
        assert_eq!(event.recording.meeting_id, Some(81_234_567_890));
        assert_eq!(event.recording.host_id, ZoomUserId::new("42"));
        assert_eq!(event.recording.files[0].file_size_bytes, Some(30_000_000));
        assert_eq!(event.recording.files[0].zoom_file_id, ZoomFileId::new("7"));
        assert_eq!(
            event.event_ts,
            Utc.timestamp_millis_opt(1_795_170_000_000).single()
        );
    }

    #[test]
    fn a_missing_file_id_is_made_the_same_way_every_time_and_never_meets_a_real_one() {
        let ids = |event: RecordingEvent| -> Vec<String> {
            event
                .recording
                .files
                .iter()
                .map(|file| file.zoom_file_id.to_string())
                .collect()
        };
        let first = ids(parse(&completed()).unwrap());
        // The API shows the same file with other members and at another place.
        let second = ids(with(|body| {
            let files = body["payload"]["object"]["recording_files"]
                .as_array_mut()
                .unwrap();
            files.reverse();
            files[0]["file_size"] = json!(12);
            files[0]["download_url"] = json!("https://zoom.us/rec/download/other");
            files[0]["recording_start"] = json!("2026-11-20T10:01:02+01:00");
            files[0]["id"] = json!("");
        })
        .unwrap());
        assert_eq!(first[1], second[0]);

        let forged = ids(with(|body| {
            let files = &mut body["payload"]["object"]["recording_files"];
            files[0]["id"] = json!(first[1]);
        })
        .unwrap());
        assert_ne!(forged[0], forged[1]);
        assert_ne!(forged[0], first[1]);
    }

    #[test]
    fn two_files_without_id_of_one_type_and_start_are_both_kept() {
        let event = with(|body| {
            let files = body["payload"]["object"]["recording_files"]
                .as_array_mut()
                .unwrap();
            let timeline = files[1].clone();
            files.push(timeline);
        })
        .unwrap();
        assert_ne!(
            event.recording.files[1].zoom_file_id,
            event.recording.files[2].zoom_file_id
        );
    }

    #[test]
    fn unknown_values_are_kept_and_absurd_ones_dropped() {
        let event = with(|body| {
            let file = &mut body["payload"]["object"]["recording_files"][0];
            file["file_type"] = json!("HOLOGRAM");
            file["recording_type"] = json!("production_sutdio");
            file["status"] = json!("waiting");
            file["file_extension"] = json!("../../etc");
            file["recording_end"] = json!("");
        })
        .unwrap();
        let file = &event.recording.files[0];
        assert_eq!(file.file_type, Some(FileType::Other("HOLOGRAM".to_owned())));
        assert_eq!(
            file.recording_type,
            Some(RecordingType::Other("production_sutdio".to_owned()))
        );
        assert_eq!(file.status, Some(ProcessingStatus::Other("waiting".to_owned())));
        assert!(!file.is_ready());
        assert_eq!(file.file_extension, None);
        assert_eq!(file.recording_end, None);
    }

    #[test]
    fn a_file_on_the_customers_premises_has_nothing_to_fetch() {
        let event = with(|body| {
            let file = body["payload"]["object"]["recording_files"][0]
                .as_object_mut()
                .unwrap();
            file.remove("download_url");
            file.insert("file_path".to_owned(), json!("/mnt/zoom/1.mp4"));
        })
        .unwrap();
        assert!(!event.recording.files[0].is_ready());
    }

    #[test]
    fn each_participants_sound_is_a_file_too() {
        let event = with(|body| {
            body["payload"]["object"]["participant_audio_files"] = json!([{
                "id": "a2f19f96-9294-4f51-8134-6f0eea108eb2",
                "recording_start": "2026-11-20T09:01:02Z",
                "recording_end": "2026-11-20T10:02:03Z",
                "file_name": "Audio only - PLANTED NAME",
                "file_type": "M4A",
                "file_extension": "M4A",
                "file_size": 246_560,
                "download_url": "https://us06web.zoom.us/rec/webhook_download/ghi",
                "status": "completed"
            }]);
        })
        .unwrap();
        let file = event.recording.files.last().unwrap();
        assert_eq!(file.recording_type, Some(RecordingType::AudioOnlyEachParticipant));
        assert!(file.is_ready());
    }

    #[test]
    fn the_largest_real_recording_has_150_files() {
        let event = with(|body| {
            let files = body["payload"]["object"]["recording_files"]
                .as_array_mut()
                .unwrap();
            let first = files[0].clone();
            *files = (0..150)
                .map(|number| {
                    let mut file = first.clone();
                    file["id"] = json!(format!("file-{number}"));
                    file
                })
                .collect();
        })
        .unwrap();
        assert_eq!(event.recording.files.len(), 150);
    }

    #[test]
    fn members_that_nobody_needs_may_be_missing_or_odd() {
        let event = with(|body| {
            let object = body["payload"]["object"].as_object_mut().unwrap();
            for member in ["id", "topic", "start_time", "account_id"] {
                object.remove(member);
            }
            object.insert("recording_files".to_owned(), json!([null, 7, {}]));
            body["download_token"] = Value::Null;
            body["event_ts"] = json!([]);
        })
        .unwrap();
        assert_eq!(event.recording.meeting_id, None);
        assert_eq!(event.recording.topic.expose(), "");
        assert!(event.download_token.is_none());
        assert_eq!(event.recording.files.len(), 1);
        assert_eq!(
            event.recording.files[0].zoom_file_id.as_str(),
            "no-id:unknown@unknown"
        );
    }

    #[test]
    fn what_the_key_is_made_of_must_be_there() {
        let without = |pointer: &'static str, member: &'static str| {
            with(|body| {
                body.pointer_mut(pointer)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .remove(member);
            })
            .unwrap_err()
        };
        assert_eq!(without("/payload/object", "uuid"), EventError::Missing("uuid"));
        assert_eq!(
            without("/payload/object", "host_id"),
            EventError::Missing("host_id")
        );
        assert_eq!(without("/payload", "object"), EventError::Missing("object"));
        assert_eq!(without("", "payload"), EventError::Missing("payload"));
        // The object names the account as well.
        assert!(with(|body| body["payload"]["account_id"] = Value::Null).is_ok());
        assert_eq!(
            with(|body| body["event"] = json!("meeting.ended")).unwrap_err(),
            EventError::OtherKind
        );
        assert_eq!(
            with(|body| body["payload"]["object"]["recording_files"][0]["id"] = json!({})).unwrap_err(),
            EventError::Malformed("recording_files[].id")
        );
    }

    #[test]
    fn who_deleted_is_known_by_id() {
        let event = with(|body| {
            body["event"] = json!("recording.deleted");
            body["payload"]["operator"] = json!("PLANTED@example.com");
            body["payload"]["operator_id"] = json!("Operator");
        })
        .unwrap();
        assert_eq!(event.kind, EventKind::RecordingDeleted);
        assert_eq!(event.operator_id, Some(ZoomUserId::new("Operator")));
    }

    proptest! {
        // serde_json writes members in alphabetical order; Zoom's own order is different, and a proxy's may be any.
        #[test]
        fn the_order_of_members_does_not_matter(seed in any::<u64>()) {
            fn shuffled(value: &Value, seed: u64) -> String {
                match value {
                    Value::Object(members) => {
                        let mut members: Vec<_> = members.iter().collect();
                        members.sort_by_key(|(name, _)| {
                            name.bytes().fold(seed, |hash, byte| hash.rotate_left(7).wrapping_mul(31) ^ u64::from(byte))
                        });
                        let members: Vec<_> = members
                            .into_iter()
                            .map(|(name, value)| format!("{}:{}", json!(name), shuffled(value, seed)))
                            .collect();
                        format!("{{{}}}", members.join(","))
                    }
                    Value::Array(items) => {
                        let items: Vec<_> = items.iter().map(|item| shuffled(item, seed)).collect();
                        format!("[{}]", items.join(","))
                    }
                    other => other.to_string(),
                }
            }
            let body = completed();
            let event = RecordingEvent::parse(shuffled(&body, seed).as_bytes()).unwrap();
            prop_assert_eq!(format!("{event:?}"), format!("{:?}", parse(&body).unwrap()));
        }

        #[test]
        fn a_cut_body_is_an_error(cut in any::<proptest::sample::Index>()) {
            let body = completed().to_string();
            prop_assert!(RecordingEvent::parse(&body.as_bytes()[..cut.index(body.len())]).is_err());
        }

        #[test]
        fn a_recording_with_any_member_replaced_never_panics(
            pointer in proptest::sample::select(vec![
                "/payload", "/payload/object", "/payload/object/recording_files", "/payload/object/recording_files/0",
                "/payload/object/recording_files/0/id", "/payload/object/recording_files/0/file_size",
                "/payload/object/id", "/payload/object/start_time", "/payload/object/topic", "/download_token", "/event_ts",
            ]),
            replacement in proptest::sample::select(vec![
                json!(null), json!(true), json!(-1), json!(1.5), json!(1e300), json!(""), json!("x\u{0}"), json!([]), json!([[]]), json!({}),
            ]),
        ) {
            let mut body = completed();
            *body.pointer_mut(pointer).unwrap() = replacement;
            let _ = parse(&body);
        }
    }
}
