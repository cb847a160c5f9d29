//! What is known of each file of a recording, and how events add to it.
//!
//! Zoom sends several events for one recording, late, twice and in any order. So facts are joined by a rule that depends
//! on the facts alone: joining is idempotent, commutative and associative, and any order of events gives the same files.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use domicile_kernel::state::FileStatus;
use domicile_kernel::{FileId, Secret, Timestamp, ZoomFileId};
use domicile_zoom::recording::{FileType, MeetingRecording, ProcessingStatus, RecordingFile};

use crate::format::{UNKNOWN_EXTENSION, extension_of};

/// Stands in rows for a `file_type` that Zoom did not name.
pub(crate) const UNKNOWN_KIND: &str = "UNKNOWN";

/// What is known of one file.
#[derive(Clone)]
pub(crate) struct Facts {
    /// Zoom's `file_type`.
    pub(crate) kind: Option<String>,
    /// The ending that Zoom names, else the one that the type has; in lower case.
    pub(crate) extension: Option<String>,
    /// Zoom's `recording_type`.
    pub(crate) recording_type: Option<String>,
    pub(crate) recorded_from: Option<Timestamp>,
    pub(crate) recorded_to: Option<Timestamp>,
    /// Where to fetch it; nothing while Zoom still works on it.
    pub(crate) offer: Option<Offer>,
}

/// One place where Zoom serves a file, as one event names it.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) url: Secret<String>,
    pub(crate) token: Option<Secret<String>>,
    /// The size announced with this URL.
    pub(crate) size_bytes: Option<u64>,
    /// When Zoom says that the event happened: the latest offer counts.
    pub(crate) at: Option<Timestamp>,
}

impl Offer {
    /// The later one; between two of the same time any rule will do that does not depend on their order.
    fn compare(&self, other: &Self) -> Ordering {
        fn key(offer: &Offer) -> (Option<Timestamp>, &str, Option<&str>, Option<u64>) {
            let token = offer.token.as_ref().map(|token| token.expose().as_str());
            (offer.at, offer.url.expose(), token, offer.size_bytes)
        }
        key(self).cmp(&key(other))
    }
}

impl Facts {
    fn of(file: &RecordingFile, token: Option<&Secret<String>>, at: Option<Timestamp>) -> Self {
        let offer = match &file.download_url {
            Some(url) if file.is_ready() => Some(Offer {
                url: url.clone(),
                token: token.cloned(),
                size_bytes: file.file_size_bytes.filter(|size| i64::try_from(*size).is_ok()),
                at,
            }),
            _ => None,
        };
        let kind = file.file_type.as_ref().map(FileType::as_str);
        let extension = match &file.file_extension {
            Some(text) => text.to_ascii_lowercase(),
            None => extension_of(kind).to_owned(),
        };
        Self {
            kind: kind.filter(|kind| *kind != UNKNOWN_KIND).map(str::to_owned),
            extension: Some(extension).filter(|text| text != UNKNOWN_EXTENSION),
            recording_type: file.recording_type.as_ref().map(|kind| kind.as_str().to_owned()),
            recorded_from: file.recording_start,
            recorded_to: file.recording_end,
            offer,
        }
    }

    /// Both together: what is known beats what is not; of two values the lesser stays, of two offers the later.
    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            kind: lesser(self.kind, other.kind),
            extension: lesser(self.extension, other.extension),
            recording_type: lesser(self.recording_type, other.recording_type),
            recorded_from: lesser(self.recorded_from, other.recorded_from),
            recorded_to: self.recorded_to.max(other.recorded_to),
            offer: match (self.offer, other.offer) {
                (Some(one), Some(two)) if one.compare(&two) == Ordering::Less => Some(two),
                (one, two) => one.or(two),
            },
        }
    }

    fn same(&self, other: &Self) -> bool {
        let offers = match (&self.offer, &other.offer) {
            (Some(one), Some(two)) => one.compare(two) == Ordering::Equal,
            (None, None) => true,
            _ => false,
        };
        offers
            && self.kind == other.kind
            && self.extension == other.extension
            && self.recording_type == other.recording_type
            && self.recorded_from == other.recorded_from
            && self.recorded_to == other.recorded_to
    }
}

fn lesser<T: Ord>(one: Option<T>, two: Option<T>) -> Option<T> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.min(two)),
        (one, two) => one.or(two),
    }
}

/// The files of one event that are ours to keep, each once. A file without a URL that Zoom does not work on any more lies
/// on the customer's own premises and is left out.
pub(crate) fn files_of(
    recording: &MeetingRecording,
    token: Option<&Secret<String>>,
    at: Option<Timestamp>,
) -> BTreeMap<ZoomFileId, Facts> {
    let mut files = BTreeMap::new();
    for file in &recording.files {
        let processing = file
            .status
            .as_ref()
            .is_some_and(|status| *status != ProcessingStatus::Completed);
        if file.download_url.is_none() && !processing {
            continue;
        }
        let facts = Facts::of(file, token, at);
        let joined = match files.remove(&file.zoom_file_id) {
            Some(before) => facts.join(before),
            None => facts,
        };
        files.insert(file.zoom_file_id.clone(), joined);
    }
    files
}

/// A file that has a row.
pub(crate) struct Known {
    pub(crate) id: FileId,
    pub(crate) status: FileStatus,
    pub(crate) facts: Facts,
}

/// What is to be done for one file.
pub(crate) enum Step {
    /// Write a row; fetch it if there is an offer.
    Add { zoom_file_id: ZoomFileId, facts: Facts },
    /// Write the facts anew and fetch it if there is an offer; a failed file that has a new offer waits again.
    Renew {
        id: FileId,
        status: FileStatus,
        facts: Facts,
    },
    /// Leave the row alone. `fetch` asks for its job again, in case an operator removed it.
    Keep { id: FileId, fetch: bool },
}

/// What an event changes. A stored file is never touched.
pub(crate) fn plan(known: &BTreeMap<ZoomFileId, Known>, incoming: BTreeMap<ZoomFileId, Facts>) -> Vec<Step> {
    incoming
        .into_iter()
        .map(|(zoom_file_id, facts)| {
            let Some(known) = known.get(&zoom_file_id) else {
                return Step::Add { zoom_file_id, facts };
            };
            if known.status == FileStatus::Stored {
                return Step::Keep {
                    id: known.id,
                    fetch: false,
                };
            }
            let offered = facts.offer.is_some();
            let joined = known.facts.clone().join(facts);
            let revived = known.status == FileStatus::Failed && offered;
            if !revived && joined.same(&known.facts) {
                return Step::Keep {
                    id: known.id,
                    fetch: offered,
                };
            }
            Step::Renew {
                id: known.id,
                status: if offered {
                    FileStatus::Pending
                } else {
                    known.status
                },
                facts: joined,
            }
        })
        .collect()
}

/// When the recording began: the earliest start of a file, else the meeting's.
pub(crate) fn started_at(
    files: impl IntoIterator<Item = Option<Timestamp>>,
    before: Option<Timestamp>,
    meeting: Option<Timestamp>,
) -> Option<Timestamp> {
    files.into_iter().flatten().min().or(lesser(before, meeting))
}

#[cfg(test)]
mod tests;
