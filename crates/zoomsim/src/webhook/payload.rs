//! The bodies of all events, composed in the key order of Zoom's captures.

use chrono::TimeDelta;
use domicile_kernel::Timestamp;
use serde::Serialize;

use crate::model::meeting::{FileState, Meeting, RecordingFile};
use crate::model::user::User;
use crate::random;
use crate::sim::Sim;
use crate::state::State;
use crate::webhook::chat_payload::BotOccasion;
use crate::webhook::recording_payload::{Reader, RecordingObject, zoom_time};

/// Life of a `download_token` (platform: 24 hours; 15 seconds more in the capture).
const DOWNLOAD_TOKEN_SECONDS: i64 = 86_415;

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Occasion {
    /// `recording.completed`, `transcript_completed`, `trashed`, `deleted`, `recovered`.
    Recording {
        event: String,
        meeting_uuid: String,
        file_ids: Vec<String>,
        operator_id: Option<String>,
    },
    /// `recording.started`, `paused`, `resumed`, `stopped`.
    Progress { event: String, meeting_uuid: String },
    /// `recording.renamed`.
    Renamed { meeting_uuid: String, old_topic: String },
    /// `recording.batch_trashed`, `batch_deleted`, `batch_recovered`, all of one host.
    Batch {
        event: String,
        host_id: String,
        meeting_uuids: Vec<String>,
    },
    /// `meeting.ended`.
    MeetingEnded { meeting_uuid: String },
    /// `user.deactivated`, `deleted`, `disassociated`.
    User { event: String, user_id: String },
    /// `app_deauthorized`.
    Deauthorized {
        client_id: String,
        user_id: String,
        account_id: String,
        at: Timestamp,
    },
    /// Anything that a bot hears.
    Bot(Box<BotOccasion>),
    /// A body that the caller wrote.
    Raw {
        event: String,
        user_id: Option<String>,
        body: String,
    },
}

/// How it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Telling {
    pub now: Timestamp,
    pub back: TimeDelta,
    pub download_token: bool,
}

#[derive(Serialize)]
struct Envelope<P: Serialize> {
    payload: P,
    event_ts: i64,
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    download_token: Option<String>,
}

#[derive(Serialize)]
struct Payload<O: Serialize> {
    account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    object: O,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_object: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_stamp: Option<i64>,
}

impl<O: Serialize> Payload<O> {
    fn of(account_id: String, object: O) -> Self {
        Self {
            account_id,
            operator: None,
            operator_id: None,
            operation: None,
            object,
            old_object: None,
            time_stamp: None,
        }
    }

    fn by(mut self, operator: Option<&User>) -> Self {
        self.operator = operator.map(|user| user.email.clone());
        self.operator_id = operator.map(|user| user.id.clone());
        self
    }
}

#[derive(Serialize)]
struct MeetingObject {
    id: String,
    uuid: String,
    host_id: String,
    topic: String,
    #[serde(rename = "type")]
    kind: u8,
    start_time: String,
    timezone: String,
    duration: u32,
    end_time: String,
}

#[derive(Serialize)]
struct ProgressObject {
    id: i64,
    uuid: String,
    host_id: String,
    topic: String,
    #[serde(rename = "type")]
    kind: u8,
    start_time: String,
    timezone: String,
    duration: u32,
    recording_file: ProgressFile,
}

#[derive(Serialize)]
struct ProgressFile {
    recording_start: String,
    recording_end: Option<String>,
}

#[derive(Serialize)]
struct UserObject {
    id: String,
    first_name: String,
    last_name: String,
    email: String,
    #[serde(rename = "type")]
    kind: u8,
}

#[derive(Serialize)]
struct DeauthorizedPayload {
    account_id: String,
    user_id: String,
    signature: String,
    deauthorization_time: String,
    client_id: String,
    event_ts: i64,
}

#[derive(Serialize)]
struct Deauthorized {
    event: &'static str,
    payload: DeauthorizedPayload,
}

