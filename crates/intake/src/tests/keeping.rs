use domicile_kernel::Fate;
use futures_util::future::join_all;

use super::*;
use crate::IntakeError;

const BODY: &str = r#"{"event":"recording.completed","event_ts":1780315000000,"payload":{"account_id":"acc","object":{"host_id":"host","topic":"Café \u00e9"}}}"#;

async fn keep(room: &Room, endpoint: Endpoint, body: &str, request_id: Option<&str>) -> Kept {
    let request = room.arrival(body.as_bytes(), request_id).await;
    room.intake.keep(endpoint, &request).await.unwrap()
}

#[tokio::test]
async fn a_kept_body_is_sealed_and_opens_byte_for_byte() {
    let room = Room::new().await;
    let id = room.keep(BODY).await;
    let body = room.intake.body(id).await.unwrap();
    assert_eq!(body.expose().as_slice(), BODY.as_bytes());
    let client = room.db.client().await;
    let row = client
        .query_one(
            "SELECT event_type, zoom_account_id, zoom_user_id, event_at = timestamptz '2026-06-01 11:56:40Z', \
             body_size_bytes, position('recording'::bytea IN body_sealed), encode(digest, 'hex') FROM inbox",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "recording.completed");
    assert_eq!(row.get::<_, &str>(1), "acc");
    assert_eq!(row.get::<_, &str>(2), "host");
    assert!(row.get::<_, bool>(3));
    assert_eq!(usize::try_from(row.get::<_, i32>(4)).unwrap(), BODY.len());
    assert_eq!(row.get::<_, i32>(5), 0);
    let digest: String = row.get(6);
    assert_eq!(digest.len(), 64);
    assert!(!room.rows().await.concat().contains("Caf"));
}

#[tokio::test]
async fn a_duplicate_changes_nothing_whatever_its_request_id() {
    let room = Room::new().await;
    let first = keep(&room, Endpoint::Events, BODY, Some("one")).await;
    assert_eq!(first, Kept::New);
    let before = room.rows().await;
    room.clock.advance(Duration::from_mins(5));
    for request_id in [Some("one"), Some("two"), None] {
        let again = keep(&room, Endpoint::Events, BODY, request_id).await;
        assert_eq!(again, Kept::Duplicate);
    }
    assert_eq!(room.rows().await, before);
}

#[tokio::test]
async fn another_body_under_the_same_request_id_and_the_same_body_at_the_other_endpoint_are_new() {
    let room = Room::new().await;
    keep(&room, Endpoint::Events, r#"{"event":"a"}"#, Some("one")).await;
    let other_body = keep(&room, Endpoint::Events, r#"{"event":"b"}"#, Some("one")).await;
    let other_endpoint = keep(&room, Endpoint::Bot, r#"{"event":"a"}"#, Some("one")).await;
    assert_eq!((other_body, other_endpoint), (Kept::New, Kept::New));
    assert_eq!(room.rows().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_equal_bodies_at_once_one_is_kept() {
    let room = Room::new().await;
    let requests = join_all((0..20).map(|_| room.arrival(BODY.as_bytes(), None))).await;
    let all = join_all(
        requests
            .iter()
            .map(|request| room.intake.keep(Endpoint::Events, request)),
    )
    .await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.iter().filter(|kept| **kept == Kept::New).count(), 1);
    assert_eq!(room.rows().await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_in_quarantine() {
    let room = Room::new().await;
    let bodies: [&[u8]; 7] = [
        b"{",
        b"[]",
        b"{}",
        b"{\"event\":7.5}",
        b"",
        b"nothing",
        b"{\"event\":\"\xff\"}",
    ];
    for body in bodies {
        let id = room.keep(body).await;
        assert_eq!(
            room.state(id).await,
            State::quarantined(QuarantineReason::Unparseable, 0),
            "{body:?}"
        );
        assert_eq!(room.intake.body(id).await.unwrap().expose().as_slice(), body);
    }
    assert_eq!(keep(&room, Endpoint::Events, "{", None).await, Kept::Duplicate);
    let recorder = Recorder::new(&room);
    assert_eq!(room.dispatcher(&recorder).run_due().await.unwrap(), 0);
}

#[tokio::test]
async fn a_time_that_no_calendar_has_is_left_out() {
    let room = Room::new().await;
    for time in [
        i64::MAX.to_string(),
        "-99999999999999".to_owned(),
        "\"x\"".to_owned(),
    ] {
        room.keep(&format!(r#"{{"event":"e","event_ts":{time}}}"#)).await;
    }
    let client = room.db.client().await;
    let odd = client
        .query("SELECT FROM inbox WHERE event_at IS NOT NULL", &[])
        .await
        .unwrap();
    assert_eq!((room.rows().await.len(), odd.len()), (3, 0));
}

#[tokio::test]
async fn a_commit_that_is_not_confirmed_in_time_is_an_error_and_the_next_try_is_kept() {
    let room = Room::new().await;
    let mut client = room.db.client().await;
    let request = room.arrival(BODY.as_bytes(), None).await;
    // The key is made before, so that the table is what holds it up.
    room.keep(&recording("acc", "host", "before")).await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let error = room
        .impatient()
        .keep(Endpoint::Events, &request)
        .await
        .unwrap_err();
    assert!(matches!(error, IntakeError::TooSlow(_)));
    assert_eq!(error.fate(), Fate::RETRY);
    lock.commit().await.unwrap();
    // What the cancelled attempt left behind may still commit or not; either way the body is there once.
    soon(room.intake.keep(Endpoint::Events, &request)).await.unwrap();
    assert_eq!(room.rows().await.len(), 2);
}

#[tokio::test]
async fn a_database_that_is_away_is_an_error_that_may_pass() {
    let room = Room::new().await;
    room.db
        .client()
        .await
        .batch_execute("ALTER TABLE inbox RENAME TO gone")
        .await
        .unwrap();
    let request = room.arrival(BODY.as_bytes(), None).await;
    assert!(room.intake.keep(Endpoint::Events, &request).await.is_err());
    room.db
        .client()
        .await
        .batch_execute("ALTER TABLE gone RENAME TO inbox")
        .await
        .unwrap();
    // The writer finds out by itself; until then it says so.
    let kept = soon(async {
        loop {
            match room.intake.keep(Endpoint::Events, &request).await {
                Ok(kept) => break kept,
                Err(error) => assert_eq!(error.fate(), Fate::RETRY, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(kept.await, Kept::New);
}
