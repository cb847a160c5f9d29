//! Recordings and their files, in the one shape that webhooks and the API share (Zoom: `recording.completed`,
//! `GET /meetings/{id}/recordings`).
//!
//! Never kept: `password`, `recording_play_passcode`, `share_url`, `play_url`, `host_email`, and `file_name`, which
//! holds participants' names.

use std::collections::HashMap;
use std::fmt;

use domicile_kernel::{MeetingUuid, Secret, Timestamp, ZoomAccountId, ZoomFileId, ZoomUserId};
use serde::Deserialize;

use crate::event::EventError;
use crate::wire::{List, Malformed, Object, Scalar};

/// The recording of one meeting instance, as one event or one answer shows it; others may show more files.
#[derive(Clone)]
pub struct MeetingRecording {
    /// The instance of the meeting; with a file's id it is the key under which everything is merged.
    pub uuid: MeetingUuid,
    /// The meeting's number, shared by all instances of a series; above 32 bits.
    pub meeting_id: Option<i64>,
    /// Whose meeting it was.
    pub host_id: ZoomUserId,
    /// The host's account, where it is named beside the meeting.
    pub account_id: Option<ZoomAccountId>,
    /// What the meeting was called; personal data. Empty where Zoom gave none.
    pub topic: Secret<String>,
    /// When the meeting began; in a series it may lie weeks before the files' own times.
    pub start_time: Option<Timestamp>,
    /// The files, in Zoom's order.
    pub files: Vec<RecordingFile>,
    /// The token that opens the files, where the API was asked for one.
    pub download_access_token: Option<Secret<String>>,
}

/// One file of a recording.
#[derive(Clone)]
pub struct RecordingFile {
    /// Zoom's id, or the name that stands for it (see [`RecordingFile::SYNTHETIC_ID_PREFIX`]).
    pub zoom_file_id: ZoomFileId,
    /// What it holds.
    pub file_type: Option<FileType>,
    /// Its ending, such as `MP4`: 1 to 16 ASCII letters and digits.
    pub file_extension: Option<String>,
    /// Which view or extract of the meeting it is.
    pub recording_type: Option<RecordingType>,
    /// The size that Zoom announces.
    pub file_size_bytes: Option<u64>,
    /// When the recorded part began.
    pub recording_start: Option<Timestamp>,
    /// When the recorded part ended.
    pub recording_end: Option<Timestamp>,
    /// Where the bytes are; absent for recordings on the customer's own premises.
    pub download_url: Option<Secret<String>>,
    /// Whether the bytes are ready, where Zoom says so.
    pub status: Option<ProcessingStatus>,
}

macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $value:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $value,)+
            /// A value that Zoom added later, as Zoom wrote it.
            Other(String),
        }

        impl $name {
            /// Zoom's spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$value => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($text => Self::$value,)+
                    _ => Self::Other(text),
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

open_enum! {
    /// `file_type`: what a file holds. Zoom adds values every year.
    FileType {
        /// Video.
        Mp4 = "MP4",
        /// Audio.
        M4a = "M4A",
        /// Times of what happened, JSON.
        Timeline = "TIMELINE",
        /// What was said, VTT.
        Transcript = "TRANSCRIPT",
        /// The meeting's chat, text.
        Chat = "CHAT",
        /// The team chat beside the meeting.
        ChatMessage = "CHAT_MESSAGE",
        /// Closed captions, VTT.
        ClosedCaption = "CC",
        /// Polls, CSV.
        Csv = "CSV",
        /// An AI summary, JSON.
        Summary = "SUMMARY",
        /// Thumbnails.
        Thumbnail = "TB",
    }
}

open_enum! {
    /// `recording_type`: which view or extract of the meeting a file is. Zoom adds values every year.
    RecordingType {
        /// Screen and speaker, with captions.
        SharedScreenWithSpeakerViewCc = "shared_screen_with_speaker_view(CC)",
        /// Screen and speaker.
        SharedScreenWithSpeakerView = "shared_screen_with_speaker_view",
        /// Screen and gallery.
        SharedScreenWithGalleryView = "shared_screen_with_gallery_view",
        /// Gallery.
        GalleryView = "gallery_view",
        /// Whoever speaks.
        ActiveSpeaker = "active_speaker",
        /// The speaker.
        SpeakerView = "speaker_view",
        /// The shared screen.
        SharedScreen = "shared_screen",
        /// All sound in one file.
        AudioOnly = "audio_only",
        /// One participant's sound.
        AudioOnlyEachParticipant = "audio_only_each_participant",
        /// The transcript.
        AudioTranscript = "audio_transcript",
        /// The meeting's chat.
        ChatFile = "chat_file",
        /// The team chat beside the meeting.
        ChatMessage = "chat_message",
        /// The host's camera.
        HostVideo = "host_video",
        /// Captions.
        ClosedCaption = "closed_caption",
        /// Captions made from the transcript.
        CcTranscript = "cc_transcript",
        /// Polls.
        Poll = "poll",
        /// Times of what happened.
        Timeline = "timeline",
        /// A picture.
        Thumbnail = "thumbnail",
        /// An interpreter's sound.
        AudioInterpretation = "audio_interpretation",
        /// A sign interpreter.
        SignInterpretation = "sign_interpretation",
        /// Production studio.
        ProductionStudio = "production_studio",
        /// An AI summary.
        Summary = "summary",
        /// The next steps of an AI summary.
        SummaryNextSteps = "summary_next_steps",
        /// The chapters of an AI summary.
        SummarySmartChapters = "summary_smart_chapters",
        /// A talk with the AI companion.
        AicConversation = "aic_conversation",
    }
}

open_enum! {
    /// `status` of a file.
    ProcessingStatus {
        /// The bytes are ready.
        Completed = "completed",
        /// Zoom still works on it; another event will follow.
        Processing = "processing",
    }
}

impl RecordingFile {
    /// Begins every id that stands for one which Zoom left out, as it does for some TIMELINE and CC files. The rest is
    /// made of the file's type and start, so that every event and answer that shows the file gives it the same id.
    /// No id of Zoom's is taken over with this beginning.
    pub const SYNTHETIC_ID_PREFIX: &'static str = "no-id:";

    /// True when the bytes can be fetched now, as far as Zoom says.
    pub fn is_ready(&self) -> bool {
        self.download_url.is_some()
            && self
                .status
                .as_ref()
                .is_none_or(|status| *status == ProcessingStatus::Completed)
    }

    /// True when Zoom gave no id.
    pub fn has_synthetic_id(&self) -> bool {
        self.zoom_file_id.as_str().starts_with(Self::SYNTHETIC_ID_PREFIX)
    }
}

/// Shows what a log may hold.
impl fmt::Debug for MeetingRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeetingRecording")
            .field("uuid", &self.uuid)
            .field("host_id", &self.host_id)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Shows what a log may hold.
impl fmt::Debug for RecordingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingFile")
            .field("zoom_file_id", &self.zoom_file_id)
            .field("file_type", &self.file_type)
            .field("recording_type", &self.recording_type)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize, Default)]
pub(crate) struct WireRecording {
    #[serde(default)]
    uuid: Scalar,
    #[serde(default)]
    id: Scalar,
    #[serde(default)]
    host_id: Scalar,
    #[serde(default)]
    account_id: Scalar,
    #[serde(default)]
    topic: Scalar,
    #[serde(default)]
    start_time: Scalar,
    #[serde(default)]
    recording_files: List<WireFile>,
    #[serde(default)]
    participant_audio_files: List<WireFile>,
    #[serde(default)]
    download_access_token: Scalar,
}

