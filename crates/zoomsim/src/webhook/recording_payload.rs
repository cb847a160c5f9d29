//! A recording as Zoom writes it, in events and in the API (platform: recording.completed, API).

use chrono::{SecondsFormat, TimeDelta};
use domicile_kernel::Timestamp;
use serde::Serialize;

use crate::model::meeting::{FileState, Meeting, RecordingFile};
use crate::model::token::DownloadClaims;
use crate::random;
use crate::signing;
use crate::sim::Sim;
use crate::state::State;

/// Who reads it: the two spell some fields differently and name different download paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Webhook,
    Api,
}

/// The meeting instance with files; keys in the order in which Zoom's samples have them.
#[derive(Serialize)]
pub(crate) struct RecordingObject {
    uuid: String,
    id: i64,
    account_id: String,
    host_id: String,
    topic: String,
    #[serde(rename = "type")]
    kind: MeetingType,
    start_time: String,
    timezone: String,
    host_email: String,
    duration: u32,
    password: String,
    share_url: String,
    total_size: u64,
    recording_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_prem: Option<bool>,
    recording_play_passcode: String,
    auto_delete: bool,
    auto_delete_date: String,
    recording_files: Vec<FileObject>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    participant_audio_files: Vec<FileObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_access_token: Option<String>,
}

/// A number in events, a text in the API.
#[derive(Serialize)]
#[serde(untagged)]
enum MeetingType {
    Number(u8),
    Text(String),
}

#[derive(Serialize)]
struct FileObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meeting_id: Option<String>,
    recording_start: String,
    recording_end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
    file_type: &'static str,
    file_extension: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    play_url: Option<String>,
    download_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_type: Option<String>,
}

/// What a download path names.
#[derive(Serialize, serde::Deserialize)]
pub(crate) struct DownloadPath {
    pub meeting_uuid: String,
    pub file_id: String,
    pub variant: u32,
    /// Makes each event's URLs differ, as they do at Zoom.
    pub nonce: String,
}

/// `2026-11-22T10:00:00Z`, Zoom's form of time.
pub(crate) fn zoom_time(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl Sim {
    /// The meeting with these files, with download URLs that nobody has seen yet.
    pub(crate) fn recording_object(
        &self,
        state: &State,
        meeting: &Meeting,
        files: &[&RecordingFile],
        reader: Reader,
    ) -> RecordingObject {
        let host = state.users.get(&meeting.host_id);
        let (participants, files): (Vec<&RecordingFile>, Vec<&RecordingFile>) =
            files.iter().copied().partition(|file| file.participant.is_some());
        let share = signing::hmac_hex(state.key(), &[b"share:", meeting.uuid.as_bytes()]);
        RecordingObject {
            uuid: meeting.uuid.clone(),
            id: meeting.id,
            account_id: host.map(|user| user.account_id.clone()).unwrap_or_default(),
            host_id: meeting.host_id.clone(),
            topic: meeting.topic.clone(),
            kind: match reader {
                Reader::Webhook => MeetingType::Number(meeting.kind),
                Reader::Api => MeetingType::Text(meeting.kind.to_string()),
            },
            start_time: zoom_time(meeting.start_time),
            timezone: meeting.timezone.clone(),
            host_email: host.map(|user| user.email.clone()).unwrap_or_default(),
            duration: meeting.duration_minutes,
            password: meeting.password.clone(),
            share_url: format!("{}/rec/share/{share}", self.0.urls.base_text()),
            total_size: files.iter().map(|file| file.size_bytes).sum(),
            recording_count: files.len(),
            on_prem: (reader == Reader::Webhook).then_some(false),
            recording_play_passcode: share[..32].to_owned(),
            auto_delete: true,
            auto_delete_date: (meeting.start_time + TimeDelta::days(180))
                .format("%Y-%m-%d")
                .to_string(),
            recording_files: files
                .iter()
                .map(|file| self.file_object(state, meeting, file, reader))
                .collect(),
            participant_audio_files: participants
                .iter()
                .map(|file| self.file_object(state, meeting, file, reader))
                .collect(),
            download_access_token: None,
        }
    }

    fn file_object(
        &self,
        state: &State,
        meeting: &Meeting,
        file: &RecordingFile,
        reader: Reader,
    ) -> FileObject {
        let full = !file.sparse;
        let base = self.0.urls.base_text();
        let is_part = file.participant.is_some();
        FileObject {
            id: full.then(|| file.id.clone()),
            meeting_id: (!is_part).then(|| meeting.uuid.clone()),
            recording_start: zoom_time(file.recording_start),
            recording_end: zoom_time(file.recording_end),
            file_name: file
                .participant
                .as_ref()
                .map(|name| format!("Audio only - {name}")),
            file_type: file.kind.file_type(),
            file_extension: file.kind.extension(),
            file_size: full.then_some(file.size_bytes),
            play_url: (full && file.kind.is_played()).then(|| {
                let tag = signing::hmac_hex(state.key(), &[b"play:", file.id.as_bytes()]);
                format!("{base}/rec/play/{tag}")
            }),
            download_url: self.download_url(state, meeting, file, reader),
            status: full.then_some(match file.state {
                FileState::Processing => "processing",
                _ => "completed",
            }),
            recording_type: (full && !is_part).then(|| file.recording_type.clone()),
        }
    }

    /// A download URL of the version that is served now.
    pub(crate) fn download_url(
        &self,
        state: &State,
        meeting: &Meeting,
        file: &RecordingFile,
        reader: Reader,
    ) -> String {
        let path = DownloadPath {
            meeting_uuid: meeting.uuid.clone(),
            file_id: file.id.clone(),
            variant: file.variant,
            nonce: random::hex_text::<6>(self.rng()),
        };
        let folder = match reader {
            Reader::Webhook => "webhook_download",
            Reader::Api => "download",
        };
        format!(
            "{}/rec/{folder}/{}",
            self.0.urls.base_text(),
            signing::seal(state.key(), "download", &path)
        )
    }

    /// A `download_token` or `download_access_token` for one meeting instance.
    pub(crate) fn download_token(
        &self,
        state: &State,
        meeting: &Meeting,
        issued_at: Timestamp,
        lives: TimeDelta,
    ) -> String {
        let account_id = state
            .users
            .get(&meeting.host_id)
            .map(|user| user.account_id.clone())
            .unwrap_or_default();
        let claims = DownloadClaims {
            iss: "https://event.zoom.us".to_owned(),
            account_id,
            aud: "https://oauth.zoom.us".to_owned(),
            mid: meeting.uuid.clone(),
            exp: (issued_at + lives).timestamp(),
            iat: issued_at.timestamp(),
            user_id: meeting.host_id.clone(),
        };
        signing::jwt(state.key(), &random::uuid_text(self.rng()), &claims)
    }
}
