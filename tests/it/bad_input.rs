//! What gets which status, and that nothing is lost or half done.

use bytes::Bytes;
use domicile_kernel::Secret;
use domicile_zoom::signature;
use domicile_zoomsim::FileKind;
use http::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::browser::{Answer, call};
use crate::harness::eventually;
use crate::harness::world::{ALICE, OLD_WEBHOOK_SECRET, WEBHOOK_SECRET, World};

#[expect(clippy::disallowed_methods, reason = "the region runs on the real clock")]
pub fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A request to the events endpoint, signed for this time with this secret.
pub fn signed(world: &World, secret: &str, timestamp: i64, body: &[u8]) -> http::request::Builder {
    Request::post(world.public_url.join("/zoom/events").unwrap().as_str())
        .header("content-type", "application/json; charset=utf-8")
        .header("x-zm-request-timestamp", timestamp.to_string())
        .header(
            "x-zm-signature",
            signature::sign(&Secret::from(secret), timestamp, body),
        )
}

/// Posts a body as Zoom would.
pub async fn post_signed(world: &World, body: Vec<u8>) -> Answer {
    let request = signed(world, WEBHOOK_SECRET, now(), &body)
        .body(Bytes::from(body))
        .unwrap();
    call(&world.client, request).await
}

fn event(name: &str, account: &str) -> Vec<u8> {
    let body = serde_json::json!({
        "event": name,
        "event_ts": 1_780_000_000_000_i64,
        "payload": { "account_id": account, "object": { "host_id": "nobody", "uuid": "AAAA", "id": 1 } },
    });
    body.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_stale_request_is_401_and_nothing_is_kept() {
    let world = World::start().await;
    let body = event("recording.completed", "A");
    let mut tampered = body.clone();
    *tampered.last_mut().unwrap() = b' ';
    let post = async |request: http::request::Builder, body: &[u8]| {
        call(&world.client, request.body(Bytes::copy_from_slice(body)).unwrap())
            .await
            .status
            .as_u16()
    };
    let unsigned = Request::post(world.public_url.join("/zoom/events").unwrap().as_str());
    let minutes = |n: i64| now() + n * 60;
    assert_eq!(
        post(signed(&world, WEBHOOK_SECRET, now(), &body), &tampered).await,
        401,
        "a tampered body"
    );
    assert_eq!(post(unsigned, &body).await, 401, "no signature");
    assert_eq!(
        post(signed(&world, "another secret", now(), &body), &body).await,
        401,
        "another secret"
    );
    assert_eq!(
        post(signed(&world, WEBHOOK_SECRET, minutes(-96), &body), &body).await,
        401,
        "stale"
    );
    assert_eq!(
        post(signed(&world, WEBHOOK_SECRET, minutes(6), &body), &body).await,
        401,
        "from the future"
    );
    assert!(world.inbox().await.is_empty());
    assert_eq!(
        post(signed(&world, WEBHOOK_SECRET, minutes(-94), &body), &body).await,
        200,
        "a late retry"
    );
    assert_eq!(
        post(
            signed(&world, OLD_WEBHOOK_SECRET, now(), &event("x", "A")),
            &event("x", "A")
        )
        .await,
        200,
        "the secret before"
    );
    assert_eq!(world.inbox().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_handled_is_kept_in_quarantine_with_its_reason() {
    let world = World::start().await;
    for body in [
        b"{\"event\":\"\xff\xfe\"}".to_vec(),
        event("recording.completed", "an-unknown-account"),
    ] {
        assert_eq!(post_signed(&world, body).await.status, 200);
    }
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    assert_eq!(
        post_signed(&world, event("meeting.something_new", &user.account_id))
            .await
            .status,
        200
    );
    let reasons = eventually("the dispatch of all three", async || {
        let rows = world.inbox().await;
        let done = rows.len() == 3 && rows.iter().all(|(status, _)| status == "quarantined");
        done.then(|| {
            rows.into_iter()
                .filter_map(|(_, reason)| reason)
                .collect::<Vec<_>>()
        })
    })
    .await;
    assert_eq!(reasons.len(), 3);
    for reason in ["unparseable", "unknown_account", "unknown_event"] {
        assert!(
            reasons.iter().any(|found| found == reason),
            "{reason} in {reasons:?}"
        );
    }
}

/// PostgreSQL's text holds no NUL, and JSON does: such an event must be kept all the same, not asked for again for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_a_nul_in_its_names_is_kept() {
    let world = World::start().await;
    for body in [
        event("recording\0.completed", "A"),
        event("recording.completed", "A\0"),
    ] {
        assert!(
            body.windows(6).any(|part| part == b"\\u0000"),
            "JSON writes the NUL as an escape"
        );
        assert_eq!(post_signed(&world, body).await.status, 200);
    }
    let kept = ("quarantined".to_owned(), Some("unparseable".to_owned()));
    assert_eq!(world.inbox().await, [kept.clone(), kept]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_two_mebibytes_is_413_and_another_method_405() {
    let world = World::start().await;
    assert_eq!(post_signed(&world, vec![b' '; 2 * 1024 * 1024]).await.status, 413);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = Request::builder()
            .method(method)
            .uri(world.public_url.join("/zoom/events").unwrap().as_str())
            .body(Bytes::new())
            .unwrap();
        let answer = call(&world.client, request).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["allow"]),
            (405, &"POST".parse().unwrap())
        );
    }
    assert!(world.inbox().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_neighbours_do_not_hold_up_a_good_event() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    // Signed, of the right account and kind, and no recording at all.
    let body = serde_json::json!({
        "event": "recording.completed",
        "payload": { "account_id": user.account_id, "object": { "host_id": user.id, "recording_files": "none" } },
    });
    assert_eq!(
        post_signed(&world, body.to_string().into_bytes()).await.status,
        200
    );
    world.stored_recording(&user, &[(FileKind::Chat, 300)]).await;
    let client = world.db.client().await;
    let quarantined = "SELECT count(*) FROM jobs WHERE kind = 'recording.merge' AND status = 'quarantined'";
    assert_eq!(
        client.query_one(quarantined, &[]).await.unwrap().get::<_, i64>(0),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_answered_signed_or_not_and_is_no_oracle() {
    let world = World::start().await;
    let challenge = |token: &str| {
        serde_json::json!({ "event": "endpoint.url_validation", "event_ts": 1, "payload": { "plainToken": token } })
            .to_string()
            .into_bytes()
    };
    let unsigned = async |body: Vec<u8>| {
        let url = world.public_url.join("/zoom/events").unwrap();
        let request = Request::post(url.as_str()).header("content-type", "application/json");
        call(&world.client, request.body(Bytes::from(body)).unwrap()).await
    };
    let signed_answer = post_signed(&world, challenge("qgg8vlvZRS6UYooatFL8Aw")).await;
    let unsigned_answer = unsigned(challenge("qgg8vlvZRS6UYooatFL8Aw")).await;
    assert_eq!(
        (signed_answer.status.as_u16(), unsigned_answer.status.as_u16()),
        (200, 200)
    );
    assert_eq!(signed_answer.json(), unsigned_answer.json());
    assert_eq!(signed_answer.json()["plainToken"], "qgg8vlvZRS6UYooatFL8Aw");
    // What would make an event's signature is refused: it needs a colon.
    for token in [
        format!("v0:{}:{{}}", now()),
        "a:b".to_owned(),
        String::new(),
        "x".repeat(129),
    ] {
        assert_eq!(unsigned(challenge(&token)).await.status, 400, "{token}");
    }
    // A wrong signature is worse than none.
    let body = challenge("qgg8vlvZRS6UYooatFL8Aw");
    let forged = signed(&world, "another secret", now(), &body)
        .body(Bytes::from(body))
        .unwrap();
    assert_eq!(call(&world.client, forged).await.status, 401);
    assert!(world.inbox().await.is_empty(), "a challenge is no event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_another_host_gets_421_and_nothing_happens() {
    let world = World::start().await;
    let body = event("recording.completed", "A");
    let timestamp = now();
    let signature = signature::sign(&Secret::from(WEBHOOK_SECRET), timestamp, &body);
    // By hand, because an HTTP client names the host that it connects to.
    let head = format!(
        "POST /zoom/events HTTP/1.1\r\nhost: zoom.us.example.com\r\nconnection: close\r\ncontent-length: {}\r\n\
         x-zm-request-timestamp: {timestamp}\r\nx-zm-signature: {signature}\r\n\r\n",
        body.len(),
    );
    let mut stream = TcpStream::connect(&world.environment["DOMICILE_HTTP_PUBLIC_LISTEN"])
        .await
        .unwrap();
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    assert!(
        answer.contains(world.public_url.as_str().trim_end_matches('/')),
        "it names the right host: {answer}"
    );
    assert!(world.inbox().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_api_names_what_is_wrong() {
    let world = World::start().await;
    let post =
        async |body: serde_json::Value| world.api(Method::POST, "/v1/connect-sessions", Some(body)).await;
    let return_url = world.app.return_url();
    let fields = |answer: &Answer| {
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (422, "validation_failed"),
            "{}",
            answer.text()
        );
        let json = answer.json();
        json["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        fields(&post(serde_json::json!({ "subject": "1001", "return_url": return_url })).await),
        ["subject"]
    );
    let elsewhere = serde_json::json!({ "subject": ALICE, "return_url": "https://evil.example/" });
    assert_eq!(fields(&post(elsewhere).await), ["return_url"]);
    let unknown = serde_json::json!({ "subject": ALICE, "return_url": return_url, "colour": "red" });
    assert_eq!(fields(&post(unknown).await), ["colour"]);
    assert_eq!(
        fields(&post(serde_json::json!({ "subject": ALICE })).await),
        ["return_url"]
    );
    for path in [
        "/v1/links/not-an-id",
        "/v1/recordings/00000000-0000-0000-0000-000000000000",
        "/v1/nothing",
    ] {
        let answer = world.api(Method::GET, path, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (404, "not_found"),
            "{path}"
        );
    }
    let no_key = Request::get(world.app_url.join("/v1/links").unwrap().as_str())
        .body(Bytes::new())
        .unwrap();
    let answer = call(&world.client, no_key).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (401, "unauthenticated")
    );
    assert_eq!(
        world
            .api(Method::GET, "/v1/links?cursor=nonsense", None)
            .await
            .problem(),
        "validation_failed"
    );
}
