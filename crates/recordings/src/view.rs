//! Recordings as the app sees them: in the App API and in events.

use std::collections::HashMap;

use domicile_kernel::state::{FileStatus, RecordingStatus};
use domicile_kernel::{FileId, MeetingUuid, RecordingId, Secret, Subject, Timestamp, ZoomUserId};
use domicile_store::StoreError;
use serde::{Serialize, Serializer};

use crate::store::{FileRow, RecordingRow};

/// A recording.
#[derive(Serialize)]
pub(crate) struct RecordingView {
    id: RecordingId,
    subject: Subject,
    status: RecordingStatus,
    meeting: MeetingView,
    files: Vec<FileView>,
}

#[derive(Serialize)]
struct MeetingView {
    uuid: MeetingUuid,
    id: Option<i64>,
    topic: Option<Topic>,
    host_id: Option<ZoomUserId>,
    started_at: Option<Timestamp>,
}

/// A file of a recording.
#[derive(Serialize)]
pub(crate) struct FileView {
    id: FileId,
    kind: String,
    extension: String,
    status: FileStatus,
    size_bytes: Option<i64>,
    sha256: Option<String>,
    /// Below the app listener's own URL; nothing before the file is stored.
    content_url: Option<String>,
}

/// What the events `recording.stored` and `recording.incomplete` hold.
#[derive(Serialize)]
pub(crate) struct EventData {
    pub(crate) recording: RecordingView,
}

/// A topic on its way to the app, the only reader that it is for.
#[derive(Clone)]
pub(crate) struct Topic(pub(crate) Secret<String>);

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl RecordingView {
    /// The id, which is also its place in lists.
    pub(crate) fn id(&self) -> RecordingId {
        self.id
    }

    pub(crate) fn new(
        row: &RecordingRow,
        subject: Subject,
        status: RecordingStatus,
        topic: Option<Topic>,
        files: &[FileRow],
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id(),
            subject,
            status,
            meeting: MeetingView {
                uuid: row.meeting_uuid(),
                id: row.meeting_id,
                topic,
                host_id: row.host_id.clone().map(ZoomUserId::new),
                started_at: row.started_at,
            },
            files: files.iter().map(FileView::new).collect::<Result<_, _>>()?,
        })
    }
}

impl FileView {
    fn new(row: &FileRow) -> Result<Self, StoreError> {
        let status = row.status()?;
        Ok(Self {
            id: row.id(),
            kind: row.kind.clone(),
            extension: row.extension.clone(),
            status,
            size_bytes: row.size_bytes,
            sha256: row.sha256.as_ref().map(hex::encode),
            content_url: (status == FileStatus::Stored)
                .then(|| format!("/v1/recordings/{}/files/{}/content", row.recording_id, row.id)),
        })
    }
}

/// Sorts files to their recordings.
pub(crate) fn by_recording(files: Vec<FileRow>) -> HashMap<RecordingId, Vec<FileRow>> {
    let mut sorted: HashMap<_, Vec<_>> = HashMap::new();
    for file in files {
        sorted.entry(file.recording_id()).or_default().push(file);
    }
    sorted
}
