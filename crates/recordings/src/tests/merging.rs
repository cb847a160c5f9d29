use serde_json::json;

use super::events::{MEETING, TOPIC, completed, video};
use super::room::Room;
use crate::{sealed, store};

#[tokio::test]
async fn an_event_becomes_a_recording_with_its_files_and_a_job_for_each() {
    let room = Room::new().await;
    let mut making = video("b", "https://127.0.0.1/b", 5);
    making["status"] = json!("processing");
    room.dispatch(&completed(&[video("a", "https://127.0.0.1/a", 20), making]))
        .await;
    assert_eq!(room.merge().await, 1);

    assert_eq!(room.files().await, ["a pending -", "b pending -"]);
    assert_eq!(room.jobs().await, ["recording.fetch queued - 0"]);
    let recording = room
        .rows(
            "SELECT meeting_uuid, meeting_id, host_id, status, started_at AT TIME ZONE 'UTC' FROM recordings",
        )
        .await;
    assert_eq!(
        recording,
        [format!(
            "{MEETING} 81234567890 HostAAAAAAAAAAAAAAAAAA fetching \"2026-05-30 09:01:02\""
        )]
    );
}

#[tokio::test]
async fn topics_urls_and_tokens_are_nowhere_in_clear() {
    let room = Room::new().await;
    let mut event = completed(&[video("a", "https://127.0.0.1/PLANTED-URL", 20)]);
    event["download_token"] = json!("PLANTED-TOKEN");
    room.dispatch(&event).await;
    room.merge().await;
    for table in ["recordings", "recording_files", "jobs"] {
        for row in room
            .rows(&format!(
                "SELECT convert_from(convert_to(t::text, 'UTF8'), 'UTF8') FROM {table} t"
            ))
            .await
        {
            assert!(!row.contains("PLANTED"), "{table}");
            assert!(!row.contains(&hex::encode("PLANTED")), "{table}");
        }
    }
    let topic = room.rows("SELECT topic_sealed IS NOT NULL FROM recordings").await;
    assert_eq!(topic, ["t"]);
    let recording = room
        .library
        .recording(room.recording_id().await)
        .await
        .unwrap()
        .unwrap();
    let shown = serde_json::to_value(&recording).unwrap();
    assert_eq!(shown["meeting"]["topic"], TOPIC);
}

#[tokio::test]
async fn any_order_of_events_and_any_repetition_gives_the_same_rows() {
    let part = |id: &str, at: i64, path: &str, size: usize| {
        let mut event = completed(&[video(id, &format!("https://127.0.0.1/{path}"), size)]);
        event["event_ts"] = json!(1_780_310_000_000_i64 + at);
        event
    };
    let mut transcript = part("c", 9, "vtt", 8);
    transcript["event"] = json!("recording.transcript_completed");
    transcript["payload"]["object"]["recording_files"][0]["file_type"] = json!("TRANSCRIPT");
    transcript["payload"]["object"]["recording_files"][0]["file_extension"] = json!("VTT");
    let mut untyped = part("a", 3, "older", 10);
    untyped["payload"]["object"]["recording_files"][0]["file_type"] = json!(null);
    let events = [
        part("a", 5, "newer", 20),
        untyped,
        part("b", 4, "b", 30),
        transcript,
    ];
    let orders: [&[usize]; 4] = [
        &[0, 1, 2, 3],
        &[3, 2, 1, 0],
        &[1, 3, 0, 2],
        &[2, 1, 1, 0, 3, 0, 2],
    ];

    let mut outcomes = Vec::new();
    for order in orders {
        let room = Room::new().await;
        for index in order {
            room.dispatch(&events[*index]).await;
            assert_eq!(room.merge().await, 1);
        }
        let mut rows = room
            .rows(
                "SELECT zoom_file_id, kind, extension, recording_type, status, recorded_from, recorded_to,
                     announced_size_bytes FROM recording_files ORDER BY zoom_file_id",
            )
            .await;
        rows.extend(
            room.rows("SELECT meeting_uuid, status, started_at FROM recordings")
                .await,
        );
        let mut conn = room.db.db().conn().await.unwrap();
        let mut files = store::files_of_recording(&mut conn, room.recording_id().await)
            .await
            .unwrap();
        files.sort_by(|one, two| one.zoom_file_id.cmp(&two.zoom_file_id));
        for file in files {
            let offer = sealed::open_offer(&room.vault, &file).await.unwrap().unwrap();
            rows.push(offer.url.expose().clone());
        }
        outcomes.push(rows);
    }
    assert!(
        outcomes[0].contains(&"https://127.0.0.1/newer".to_owned()),
        "{:?}",
        outcomes[0]
    );
    assert_eq!(outcomes[0].len(), 7);
    for outcome in &outcomes {
        assert_eq!(outcome, &outcomes[0]);
    }
}

