//! Meetings, their recordings, and what happens to them.

use chrono::TimeDelta;
use domicile_kernel::random::random_bytes;
use serde::{Deserialize, Serialize};

use crate::control::ControlError;
use crate::media::Media;
use crate::model::meeting::{FileKind, FileState, Meeting, NewFile, NewMeeting, NewRecording, RecordingFile};
use crate::model::webhook::WebhookDelivery;
use crate::random;
use crate::sim::Sim;
use crate::webhook::payload::Occasion;
use crate::webhook::publish::{Audience, Manner};

/// Which files of a recording are meant, and who hears of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSelection {
    /// The files; empty: all that the operation can apply to.
    pub file_ids: Vec<String>,
    /// Who hears of it.
    pub audience: Audience,
}

/// A file as it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// The file.
    pub file_id: String,
    /// `file_type`.
    pub file_type: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Which version of its bytes: 0, or more after `different_body` faults.
    pub variant: u32,
    /// SHA-256 of the bytes in lower-case hexadecimal.
    pub sha256: String,
}

impl Sim {
    /// Makes a meeting instance without a recording.
    pub fn create_meeting(&self, new: NewMeeting) -> Result<Meeting, ControlError> {
        let rng = self.rng();
        let timezone = self.user(&new.host_id)?.timezone;
        let start_time = new.start_time.unwrap_or_else(|| self.now() - TimeDelta::hours(1));
        let uuid = new.uuid.unwrap_or_else(|| random::meeting_uuid(rng));
        let meeting = Meeting {
            uuid: uuid.clone(),
            id: new.id.unwrap_or_else(|| random::meeting_number(rng)),
            host_id: new.host_id,
            topic: new.topic.unwrap_or_else(|| "Weekly review".to_owned()),
            kind: new.kind.unwrap_or(2),
            start_time,
            duration_minutes: new.duration_minutes.unwrap_or(45),
            timezone,
            password: format!("{}!{}", &random::hex_text::<3>(rng), &random::hex_text::<2>(rng)),
            files: Vec::new(),
        };
        self.update(|state| {
            if state.meetings.contains_key(&uuid) {
                return Err(ControlError::Taken("the meeting's uuid"));
            }
            state.meetings.insert(uuid, meeting.clone());
            Ok(meeting)
        })
    }

    /// All meeting instances.
    pub fn meetings(&self) -> Vec<Meeting> {
        self.read(|state| state.meetings.values().cloned().collect())
    }

    /// One meeting instance.
    pub fn meeting(&self, uuid: &str) -> Result<Meeting, ControlError> {
        self.read(|state| state.meetings.get(uuid).cloned())
            .ok_or(ControlError::UnknownMeeting)
    }

    /// Records: adds files, still processing, to a meeting that exists or to a new one. No event is sent; a second
    /// call for the same meeting is a recording that was stopped and begun again.
    pub fn create_recording(&self, new: NewRecording) -> Result<Meeting, ControlError> {
        let uuid = match (new.meeting_uuid, new.meeting) {
            (Some(uuid), None) => uuid,
            (None, Some(meeting)) => {
                let files = whole(&new.files);
                files.iter().try_for_each(check)?;
                self.create_meeting(meeting)?.uuid
            }
            _ => {
                return Err(ControlError::Invalid(
                    "give either meeting_uuid or meeting".to_owned(),
                ));
            }
        };
        let files = whole(&new.files);
        files.iter().try_for_each(check)?;
        let meeting = self.meeting(&uuid)?;
        let files: Vec<RecordingFile> = files.into_iter().map(|file| self.file(&meeting, file)).collect();
        self.update(|state| {
            let taken = |id: &str| {
                state
                    .meetings
                    .values()
                    .any(|it| it.files.iter().any(|file| file.id == id))
            };
            if files.iter().any(|file| taken(&file.id)) {
                return Err(ControlError::Taken("a file's id"));
            }
            let meeting = state
                .meetings
                .get_mut(&uuid)
                .ok_or(ControlError::UnknownMeeting)?;
            meeting.files.extend(files);
            Ok(meeting.clone())
        })
    }