impl Occasion {
    /// The event's name.
    pub(crate) fn event(&self) -> &str {
        match self {
            Self::Recording { event, .. }
            | Self::Progress { event, .. }
            | Self::Batch { event, .. }
            | Self::User { event, .. }
            | Self::Raw { event, .. } => event,
            Self::Bot(occasion) => &occasion.event,
            Self::Renamed { .. } => "recording.renamed",
            Self::MeetingEnded { .. } => "meeting.ended",
            Self::Deauthorized { .. } => "app_deauthorized",
        }
    }

    /// The meeting instance it is about.
    pub(crate) fn meeting_uuid(&self) -> Option<&str> {
        match self {
            Self::Recording { meeting_uuid, .. }
            | Self::Progress { meeting_uuid, .. }
            | Self::Renamed { meeting_uuid, .. }
            | Self::MeetingEnded { meeting_uuid } => Some(meeting_uuid),
            _ => None,
        }
    }

    /// The Zoom user it is about.
    pub(crate) fn user_id<'a>(&'a self, state: &'a State) -> Option<&'a str> {
        match self {
            Self::Batch { host_id, .. } => Some(host_id),
            Self::User { user_id, .. } | Self::Deauthorized { user_id, .. } => Some(user_id),
            Self::Raw { user_id, .. } => user_id.as_deref(),
            Self::Bot(occasion) => Some(&occasion.user_id),
            _ => self
                .meeting_uuid()
                .and_then(|uuid| state.meetings.get(uuid))
                .map(|meeting| meeting.host_id.as_str()),
        }
    }

    /// The files it names.
    pub(crate) fn file_ids(&self) -> &[String] {
        match self {
            Self::Recording { file_ids, .. } => file_ids,
            _ => &[],
        }
    }
}

impl Sim {
    /// The body of the event. Names that point nowhere give an empty meeting, never a panic.
    pub(crate) fn body(&self, state: &State, occasion: &Occasion, telling: Telling) -> String {
        let event = occasion.event().to_owned();
        let happened = telling.now - telling.back;
        let account = occasion
            .user_id(state)
            .and_then(|id| state.users.get(id))
            .map(|user| user.account_id.clone())
            .unwrap_or_default();
        let meeting = occasion.meeting_uuid().and_then(|uuid| state.meetings.get(uuid));
        match (occasion, meeting) {
            (
                Occasion::Recording {
                    file_ids,
                    operator_id,
                    ..
                },
                Some(meeting),
            ) => {
                let files: Vec<&RecordingFile> = meeting
                    .files
                    .iter()
                    .filter(|file| file_ids.contains(&file.id))
                    .collect();
                let object: RecordingObject = self.recording_object(state, meeting, &files, Reader::Webhook);
                let has_token = telling.download_token && event != "recording.deleted";
                let lives = TimeDelta::seconds(DOWNLOAD_TOKEN_SECONDS);
                text(&Envelope {
                    payload: Payload::of(account, object)
                        .by(operator_id.as_ref().and_then(|id| state.users.get(id))),
                    event_ts: happened.timestamp_millis(),
                    event,
                    download_token: has_token.then(|| self.download_token(state, meeting, happened, lives)),
                })
            }
            (Occasion::Progress { event, .. }, Some(meeting)) => plain(
                event,
                happened,
                Payload::of(account, progress(meeting, event, happened)),
            ),
            (Occasion::Renamed { old_topic, .. }, Some(meeting)) => {
                let object = |topic: &str| {
                    serde_json::json!({
                        "id": meeting.id, "uuid": meeting.uuid, "host_id": meeting.host_id, "topic": topic,
                        "type": meeting.kind,
                    })
                };
                let operator = state.users.get(&meeting.host_id);
                let mut payload = Payload::of(account, object(&meeting.topic)).by(operator);
                payload.old_object = Some(object(old_topic));
                payload.time_stamp = Some(happened.timestamp_millis());
                plain(&event, happened, payload)
            }
            (Occasion::MeetingEnded { .. }, Some(meeting)) => {
                plain(&event, happened, Payload::of(account, ended(meeting)))
            }
            (
                Occasion::Batch {
                    host_id,
                    meeting_uuids,
                    ..
                },
                _,
            ) => {
                let trashed = event == "recording.batch_trashed";
                let object = if trashed {
                    serde_json::json!({ "meeting_uuids": meeting_uuids })
                } else {
                    serde_json::json!({ "meetings": batch_meetings(state, meeting_uuids) })
                };
                let mut payload = Payload::of(account, object).by(state.users.get(host_id));
                payload.operation = trashed.then_some("trash_user_recordings");
                plain(&event, happened, payload)
            }
            (Occasion::User { user_id, .. }, _) => {
                let user = state.users.get(user_id);
                let object = user.map(|user| UserObject {
                    id: user.id.clone(),
                    first_name: user.first_name.clone(),
                    last_name: user.last_name.clone(),
                    email: user.email.clone(),
                    kind: 2,
                });
                plain(&event, happened, Payload::of(account, object).by(user))
            }
            (
                Occasion::Deauthorized {
                    client_id,
                    user_id,
                    account_id,
                    at,
                },
                _,
            ) => text(&Deauthorized {
                event: "app_deauthorized",
                payload: DeauthorizedPayload {
                    account_id: account_id.clone(),
                    user_id: user_id.clone(),
                    signature: random::hex_text::<32>(self.rng()),
                    deauthorization_time: zoom_time(*at - telling.back),
                    client_id: client_id.clone(),
                    event_ts: happened.timestamp_millis(),
                },
            }),
            (Occasion::Raw { body, .. }, _) => body.clone(),
            (Occasion::Bot(occasion), _) => occasion.body(happened),
            (_, None) => plain(
                &event,
                happened,
                serde_json::json!({ "account_id": account, "object": {} }),
            ),
        }
    }
}

