use chrono::DateTime;
use domicile_kernel::{MeetingUuid, ZoomUserId};
use proptest::prelude::*;

use super::*;

fn recording(files: Vec<RecordingFile>) -> MeetingRecording {
    MeetingRecording {
        uuid: MeetingUuid::new("m=="),
        meeting_id: None,
        host_id: ZoomUserId::new("H"),
        account_id: None,
        topic: Secret::from(""),
        start_time: None,
        files,
        download_access_token: None,
    }
}

fn time(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

/// One event: its files, token and time.
#[derive(Clone)]
struct Event {
    files: Vec<RecordingFile>,
    token: Option<Secret<String>>,
    at: Option<Timestamp>,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("files", &self.files)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

fn a_file() -> impl Strategy<Value = RecordingFile> {
    let words = |words: &'static [&'static str]| proptest::option::of(proptest::sample::select(words));
    (
        0_u8..4,
        words(&["MP4", "M4A", "CHAT", "HOLOGRAM", "UNKNOWN"]),
        words(&["MP4", "m4a", "zip", "BIN"]),
        words(&["audio_only", "gallery_view"]),
        proptest::option::of(0_i64..5),
        proptest::option::of(0_u64..3),
        words(&["https://zoom.us/a", "https://zoom.us/b"]),
        words(&["completed", "processing", "waiting"]),
    )
        .prop_map(
            |(id, kind, extension, recording_type, start, size, url, status)| RecordingFile {
                zoom_file_id: ZoomFileId::new(format!("f{id}")),
                file_type: kind.map(Into::into),
                file_extension: extension.map(str::to_owned),
                recording_type: recording_type.map(Into::into),
                file_size_bytes: size,
                recording_start: start.map(time),
                recording_end: start.map(|start| time(start + 60)),
                download_url: url.map(Secret::from),
                status: status.map(Into::into),
            },
        )
}

fn an_event() -> impl Strategy<Value = Event> {
    (
        proptest::collection::vec(a_file(), 0..5),
        proptest::option::of("[ab]"),
        proptest::option::of(0_i64..3),
    )
        .prop_map(|(files, token, at)| Event {
            files,
            token: token.map(Secret::new),
            at: at.map(time),
        })
}

/// Takes events over one by one, as the merge job does, and shows all that is then known.
fn merged<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let mut known: BTreeMap<ZoomFileId, Known> = BTreeMap::new();
    for event in events {
        let incoming = files_of(&recording(event.files.clone()), event.token.as_ref(), event.at);
        for step in plan(&known, incoming) {
            match step {
                Step::Add { zoom_file_id, facts } => {
                    let id = FileId::from_uuid(uuid::Uuid::from_u128(known.len() as u128));
                    let status = FileStatus::Pending;
                    known.insert(zoom_file_id, Known { id, status, facts });
                }
                Step::Renew { id, status, facts } => {
                    let file = known.values_mut().find(|file| file.id == id).unwrap();
                    *file = Known { id, status, facts };
                }
                Step::Keep { .. } => {}
            }
        }
    }
    known
        .iter()
        .map(|(id, file)| format!("{id}: {}", shown(&file.facts)))
        .collect()
}

fn shown(facts: &Facts) -> String {
    let offer = facts.offer.as_ref().map(|offer| {
        let token = offer.token.as_ref().map(Secret::expose);
        (offer.url.expose(), token, offer.size_bytes, offer.at)
    });
    format!(
        "{:?} {:?} {:?} {:?} {:?} {offer:?}",
        facts.kind, facts.extension, facts.recording_type, facts.recorded_from, facts.recorded_to,
    )
}

