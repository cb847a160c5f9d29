//! The signed events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domicile_kernel::Clock;
use http::{Method, StatusCode};
use serde_json::json;
use standardwebhooks::Webhook;

use super::super::{ReceivingApp, ReceivingAppSettings};
use super::browser::Browser;
use super::region::{EVENTS_SECRET, Region};
use crate::clock::TestClock;

fn body(subject: &str) -> String {
    let data = json!({ "recording": { "meeting": { "topic": "Board" } } });
    json!({ "id": "e1", "type": "recording.stored", "version": 1, "subject": subject, "data": data })
        .to_string()
}

/// Posts an event as the region does, signed with this secret at this time.
async fn deliver(
    browser: &Browser,
    secret: &str,
    id: &str,
    timestamp: i64,
    signed: &str,
    sent: &str,
) -> StatusCode {
    let signature = Webhook::new(secret)
        .unwrap()
        .sign(id, timestamp, signed.as_bytes())
        .unwrap();
    let timestamp = timestamp.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp.as_str()),
        ("webhook-signature", signature.as_str()),
    ];
    let body = Bytes::copy_from_slice(sent.as_bytes());
    browser
        .send(Method::POST, "/domicile/events", &headers, body)
        .await
        .status
}

fn now() -> i64 {
    super::super::edge::SystemClock.now().timestamp()
}

#[tokio::test]
async fn a_signed_event_is_kept_once_and_shown_to_its_user_alone() {
    let region = Region::start();
    let (alice, bob) = (Browser::new(region.app.url()), Browser::new(region.app.url()));
    let event = body("user:1001");
    for _ in 0..3 {
        let status = deliver(&alice, EVENTS_SECRET, "e1", now(), &event, &event).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let events = region.app.events();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].duplicates, events[0].event_type().as_str()),
        (2, "recording.stored")
    );
    assert_eq!(events[0].body, event);
    alice.sign_in("alice").await;
    bob.sign_in("bob").await;
    assert!(
        alice
            .get("/events")
            .await
            .text()
            .contains("delivered 3 times, kept once")
    );
    assert!(
        alice
            .get("/events.json")
            .await
            .text()
            .contains("\"webhook_id\":\"e1\"")
    );
    assert!(bob.get("/events").await.text().contains("No events yet"));
    assert_eq!(bob.get("/events.json").await.text(), "[]");
}

#[tokio::test]
async fn an_event_with_a_bad_signature_is_refused() {
    let region = Region::start();
    let anyone = Browser::new(region.app.url());
    let event = body("user:1001");
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let tampered = event.replace("1001", "1002");
    for (secret, timestamp, sent) in [
        (other, now(), &event),
        (EVENTS_SECRET, now(), &tampered),
        (EVENTS_SECRET, now() - 301, &event),
        (EVENTS_SECRET, now() + 310, &event),
    ] {
        let status = deliver(&anyone, secret, "e1", timestamp, &event, sent).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let unsigned = Bytes::from(event);
    let page = anyone.send(Method::POST, "/domicile/events", &[], unsigned).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!((region.app.events().len(), region.app.refused()), (0, 5));
}

#[tokio::test]
async fn a_test_orders_failures_and_moves_the_clock() {
    let clock = TestClock::new();
    let region = Region::start_with(ReceivingAppSettings {
        clock: Some(Arc::new(clock.clone())),
        ..ReceivingAppSettings::default()
    });
    let sender = Browser::new(region.app.url());
    let event = body("user:1001");
    region.app.fail_next(2);
    let signed_at = clock.now().timestamp();
    for expected in [503, 503, 204] {
        let status = deliver(&sender, EVENTS_SECRET, "e1", signed_at, &event, &event).await;
        assert_eq!(status.as_u16(), expected);
    }
    assert_eq!(region.app.failed(), 2);
    clock.advance(Duration::from_secs(301));
    let status = deliver(&sender, EVENTS_SECRET, "e2", signed_at, &event, &event).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let events = region
        .app
        .wait_for_events(Duration::ZERO, |events| events.len() == 1)
        .await;
    assert_eq!(events.unwrap().len(), 1);
}

#[tokio::test]
async fn events_survive_a_restart_where_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ReceivingAppSettings {
        events_secrets: vec![EVENTS_SECRET.into()],
        events_file: Some(folder.path().join("events.jsonl")),
        ..ReceivingAppSettings::default()
    };
    let event = body("user:1001");
    for starts in 0..3 {
        let app = ReceivingApp::start(settings.clone()).unwrap();
        let sender = Browser::new(app.url());
        let status = deliver(&sender, EVENTS_SECRET, "e1", now(), &event, &event).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let events = app.events();
        assert_eq!((events.len(), events[0].duplicates), (1, starts));
        app.stop().await;
    }
}

#[tokio::test]
async fn waiting_ends_when_an_event_comes_and_when_the_time_is_over() {
    let region = Region::start();
    let sender = Browser::new(region.app.url());
    let nothing = region
        .app
        .wait_for_events(Duration::from_millis(1), |events| !events.is_empty())
        .await;
    assert!(nothing.unwrap_err().is_empty());
    let event = body("user:1001");
    let (events, _) = tokio::join!(
        region
            .app
            .wait_for_events(Duration::from_secs(30), |events| !events.is_empty()),
        deliver(&sender, EVENTS_SECRET, "e1", now(), &event, &event),
    );
    assert_eq!(events.unwrap().len(), 1);
}
