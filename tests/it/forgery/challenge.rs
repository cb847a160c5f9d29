//! The challenge is an HMAC over a text of the caller's choice. It must never be one over a message.

use serde_json::{Value, json};

use super::{BOT, BOT_SECRET, EVENTS, event, honest, refused, repelled, send, send_signed, sign, world};
use crate::bad_input::now;
use crate::harness::browser::Answer;
use crate::harness::world::{OLD_WEBHOOK_SECRET, WEBHOOK_SECRET, World};

fn challenge(token: &Value) -> Vec<u8> {
    json!({ "event": "endpoint.url_validation", "payload": { "plainToken": token } })
        .to_string()
        .into_bytes()
}

/// The same body signed and unsigned, at the endpoint with this secret.
async fn both(world: &World, path: &str, secret: &str, body: &[u8]) -> [Answer; 2] {
    [
        send(world, path, &[], body).await,
        send_signed(world, path, secret, now(), body).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn as_an_oracle() {
    let world = world().await;
    let message = format!("v0:{}:{}", now(), String::from_utf8(event("x")).unwrap());
    let tokens = [
        json!(message),
        json!(format!("v0:{}:", now())),
        json!("v0:1"),
        json!(":"),
        json!("PLANTED:"),
        json!("a".repeat(129)),
        json!("PLANTED\u{e9}"),
        json!("\u{ff1a}"),
        json!("a\u{0}b"),
        json!("a b"),
        json!(""),
        json!(7),
        json!(["PLANTED"]),
        json!({ "PLANTED": "PLANTED" }),
        json!(null),
        json!(true),
    ];
    let mut bodies: Vec<_> = tokens.iter().map(challenge).collect();
    bodies.extend(
        [
            r#"{"event":"endpoint.url_validation"}"#,
            r#"{"event":"endpoint.url_validation","payload":{}}"#,
            r#"{"event":"endpoint.url_validation","payload":"PLANTED"}"#,
            r#"{"event":"endpoint.url_validation","plainToken":"PLANTED"}"#,
            r#"{"event":"endpoint.url_validation","payload":{"plainToken":"PLANTED","plainToken":"a"}}"#,
            r#"{"event":"endpoint.url_validation","payload":{"plainToken":"a","plainToken":"v0:1:PLANTED"}}"#,
            r#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0\u003a1\u003aPLANTED"}}"#,
        ]
        .map(|body| body.as_bytes().to_vec()),
    );
    for body in bodies {
        for (path, secret) in [(EVENTS, WEBHOOK_SECRET), (BOT, BOT_SECRET)] {
            for answer in both(&world, path, secret, &body).await {
                refused(&answer, 400);
            }
        }
    }
    // A body that is a challenge by one reading and an event by another is neither.
    for body in [
        r#"{"event":"endpoint.url_validation","event":"meeting.ended","payload":{"plainToken":"a"}}"#,
        r#"{"event":"endpoint.url_validation","payload":{"plainToken":"a"},"payload":{}}"#,
    ] {
        refused(&send(&world, EVENTS, &[], body.as_bytes()).await, 401);
    }
    repelled(&world).await;
    let [unsigned, signed] = both(
        &world,
        EVENTS,
        WEBHOOK_SECRET,
        &challenge(&json!("qgg8vlvZRS6UYooatFL8Aw")),
    )
    .await;
    assert_eq!((unsigned.status.as_u16(), signed.status.as_u16()), (200, 200));
    assert_eq!(unsigned.json(), signed.json());
}

/// Whatever the endpoint can be made to answer, none of it is the signature of an event.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_as_the_signature_of_an_event() {
    let world = world().await;
    let time = now().to_string();
    let tokens = [
        "qgg8vlvZRS6UYooatFL8Aw".to_owned(),
        "v0".to_owned(),
        time.clone(),
        format!("v0.{time}.x"),
        format!("v0={time}="),
        "a".repeat(128),
    ];
    for token in &tokens {
        let body = challenge(&json!(token));
        let answer = send(&world, EVENTS, &[], &body).await;
        assert_eq!(answer.status, 200, "{token}");
        let signature = format!("v0={}", answer.json()["encryptedToken"].as_str().unwrap());
        for body in [&event("x")[..], token.as_bytes(), b"", &body] {
            let fields = [
                ("x-zm-request-timestamp", time.as_str()),
                ("x-zm-signature", &signature),
            ];
            refused(&send(&world, EVENTS, &fields, body).await, 401);
        }
        // The timestamp cannot be bent until the message is the token.
        for timestamp in [token.as_str(), "", ":"] {
            let fields = [
                ("x-zm-request-timestamp", timestamp),
                ("x-zm-signature", &signature),
            ];
            let answer = send(&world, EVENTS, &fields, b"").await;
            refused(&answer, if *timestamp == *time { 401 } else { 400 });
        }
    }
    repelled(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_or_not_and_with_the_secret_that_signed() {
    let world = world().await;
    let body = challenge(&json!("qgg8vlvZRS6UYooatFL8Aw"));
    let expected = |secret: &str| {
        let secret = domicile_kernel::Secret::from(secret);
        let token = "qgg8vlvZRS6UYooatFL8Aw".parse().unwrap();
        serde_json::to_value(domicile_zoom::challenge::answer(&secret, &token)).unwrap()
    };
    for (path, secret, by) in [
        (EVENTS, None, WEBHOOK_SECRET),
        (EVENTS, Some(WEBHOOK_SECRET), WEBHOOK_SECRET),
        (EVENTS, Some(OLD_WEBHOOK_SECRET), OLD_WEBHOOK_SECRET),
        (BOT, None, BOT_SECRET),
        (BOT, Some(BOT_SECRET), BOT_SECRET),
    ] {
        let answer = match secret {
            None => send(&world, path, &[], &body).await,
            Some(secret) => send_signed(&world, path, secret, now(), &body).await,
        };
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json(), expected(by), "{path}");
    }
    // A wrong or half a signature is worse than none.
    refused(&send_signed(&world, EVENTS, BOT_SECRET, now(), &body).await, 401);
    refused(
        &send_signed(&world, EVENTS, WEBHOOK_SECRET, now() - 5800, &body).await,
        401,
    );
    let time = now().to_string();
    let signature = sign(WEBHOOK_SECRET, now(), &body);
    for half in [("x-zm-request-timestamp", &time), ("x-zm-signature", &signature)] {
        refused(
            &send(&world, EVENTS, &[(half.0, half.1.as_str())], &body).await,
            401,
        );
    }
    assert!(world.inbox().await.is_empty(), "a challenge is no event");
    honest(&world, 0).await;
}
