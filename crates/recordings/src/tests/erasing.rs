//! What is left of a link's recordings after its end.

use std::time::Duration;

use domicile_kernel::{Clock, LinkId, Timestamp};

use super::events::{completed, mp4, video};
use super::fetching::{SIZE, reported};
use super::media::whole;
use super::room::{Room, run_with};
use crate::{Erased, RecordingsEraser};

async fn erase(room: &Room, ended_at: Timestamp) -> Erased {
    let eraser = RecordingsEraser::new(room.db.db(), room.ids.clone(), room.storage.clone());
    eraser.erase(room.link_id, ended_at).await.unwrap()
}

async fn assert_nothing_left(room: &Room) {
    assert_eq!(room.objects(), 0);
    for table in ["recordings", "recording_files", "jobs"] {
        assert_eq!(
            room.rows(&format!("SELECT * FROM {table}")).await,
            [""; 0],
            "{table}"
        );
    }
}

#[tokio::test]
async fn objects_rows_and_jobs_go_and_those_of_other_links_stay() {
    let room = Room::new().await;
    let url = room.media.url("127.0.0.1", "/rec/a");
    let event = completed(&[video("a", &url, SIZE), video("b", &url, SIZE)]);
    room.media.answers(|_| whole(&mp4(SIZE)));
    let other: LinkId = room.ids.make();
    room.add_link(other, "user:2", "another host").await;
    room.dispatch(&event).await;
    room.dispatch_to(other, &event).await;
    room.run().await;
    assert_eq!(room.objects(), 4);

    room.revoke_link().await;
    for _ in 0..2 {
        assert_eq!(erase(&room, room.clock.now()).await, Erased::All);
        assert_eq!(room.objects(), 2);
        let kept = room.rows("SELECT link_id FROM recordings").await;
        assert_eq!(kept, [other.to_string()]);
    }
}

#[tokio::test]
async fn what_waits_to_be_fetched_is_not_fetched_any_more() {
    let room = reported().await;
    room.merge().await;
    assert_eq!(room.jobs().await, ["recording.fetch queued - 0"]);
    room.revoke_link().await;
    assert_eq!(erase(&room, room.clock.now()).await, Erased::All);
    assert_nothing_left(&room).await;
    assert_eq!(room.run().await, 0);
}

#[tokio::test]
async fn a_running_fetch_cannot_finish_and_its_object_is_looked_for_again() {
    let room = reported().await;
    room.merge().await;
    let ended_at = room.clock.now();
    run_with(&room, &mp4(SIZE), async || {
        room.revoke_link().await;
        let until = ended_at + Duration::from_mins(2);
        assert_eq!(erase(&room, ended_at).await, Erased::AllBut { until });
        let left = "SELECT download_url_sealed, download_token_sealed FROM recording_files";
        assert_eq!(
            room.rows(left).await,
            [" "],
            "its row names the object and nothing more"
        );
    })
    .await;
    assert_eq!(room.objects(), 0);
    assert!(room.told().await.is_empty());
    room.clock.advance(Duration::from_mins(2));
    assert_eq!(erase(&room, ended_at).await, Erased::All);
    assert_nothing_left(&room).await;
}

#[tokio::test]
async fn what_a_dead_attempt_left_goes_too() {
    let room = reported().await;
    room.merge().await;
    let ended_at = room.clock.now();
    room.leave_dead_attempt().await;
    room.revoke_link().await;
    assert!(matches!(erase(&room, ended_at).await, Erased::AllBut { .. }));
    assert_eq!(room.objects(), 0);
    // A worker that nobody hears writes it once more.
    room.leave_dead_attempt().await;
    room.clock.advance(Duration::from_mins(2));
    assert_eq!(erase(&room, ended_at).await, Erased::All);
    assert_nothing_left(&room).await;
}