fn progress(meeting: &Meeting, event: &str, now: Timestamp) -> ProgressObject {
    let open = matches!(event, "recording.started" | "recording.resumed");
    ProgressObject {
        id: meeting.id,
        uuid: meeting.uuid.clone(),
        host_id: meeting.host_id.clone(),
        topic: meeting.topic.clone(),
        kind: meeting.kind,
        start_time: zoom_time(meeting.start_time),
        timezone: meeting.timezone.clone(),
        duration: meeting.duration_minutes,
        recording_file: ProgressFile {
            recording_start: zoom_time(meeting.start_time),
            recording_end: (!open).then(|| zoom_time(now)),
        },
    }
}

fn ended(meeting: &Meeting) -> MeetingObject {
    MeetingObject {
        id: meeting.id.to_string(),
        uuid: meeting.uuid.clone(),
        host_id: meeting.host_id.clone(),
        topic: meeting.topic.clone(),
        kind: meeting.kind,
        start_time: zoom_time(meeting.start_time),
        timezone: meeting.timezone.clone(),
        duration: meeting.duration_minutes,
        end_time: zoom_time(meeting.start_time + TimeDelta::minutes(i64::from(meeting.duration_minutes))),
    }
}

fn batch_meetings(state: &State, uuids: &[String]) -> Vec<serde_json::Value> {
    uuids
        .iter()
        .map(|uuid| {
            let ids: Vec<&str> = state
                .meetings
                .get(uuid)
                .map(|meeting| {
                    let known = meeting
                        .files
                        .iter()
                        .filter(|file| file.state != FileState::Processing);
                    known.map(|file| file.id.as_str()).collect()
                })
                .unwrap_or_default();
            serde_json::json!({ "meeting_uuid": uuid, "recording_file_ids": ids })
        })
        .collect()
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn plain(event: &str, happened: Timestamp, payload: impl Serialize) -> String {
    text(&Envelope {
        payload,
        event_ts: happened.timestamp_millis(),
        event: event.to_owned(),
        download_token: None,
    })
}
