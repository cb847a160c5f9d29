use actix_web::http::header;
use actix_web::{App, test};
use serde_json::Value;

use super::*;

const CHALLENGE: &str = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Vec<u8>,
}

async fn send(room: &Room, request: TestRequest) -> Answer {
    send_to(room, Endpoint::Events, request).await
}

async fn send_to(room: &Room, endpoint: Endpoint, request: TestRequest) -> Answer {
    let intake = web::Data::new(room.intake.clone());
    let services = [Endpoint::Events, Endpoint::Bot]
        .map(|endpoint| crate::routes::endpoint(endpoint, room.verifier(endpoint), intake.clone()));
    let app = App::new().configure(|app| {
        for service in services {
            app.service(service);
        }
    });
    let app = test::init_service(app).await;
    let response = test::call_service(&app, request.uri(endpoint.path()).to_request()).await;
    let retry_after = response.headers().get(header::RETRY_AFTER);
    Answer {
        status: response.status().as_u16(),
        retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
        body: test::read_body(response).await.to_vec(),
    }
}

async fn break_the_database(room: &Room) {
    let statement = "ALTER TABLE inbox RENAME TO gone; ALTER TABLE vault_keys RENAME TO gone_too";
    room.db.client().await.batch_execute(statement).await.unwrap();
}

async fn mend_the_database(room: &Room) {
    let statement = "ALTER TABLE gone RENAME TO inbox; ALTER TABLE gone_too RENAME TO vault_keys";
    room.db.client().await.batch_execute(statement).await.unwrap();
}

#[actix_web::test]
async fn a_signed_event_is_kept_before_it_is_answered_and_again_is_fine() {
    let room = Room::new().await;
    let body = recording("acc", "host", "a");
    for _ in 0..2 {
        let answer = send(&room, room.signed(body.as_bytes())).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(room.rows().await.len(), 1);
    }
    let answer = send_to(&room, Endpoint::Bot, room.signed(body.as_bytes())).await;
    assert_eq!((answer.status, room.rows().await.len()), (200, 2));
}

#[actix_web::test]
async fn a_signed_body_that_is_no_event_is_kept_and_answered_well() {
    let room = Room::new().await;
    for body in [&b"{"[..], b"\xff\xfe", b"{\"event\":\"some.news\"}"] {
        assert_eq!(send(&room, room.signed(body)).await.status, 200);
    }
    assert_eq!(room.rows().await.len(), 3);
}

#[actix_web::test]
async fn without_the_database_an_event_is_wanted_again() {
    let room = Room::new().await;
    break_the_database(&room).await;
    let body = recording("acc", "host", "a");
    let answer = send(&room, room.signed(body.as_bytes())).await;
    assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("60")));
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["type"], "urn:domicile:problem:unavailable");
    mend_the_database(&room).await;
    assert_eq!(send(&room, room.signed(body.as_bytes())).await.status, 200);
    assert_eq!(room.rows().await.len(), 1);
}

#[actix_web::test]
async fn a_commit_that_hangs_is_answered_in_time_and_not_well() {
    let mut room = Room::new().await;
    room.intake = room.impatient();
    let mut client = room.db.client().await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let body = recording("acc", "host", "a");
    let answer = soon(send(&room, room.signed(body.as_bytes()))).await;
    assert_eq!(answer.status, 503);
}

#[actix_web::test]
async fn a_challenge_is_answered_without_the_database_and_leaves_nothing() {
    let room = Room::new().await;
    break_the_database(&room).await;
    let unsigned = TestRequest::post().set_payload(CHALLENGE);
    for request in [room.signed(CHALLENGE.as_bytes()), unsigned] {
        let answer = send(&room, request).await;
        assert_eq!(answer.status, 200);
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["plainToken"], "qgg8vlvZRS6UYooatFL8Aw");
        assert_eq!(answer["encryptedToken"].as_str().unwrap().len(), 64);
    }
    mend_the_database(&room).await;
    assert!(room.rows().await.is_empty());
}

#[actix_web::test]
async fn what_zoom_did_not_sign_now_is_refused_for_good_and_nothing_is_kept() {
    let room = Room::new().await;
    let body = recording("acc", "host", "a");
    let tampered = room
        .signed(body.as_bytes())
        .set_payload(body.replace("host", "h0st"));
    let unsigned = TestRequest::post().set_payload(body.clone());
    let stale = room.signed(body.as_bytes());
    let future = room.signed(body.as_bytes());
    let malformed = room
        .signed(body.as_bytes())
        .insert_header((SIGNATURE_HEADER, "v0=zz"));
    let get = room.signed(body.as_bytes()).method(actix_web::http::Method::GET);
    let large = room.signed(&vec![b' '; 2 * 1024 * 1024]);
    let now = room.clock.now();

    assert_eq!(send(&room, tampered).await.status, 401);
    assert_eq!(send(&room, unsigned).await.status, 401);
    assert_eq!(send(&room, malformed).await.status, 400);
    assert_eq!(send(&room, get).await.status, 405);
    assert_eq!(send(&room, large).await.status, 413);
    room.clock.advance(Duration::from_secs(95 * 60 + 1));
    assert_eq!(send(&room, stale).await.status, 401);
    room.clock.set(now - chrono::TimeDelta::seconds(5 * 60 + 1));
    assert_eq!(send(&room, future).await.status, 401);
    assert!(room.rows().await.is_empty());
}
