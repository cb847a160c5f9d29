//! Meeting instances and the files of their recordings.

use domicile_kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// `file_type` of a recording file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Video.
    Mp4,
    /// Audio.
    M4a,
    /// Timeline (JSON).
    Timeline,
    /// Transcript (VTT); announced by `recording.transcript_completed`.
    Transcript,
    /// In-meeting chat (TXT).
    Chat,
    /// Closed captions (VTT).
    Cc,
    /// Polls (CSV).
    Csv,
    /// AI summary (JSON).
    Summary,
    /// Thumbnail (JPG).
    Tb,
    /// Team chat message file (TXT).
    ChatMessage,
}

impl FileKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Mp4,
        Self::M4a,
        Self::Timeline,
        Self::Transcript,
        Self::Chat,
        Self::Cc,
        Self::Csv,
        Self::Summary,
        Self::Tb,
        Self::ChatMessage,
    ];

    /// `file_type` on the wire.
    pub fn file_type(self) -> &'static str {
        match self {
            Self::Mp4 => "MP4",
            Self::M4a => "M4A",
            Self::Timeline => "TIMELINE",
            Self::Transcript => "TRANSCRIPT",
            Self::Chat => "CHAT",
            Self::Cc => "CC",
            Self::Csv => "CSV",
            Self::Summary => "SUMMARY",
            Self::Tb => "TB",
            Self::ChatMessage => "CHAT_MESSAGE",
        }
    }

    /// `file_extension` on the wire.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "MP4",
            Self::M4a => "M4A",
            Self::Timeline | Self::Summary => "JSON",
            Self::Transcript | Self::Cc => "VTT",
            Self::Chat | Self::ChatMessage => "TXT",
            Self::Csv => "CSV",
            Self::Tb => "JPG",
        }
    }

    /// The usual `recording_type`.
    pub fn recording_type(self) -> &'static str {
        match self {
            Self::Mp4 => "shared_screen_with_speaker_view",
            Self::M4a => "audio_only",
            Self::Timeline => "timeline",
            Self::Transcript => "audio_transcript",
            Self::Chat => "chat_file",
            Self::Cc => "closed_caption",
            Self::Csv => "poll",
            Self::Summary => "summary",
            Self::Tb => "thumbnail",
            Self::ChatMessage => "chat_message",
        }
    }

    /// `content-type` of its download.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::M4a => "audio/mp4",
            Self::Timeline | Self::Summary => "application/json",
            Self::Transcript | Self::Cc => "text/vtt",
            Self::Chat | Self::ChatMessage => "text/plain",
            Self::Csv => "text/csv",
            Self::Tb => "image/jpeg",
        }
    }

    /// True where Zoom gives a `play_url`.
    pub fn is_played(self) -> bool {
        matches!(self, Self::Mp4 | Self::M4a | Self::Transcript | Self::Cc)
    }
}

/// Where a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Being made: invisible to the API (404/3301).
    Processing,
    /// Ready.
    Completed,
    /// In the trash: downloads answer 404, listed with `trash=true`.
    Trashed,
    /// Gone.
    Deleted,
}

/// One file of a recording; its bytes are made from the seed when they are asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingFile {
    /// Zoom's file id.
    pub id: String,
    /// What it is.
    pub kind: FileKind,
    /// `recording_type`; any text, also ones that clients do not know.
    pub recording_type: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// What its bytes are made from.
    pub seed: u64,
    /// The version of its bytes that is served now; 0 at first, one more for each `different_body` fault.
    pub variant: u32,
    /// Where it stands.
    pub state: FileState,
    /// False: downloads of it come without Content-Length.
    pub content_length: bool,
    /// True: the optional fields (id, status, size, type, play URL) are left out, as the documentation says of CC and TIMELINE.
    pub sparse: bool,
    /// The participant's name: the file stands in `participant_audio_files`.
    pub participant: Option<String>,
    /// When its part of the recording began.
    pub recording_start: Timestamp,
    /// When its part of the recording ended.
    pub recording_end: Timestamp,
}

/// One instance of a meeting, with the files of its recording if it has one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Meeting {
    /// The instance: base64 of 16 bytes.
    pub uuid: String,
    /// The meeting's number; several instances may share it.
    pub id: i64,
    /// Whose meeting it was.
    pub host_id: String,
    /// Title.
    pub topic: String,
    /// 1 instant, 2 scheduled, 3 and 8 recurring, 4 personal, 5, 6 and 9 webinars, 7 audio conference, 99 uploaded.
    #[serde(rename = "type")]
    pub kind: u8,
    /// When it began.
    pub start_time: Timestamp,
    /// Length in minutes.
    pub duration_minutes: u32,
    /// IANA time zone.
    pub timezone: String,
    /// The passcode, with symbols as Zoom makes them.
    pub password: String,
    /// The files of its recording.
    pub files: Vec<RecordingFile>,
}

impl Meeting {
    /// The files in this state.
    pub fn files_in(&self, state: FileState) -> impl Iterator<Item = &RecordingFile> {
        self.files.iter().filter(move |file| file.state == state)
    }
}

/// A new meeting instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewMeeting {
    /// Whose meeting; must exist.
    pub host_id: String,
    /// Made up if absent. Text with `/` tests double encoding.
    pub uuid: Option<String>,
    /// Made up if absent; give an older one for another instance of a recurring meeting.
    pub id: Option<i64>,
    /// Title.
    pub topic: Option<String>,
    /// Kind of meeting; 2 if absent.
    #[serde(rename = "type")]
    pub kind: Option<u8>,
    /// One hour ago if absent.
    pub start_time: Option<Timestamp>,
    /// 45 if absent.
    pub duration_minutes: Option<u32>,
}

/// A file to record. Only `kind` is required.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// What it is.
    pub kind: FileKind,
    /// 64 KiB if absent; any size is made on the fly.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// Random if absent.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Made up if absent.
    #[serde(default)]
    pub id: Option<String>,
    /// The usual one of the kind if absent.
    #[serde(default)]
    pub recording_type: Option<String>,
    /// False: no Content-Length on its downloads.
    #[serde(default)]
    pub content_length: Option<bool>,
    /// True: optional fields are left out of payloads.
    #[serde(default)]
    pub sparse: bool,
    /// A participant's name makes it one of `participant_audio_files`.
    #[serde(default)]
    pub participant: Option<String>,
}

impl NewFile {
    /// A file of this kind, length and seed.
    pub fn new(kind: FileKind, size_bytes: u64, seed: u64) -> Self {
        Self {
            kind,
            size_bytes: Some(size_bytes),
            seed: Some(seed),
            id: None,
            recording_type: None,
            content_length: None,
            sparse: false,
            participant: None,
        }
    }

    /// Its downloads come without Content-Length.
    #[must_use]
    pub fn without_content_length(mut self) -> Self {
        self.content_length = Some(false);
        self
    }
}

/// A recording to make: of a meeting that exists, or of a new one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewRecording {
    /// The meeting instance; or give `meeting`.
    pub meeting_uuid: Option<String>,
    /// The new meeting to record.
    pub meeting: Option<NewMeeting>,
    /// Its files; empty: an MP4, an M4A and a TRANSCRIPT.
    pub files: Vec<NewFile>,
}
