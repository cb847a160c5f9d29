//! The ways to make the inbox believe what Zoom did not say, or lose what it did. Each is refused with a problem that says
//! what is wrong and repeats nothing, leaves no row, and after each the honest request still works.

mod challenge;
mod headers;
mod replay;
mod slow;
mod transport;

use bytes::Bytes;
use domicile_kernel::Secret;
use domicile_zoom::signature;
use http::Request;
use serde_json::json;

use crate::bad_input::now;
use crate::harness::browser::{Answer, call};
use crate::harness::world::{OLD_WEBHOOK_SECRET, WEBHOOK_SECRET, World};

pub const BOT_SECRET: &str = "the-secret-token-of-the-bot";
pub const EVENTS: &str = "/zoom/events";
pub const BOT: &str = "/zoom/bot";

/// In every body that is sent here; no answer may hold it.
const PLANTED: &str = "PLANTED";

/// A world with both endpoints, each with a secret of its own.
pub async fn world() -> World {
    world_with(&[]).await
}

pub async fn world_with(settings: &[(&str, &str)]) -> World {
    let bot = [
        ("DOMICILE_BOT_ROBOT_JID", "v1robot@xmpp.zoom.us"),
        ("DOMICILE_BOT_WEBHOOK_SECRETS", BOT_SECRET),
    ];
    let mut world = World::without_region().await;
    for (name, value) in bot.iter().chain(settings) {
        world.environment.insert((*name).to_owned(), (*value).to_owned());
    }
    world.start_region().await;
    world
}

/// An event's body; `note` makes it another one.
pub fn event(note: &str) -> Vec<u8> {
    let payload = json!({ "account_id": "A", "note": note, "topic": PLANTED });
    json!({ "event": "meeting.ended", "payload": payload })
        .to_string()
        .into_bytes()
}

pub fn sign(secret: &str, timestamp: i64, body: &[u8]) -> String {
    signature::sign(&Secret::from(secret), timestamp, body)
}

/// A request with these header fields, in this order.
pub async fn send(world: &World, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = Request::post(world.public_url.join(path).unwrap().as_str());
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    call(&world.client, request.body(Bytes::copy_from_slice(body)).unwrap()).await
}

/// A request signed with this secret at this time.
pub async fn send_signed(world: &World, path: &str, secret: &str, timestamp: i64, body: &[u8]) -> Answer {
    let (time, signature) = (timestamp.to_string(), sign(secret, timestamp, body));
    let fields = [
        ("x-zm-request-timestamp", time.as_str()),
        ("x-zm-signature", &signature),
    ];
    send(world, path, &fields, body).await
}