    /// Ends processing of all files but transcripts, and sends `recording.completed` with them. With nothing left to
    /// process, the completed files are announced once more.
    pub async fn finish_recording(
        &self,
        uuid: &str,
        selection: &FileSelection,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        self.finish(uuid, selection, "recording.completed", |kind| {
            kind != FileKind::Transcript
        })
        .await
    }

    /// Ends processing of the transcripts, and sends `recording.transcript_completed`.
    pub async fn finish_transcript(
        &self,
        uuid: &str,
        selection: &FileSelection,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        self.finish(uuid, selection, "recording.transcript_completed", |kind| {
            kind == FileKind::Transcript
        })
        .await
    }

    async fn finish(
        &self,
        uuid: &str,
        selection: &FileSelection,
        event: &str,
        fits: fn(FileKind) -> bool,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        let chosen = self.update(|state| {
            let meeting = state.meetings.get_mut(uuid).ok_or(ControlError::UnknownMeeting)?;
            let wanted = |file: &RecordingFile| {
                if selection.file_ids.is_empty() {
                    fits(file.kind)
                } else {
                    selection.file_ids.contains(&file.id)
                }
            };
            let in_state = |meeting: &Meeting, wished: FileState| -> Vec<String> {
                meeting
                    .files_in(wished)
                    .filter(|file| wanted(file))
                    .map(|file| file.id.clone())
                    .collect()
            };
            let fresh = in_state(meeting, FileState::Processing);
            let chosen = if fresh.is_empty() {
                in_state(meeting, FileState::Completed)
            } else {
                fresh
            };
            for file in meeting.files.iter_mut().filter(|file| chosen.contains(&file.id)) {
                file.state = FileState::Completed;
            }
            Ok::<_, ControlError>(chosen)
        })?;
        self.tell_of_files(uuid, event, chosen, selection.audience).await
    }

    /// Puts files into the trash; sends `recording.trashed`.
    pub async fn trash_files(
        &self,
        uuid: &str,
        selection: &FileSelection,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        self.change(
            uuid,
            selection,
            "recording.trashed",
            &[FileState::Completed],
            FileState::Trashed,
        )
        .await
    }

    /// Deletes files for good; sends `recording.deleted`.
    pub async fn delete_files(
        &self,
        uuid: &str,
        selection: &FileSelection,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        let from = [FileState::Completed, FileState::Trashed];
        self.change(uuid, selection, "recording.deleted", &from, FileState::Deleted)
            .await
    }

    /// Takes files out of the trash; sends `recording.recovered`.
    pub async fn recover_files(
        &self,
        uuid: &str,
        selection: &FileSelection,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        self.change(
            uuid,
            selection,
            "recording.recovered",
            &[FileState::Trashed],
            FileState::Completed,
        )
        .await
    }

    async fn change(
        &self,
        uuid: &str,
        selection: &FileSelection,
        event: &str,
        from: &[FileState],
        to: FileState,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        let changed = self.update(|state| {
            let meeting = state.meetings.get_mut(uuid).ok_or(ControlError::UnknownMeeting)?;
            let mut changed = Vec::new();
            for file in &mut meeting.files {
                let wanted = selection.file_ids.is_empty() || selection.file_ids.contains(&file.id);
                if wanted && from.contains(&file.state) {
                    file.state = to;
                    changed.push(file.id.clone());
                }
            }
            Ok::<_, ControlError>(changed)
        })?;
        self.tell_of_files(uuid, event, changed, selection.audience).await
    }