#[derive(Deserialize)]
struct WireFile {
    #[serde(default)]
    id: Scalar,
    #[serde(default)]
    file_type: Scalar,
    #[serde(default)]
    file_extension: Scalar,
    #[serde(default)]
    recording_type: Scalar,
    #[serde(default)]
    file_size: Scalar,
    #[serde(default)]
    recording_start: Scalar,
    #[serde(default)]
    recording_end: Scalar,
    #[serde(default)]
    download_url: Scalar,
    #[serde(default)]
    status: Scalar,
}

pub(crate) fn from_object(object: Object<WireRecording>) -> Result<MeetingRecording, EventError> {
    object
        .0
        .ok_or(EventError::Missing("object"))
        .and_then(MeetingRecording::try_from)
}

impl TryFrom<WireRecording> for MeetingRecording {
    type Error = EventError;

    fn try_from(wire: WireRecording) -> Result<Self, EventError> {
        let mut synthetic = SyntheticIds::default();
        let participants = wire.participant_audio_files.0.into_iter().map(|mut file| {
            if matches!(file.recording_type, Scalar::Absent) {
                let each = RecordingType::AudioOnlyEachParticipant;
                file.recording_type = Scalar::Text(each.as_str().to_owned());
            }
            file
        });
        let files = wire
            .recording_files
            .0
            .into_iter()
            .chain(participants)
            .map(|file| file.read(&mut synthetic))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            uuid: wire
                .uuid
                .id("uuid")?
                .map(MeetingUuid::new)
                .ok_or(EventError::Missing("uuid"))?,
            meeting_id: wire.id.integer(),
            host_id: wire
                .host_id
                .id("host_id")?
                .map(ZoomUserId::new)
                .ok_or(EventError::Missing("host_id"))?,
            account_id: wire.account_id.id("account_id")?.map(ZoomAccountId::new),
            topic: Secret::new(wire.topic.text().unwrap_or_default()),
            start_time: wire.start_time.time(),
            files,
            download_access_token: wire.download_access_token.secret(),
        })
    }
}

impl WireFile {
    fn read(self, synthetic: &mut SyntheticIds) -> Result<RecordingFile, Malformed> {
        let file_type = label(self.file_type).map(FileType::from);
        let recording_start = self.recording_start.time();
        let given = self
            .id
            .id("recording_files[].id")?
            .filter(|id| !id.starts_with(RecordingFile::SYNTHETIC_ID_PREFIX));
        Ok(RecordingFile {
            zoom_file_id: given.map_or_else(
                || synthetic.next(file_type.as_ref(), recording_start),
                ZoomFileId::new,
            ),
            file_type,
            file_extension: self.file_extension.text().filter(|text| {
                (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
            }),
            recording_type: label(self.recording_type).map(RecordingType::from),
            file_size_bytes: self.file_size.unsigned(),
            recording_start,
            recording_end: self.recording_end.time(),
            download_url: self.download_url.secret(),
            status: label(self.status).map(ProcessingStatus::from),
        })
    }
}

// A short word of Zoom's; it is shown and stored, so no control character gets through.
fn label(scalar: Scalar) -> Option<String> {
    scalar
        .text()
        .filter(|text| text.len() <= 100 && !text.chars().any(char::is_control))
}

#[derive(Default)]
struct SyntheticIds(HashMap<String, u32>);

impl SyntheticIds {
    fn next(&mut self, file_type: Option<&FileType>, start: Option<Timestamp>) -> ZoomFileId {
        let name = format!(
            "{}{}@{}",
            RecordingFile::SYNTHETIC_ID_PREFIX,
            file_type.map_or("unknown", FileType::as_str),
            start.map_or_else(|| "unknown".to_owned(), |start| start.timestamp().to_string()),
        );
        let seen = self.0.entry(name.clone()).or_default();
        *seen += 1;
        // Two nameless files of one type and start are told apart by their order, or one would be lost.
        ZoomFileId::new(if *seen == 1 {
            name
        } else {
            format!("{name}#{seen}")
        })
    }
}