/// Refused for good: Zoom never sends it again, and the answer says why without repeating anything.
#[track_caller]
pub fn refused(answer: &Answer, status: u16) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert!(answer.status.is_client_error());
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string(), "{text}");
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.len() > 10),
        "{text}"
    );
    for secret in [
        PLANTED,
        "v0=",
        WEBHOOK_SECRET,
        OLD_WEBHOOK_SECRET,
        BOT_SECRET,
        "encryptedToken",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// Nothing was kept, and what is honest still is, on both endpoints.
pub async fn repelled(world: &World) {
    assert!(world.inbox().await.is_empty(), "something was kept");
    honest(world, 0).await;
}

/// The honest requests are kept, beside so many rows that are there.
pub async fn honest(world: &World, rows: usize) {
    for (path, secret) in [(EVENTS, WEBHOOK_SECRET), (BOT, BOT_SECRET)] {
        let answer = send_signed(world, path, secret, now(), &event("honest")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_eq!(world.inbox().await.len(), rows + 2);
}

/// One flip at each place of timestamp, signature and body. (All bits of all places are flipped beside the extractor.)
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_anywhere() {
    let world = world().await;
    let (body, timestamp) = (event("flip"), now());
    let (time, signature) = (timestamp.to_string(), sign(WEBHOOK_SECRET, timestamp, &body));
    let post = async |time: &str, signature: &str, body: &[u8]| {
        let fields = [("x-zm-request-timestamp", time), ("x-zm-signature", signature)];
        send(&world, EVENTS, &fields, body).await
    };
    for at in 0..body.len() {
        let mut flipped = body.clone();
        flipped[at] ^= 1;
        refused(&post(&time, &signature, &flipped).await, 401);
    }
    for at in 0..time.len() {
        // Another digit: the time may still lie within the window, the signature does not cover it.
        let flipped: String = flipped_at(&time, at);
        refused(&post(&flipped, &signature, &body).await, 401);
    }
    for at in 0..signature.len() {
        let flipped = flipped_at(&signature, at);
        let answer = post(&time, &flipped, &body).await;
        let status = answer.status.as_u16();
        assert!(matches!(status, 400 | 401), "{flipped}");
        refused(&answer, status);
    }
    repelled(&world).await;
    assert_eq!(
        post(&time, &signature, &body).await.status,
        200,
        "as it was signed"
    );
}

fn flipped_at(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] ^= 1;
    String::from_utf8(bytes).unwrap()
}

/// Zoom's own sample signs re-serialised JSON. Whoever does that disagrees with the bytes as soon as anything is odd.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_over_re_serialised_json() {
    let world = world().await;
    let timestamp = now();
    for raw in [
        "{\"payload\":{\"topic\":\"PLANTED\"} ,\"event\":\"meeting.ended\"}",
        "{\"event\":\"meeting.ended\",\"x\":\"\\u00e9\\/PLANTED\"}",
        "{\"event\":\"meeting.ended\",\"x\":1.0e2,\"x\":\"PLANTED\"}",
        "{\"event\":\"meeting.ended\",\"x\":\"\u{e9}\u{1F4C8}PLANTED\"}\r\n",
    ] {
        let value: serde_json::Value = serde_json::from_str(raw).unwrap();
        let written = value.to_string();
        assert_ne!(raw, written);
        let time = timestamp.to_string();
        for (signed, sent) in [(written.as_str(), raw), (raw, &written)] {
            let signature = sign(WEBHOOK_SECRET, timestamp, signed.as_bytes());
            let fields = [
                ("x-zm-request-timestamp", time.as_str()),
                ("x-zm-signature", &signature),
            ];
            refused(&send(&world, EVENTS, &fields, sent.as_bytes()).await, 401);
        }
    }
    repelled(&world).await;
    let raw = b"{ \"event\" : \"meeting.ended\" , \"x\":\"\\u00e9\" }\n";
    let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, timestamp, raw).await;
    assert_eq!(answer.status, 200, "the raw bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_the_other_endpoint() {
    let world = world().await;
    let body = event("other");
    for (path, secret) in [
        (EVENTS, BOT_SECRET),
        (BOT, WEBHOOK_SECRET),
        (BOT, OLD_WEBHOOK_SECRET),
    ] {
        refused(&send_signed(&world, path, secret, now(), &body).await, 401);
    }
    repelled(&world).await;
    // One body at both endpoints is two events: each has subscriptions of its own.
    for (path, secret) in [(EVENTS, WEBHOOK_SECRET), (BOT, BOT_SECRET)] {
        assert_eq!(send_signed(&world, path, secret, now(), &body).await.status, 200);
    }
    assert_eq!(world.inbox().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_secret_during_a_rotation_and_after_it() {
    let world = world().await;
    for (secret, note) in [(WEBHOOK_SECRET, "new"), (OLD_WEBHOOK_SECRET, "old")] {
        assert_eq!(
            send_signed(&world, EVENTS, secret, now(), &event(note))
                .await
                .status,
            200,
            "{note}"
        );
    }
    assert_eq!(world.inbox().await.len(), 2);
    let world = world_with(&[("DOMICILE_ZOOM_WEBHOOK_SECRETS", WEBHOOK_SECRET)]).await;
    refused(
        &send_signed(&world, EVENTS, OLD_WEBHOOK_SECRET, now(), &event("old")).await,
        401,
    );
    repelled(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_is_off() {
    let world = World::without_app().await;
    let answer = send_signed(&world, BOT, WEBHOOK_SECRET, now(), &event("bot")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (404, "not_found")
    );
    assert!(world.inbox().await.is_empty());
    let world = World::start_with(&[("DOMICILE_BOT_ROBOT_JID", "v1robot@xmpp.zoom.us")]).await;
    let answer = send_signed(&world, BOT, WEBHOOK_SECRET, now(), &event("bot")).await;
    assert_eq!(answer.status, 200, "the Zoom app's secrets stand in");
    assert_eq!(world.inbox().await.len(), 1);
}