    async fn tell_of_files(
        &self,
        uuid: &str,
        event: &str,
        file_ids: Vec<String>,
        audience: Audience,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        if file_ids.is_empty() {
            return Err(ControlError::Invalid(format!(
                "the recording has no file for {event}"
            )));
        }
        let by_somebody = matches!(
            event,
            "recording.trashed" | "recording.deleted" | "recording.recovered"
        );
        let operator_id = if by_somebody {
            Some(self.meeting(uuid)?.host_id)
        } else {
            None
        };
        let occasion = Occasion::Recording {
            event: event.to_owned(),
            meeting_uuid: uuid.to_owned(),
            file_ids,
            operator_id,
        };
        Ok(self
            .publish(
                occasion,
                Manner {
                    audience,
                    ..Manner::default()
                },
            )
            .await)
    }

    /// The SHA-256 of every file of a recording, as it is served now.
    pub async fn digests(&self, uuid: &str) -> Result<Vec<FileDigest>, ControlError> {
        let mut digests = Vec::new();
        for file in self.meeting(uuid)?.files {
            let variant = file.variant;
            digests.push(self.digest_of(file, variant).await?);
        }
        Ok(digests)
    }

    /// The SHA-256 of one version of a file's bytes; `None` means the one served now.
    pub async fn digest(&self, file_id: &str, variant: Option<u32>) -> Result<FileDigest, ControlError> {
        let file = self
            .read(|state| {
                let mut files = state.meetings.values().flat_map(|meeting| &meeting.files);
                files.find(|file| file.id == file_id).cloned()
            })
            .ok_or(ControlError::UnknownFile)?;
        let variant = variant.unwrap_or(file.variant);
        self.digest_of(file, variant).await
    }

    async fn digest_of(&self, file: RecordingFile, variant: u32) -> Result<FileDigest, ControlError> {
        let media = Media::of(&file, variant).ok_or(ControlError::UnknownFile)?;
        let hashed = self.0.runtime.spawn_blocking(move || media.sha256()).await;
        Ok(FileDigest {
            sha256: hashed.map_err(|_| ControlError::UnknownFile)?,
            file_id: file.id,
            file_type: file.kind.file_type().to_owned(),
            size_bytes: file.size_bytes,
            variant,
        })
    }

    fn file(&self, meeting: &Meeting, new: NewFile) -> RecordingFile {
        let minutes = TimeDelta::minutes(i64::from(meeting.duration_minutes));
        RecordingFile {
            id: new.id.unwrap_or_else(|| random::uuid_text(self.rng())),
            kind: new.kind,
            recording_type: new
                .recording_type
                .unwrap_or_else(|| new.kind.recording_type().to_owned()),
            size_bytes: new.size_bytes.unwrap_or(DEFAULT_BYTES),
            seed: new
                .seed
                .unwrap_or_else(|| u64::from(u32::from_le_bytes(random_bytes(self.rng())))),
            variant: 0,
            state: FileState::Processing,
            content_length: new.content_length.unwrap_or(true),
            sparse: new.sparse,
            participant: new.participant,
            recording_start: meeting.start_time,
            recording_end: meeting.start_time + minutes,
        }
    }
}

const DEFAULT_BYTES: u64 = 64 * 1024;

fn whole(files: &[NewFile]) -> Vec<NewFile> {
    if !files.is_empty() {
        return files.to_vec();
    }
    let plain = |kind| NewFile {
        size_bytes: None,
        seed: None,
        ..NewFile::new(kind, 0, 0)
    };
    [FileKind::Mp4, FileKind::M4a, FileKind::Transcript]
        .map(plain)
        .into()
}

fn check(file: &NewFile) -> Result<(), ControlError> {
    let size = file.size_bytes.unwrap_or(DEFAULT_BYTES);
    let fits = Media::new(file.kind, size, 0).is_some();
    let text = || format!("{size} bytes are too few for a {} file", file.kind.file_type());
    if fits {
        Ok(())
    } else {
        Err(ControlError::Invalid(text()))
    }
}