#[tokio::test]
async fn events_of_two_links_about_one_meeting_make_two_recordings() {
    let room = Room::new().await;
    let other = room.ids.make();
    room.add_link(other, "user:2", "AnotherHost").await;
    let event = completed(&[video("a", "https://127.0.0.1/a", 20)]);
    room.dispatch(&event).await;
    room.dispatch_to(other, &event).await;
    assert_eq!(room.merge().await, 2);
    assert_eq!(room.files().await, ["a pending -", "a pending -"]);
}

#[tokio::test]
async fn events_that_are_merged_at_once_make_one_recording() {
    let room = Room::new().await;
    for id in 0..6 {
        let file = video(&format!("file-{id}"), "https://127.0.0.1/a", 20);
        room.dispatch(&completed(&[file, video("same", "https://127.0.0.1/s", 20)]))
            .await;
    }
    let workers = (0..3).map(|_| room.merge());
    let merged: usize = futures_util::future::join_all(workers).await.into_iter().sum();
    assert_eq!(merged, 6);
    assert_eq!(room.rows("SELECT count(*) FROM recordings").await, ["1"]);
    assert_eq!(room.files().await.len(), 7);
}

#[tokio::test]
async fn nothing_is_kept_for_a_link_that_has_ended() {
    let room = Room::new().await;
    room.dispatch(&completed(&[video("a", "https://127.0.0.1/a", 20)]))
        .await;
    room.revoke_link().await;
    assert_eq!(room.merge().await, 1);
    assert_eq!(room.rows("SELECT id FROM recordings").await, [""; 0]);
    assert_eq!(room.jobs().await, [""; 0]);
}

#[tokio::test]
async fn an_event_without_a_file_in_the_cloud_makes_no_recording() {
    let room = Room::new().await;
    let mut local = video("a", "", 20);
    local.as_object_mut().unwrap().remove("download_url");
    room.dispatch(&completed(&[local])).await;
    room.merge().await;
    assert_eq!(room.rows("SELECT id FROM recordings").await, [""; 0]);
    assert_eq!(room.jobs().await, [""; 0]);
}

#[tokio::test]
async fn an_event_of_another_account_or_that_cannot_be_read_is_quarantined() {
    let room = Room::new().await;
    let mut event = completed(&[video("a", "https://127.0.0.1/a", 20)]);
    event["payload"]["account_id"] = json!("another");
    room.dispatch(&event).await;
    room.merge().await;
    assert_eq!(room.jobs().await, ["recording.merge quarantined other_account 1"]);

    let room = Room::new().await;
    room.dispatch(&json!({"event": "recording.completed"})).await;
    room.merge().await;
    assert_eq!(
        room.jobs().await,
        ["recording.merge quarantined malformed_event 1"]
    );
}

#[tokio::test]
async fn a_job_whose_key_is_none_of_ours_is_quarantined() {
    let room = Room::new().await;
    room.dispatch(&completed(&[video("a", "https://127.0.0.1/a", 20)]))
        .await;
    room.run_sql("UPDATE jobs SET key = 'no key of ours'").await;
    room.merge().await;
    assert_eq!(room.jobs().await, ["recording.merge quarantined malformed_key 1"]);
}