proptest! {
    #[test]
    fn any_order_of_events_gives_the_same_files(
        (events, shuffled) in proptest::collection::vec(an_event(), 0..6)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        prop_assert_eq!(merged(&events), merged(&shuffled));
    }

    #[test]
    fn an_event_that_comes_again_changes_nothing(
        events in proptest::collection::vec(an_event(), 1..5),
        again in any::<proptest::sample::Index>(),
    ) {
        let twice: Vec<_> = events.iter().chain([again.get(&events)]).collect();
        prop_assert_eq!(merged(&events), merged(twice));
    }

    #[test]
    fn what_was_taken_over_is_kept_when_it_comes_again(event in an_event()) {
        let incoming = files_of(&recording(event.files.clone()), event.token.as_ref(), event.at);
        let known: BTreeMap<_, _> = incoming
            .iter()
            .map(|(id, facts)| {
                let known = Known {
                    id: FileId::from_uuid(uuid::Uuid::nil()),
                    status: FileStatus::Pending,
                    facts: facts.clone(),
                };
                (id.clone(), known)
            })
            .collect();
        for step in plan(&known, incoming) {
            let kept = matches!(step, Step::Keep { .. });
            prop_assert!(kept);
        }
    }
}

fn file(status: Option<&str>, url: Option<&str>) -> RecordingFile {
    RecordingFile {
        zoom_file_id: ZoomFileId::new("f"),
        file_type: Some("MP4".into()),
        file_extension: None,
        recording_type: None,
        file_size_bytes: Some(7),
        recording_start: None,
        recording_end: None,
        download_url: url.map(Secret::from),
        status: status.map(Into::into),
    }
}

fn one(file: RecordingFile, at: i64) -> BTreeMap<ZoomFileId, Facts> {
    files_of(&recording(vec![file]), Some(&Secret::from("T")), Some(time(at)))
}

fn known(status: FileStatus, facts: &BTreeMap<ZoomFileId, Facts>) -> BTreeMap<ZoomFileId, Known> {
    facts
        .iter()
        .map(|(id, facts)| {
            let known = Known {
                id: FileId::from_uuid(uuid::Uuid::nil()),
                status,
                facts: facts.clone(),
            };
            (id.clone(), known)
        })
        .collect()
}

const URL: Option<&str> = Some("https://zoom.us/rec/1");
const LATER_URL: Option<&str> = Some("https://zoom.us/rec/0");

#[test]
fn a_file_on_the_customers_premises_is_left_out_and_one_in_the_making_is_not() {
    assert!(one(file(Some("completed"), None), 0).is_empty());
    assert!(one(file(None, None), 0).is_empty());
    let making = one(file(Some("processing"), URL), 0);
    assert!(making.values().all(|facts| facts.offer.is_none()));
    assert_eq!(making.len(), 1);
    assert_eq!(one(file(Some("processing"), None), 0).len(), 1);
}

#[test]
fn a_stored_file_is_never_touched() {
    let known = known(FileStatus::Stored, &one(file(Some("completed"), URL), 0));
    let steps = plan(&known, one(file(Some("completed"), LATER_URL), 5));
    assert!(matches!(steps[..], [Step::Keep { fetch: false, .. }]));
}

#[test]
fn the_latest_offer_counts_whichever_came_last() {
    for (first, second) in [((0, URL), (5, LATER_URL)), ((5, LATER_URL), (0, URL))] {
        let joined = one(file(None, first.1), first.0)
            .remove(&ZoomFileId::new("f"))
            .unwrap()
            .join(
                one(file(None, second.1), second.0)
                    .remove(&ZoomFileId::new("f"))
                    .unwrap(),
            );
        assert_eq!(Some(joined.offer.unwrap().url.expose().as_str()), LATER_URL);
    }
}

#[test]
fn a_failed_file_waits_again_once_it_is_offered() {
    let known = known(FileStatus::Failed, &one(file(None, URL), 0));
    let steps = plan(&known, one(file(None, LATER_URL), 5));
    assert!(matches!(
        steps[..],
        [Step::Renew {
            status: FileStatus::Pending,
            ..
        }]
    ));
    let steps = plan(&known, one(file(Some("processing"), None), 5));
    assert!(matches!(steps[..], [Step::Keep { fetch: false, .. }]));
}

#[test]
fn a_recording_began_with_its_first_file_else_with_the_meeting() {
    let (meeting, early, late) = (Some(time(0)), Some(time(10)), Some(time(20)));
    assert_eq!(started_at([late, None, early], None, meeting), early);
    assert_eq!(started_at([None], None, meeting), meeting);
    assert_eq!(started_at([None], meeting, late), meeting);
    assert_eq!(started_at([], None, None), None);
}
