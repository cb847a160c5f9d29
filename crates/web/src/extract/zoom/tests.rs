mod conformance;

use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpResponse, web};
use chrono::{TimeZone, Utc};
use domicile_kernel::Secret;
use domicile_zoom::authorization::{RequiredAuthorization, RequiredOwnHeader};
use domicile_zoom::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_795_000_000;
const EVENT: &str =
    r#"{"event":"recording.completed","payload":{"account_id":"A","object":{"host_id":"H"}}}"#;
const CHALLENGE: &str = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Utc.timestamp_opt(NOW, 0).unwrap()
    }
}

fn verifier() -> ZoomEndpointVerifier {
    let secrets = WebhookSecrets::new(&[Secret::from("new"), Secret::from("old")]).unwrap();
    ZoomEndpointVerifier::new("events", secrets, Arc::new(Fixed))
}

/// What came of a request: its status, and what the handler saw or the problem says.
async fn send(request: TestRequest) -> (u16, Value) {
    send_to(verifier(), request).await
}

async fn send_to(verifier: ZoomEndpointVerifier, request: TestRequest) -> (u16, Value) {
    let app = test::init_service(
        App::new().service(
            web::resource("/zoom/events")
                .app_data(web::Data::new(verifier))
                .to(async |request: ZoomRequest| match request {
                    ZoomRequest::Challenge(answer) => HttpResponse::Ok().json(answer),
                    ZoomRequest::Event(event) => HttpResponse::Ok().json(json!({
                        "body": String::from_utf8_lossy(&event.body),
                        "length": event.body.len(),
                        "endpoint": event.endpoint,
                        "secret": event.verified.secret_index,
                        "age": event.verified.age_seconds,
                        "event": event.envelope.as_ref().map(|envelope| envelope.event.clone()).map_err(ToString::to_string),
                        "zoom_request_id": event.zoom_request_id,
                    })),
                }),
        ),
    )
    .await;
    let response = test::call_service(&app, request.uri("/zoom/events").to_request()).await;
    let status = response.status().as_u16();
    let body = test::read_body(response).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn signed_with(secret: &str, timestamp: i64, body: &[u8]) -> TestRequest {
    TestRequest::post()
        .insert_header((TIMESTAMP_HEADER, timestamp.to_string()))
        .insert_header((SIGNATURE_HEADER, sign(&Secret::from(secret), timestamp, body)))
        .set_payload(body.to_vec())
}

fn signed(body: &[u8]) -> TestRequest {
    signed_with("new", NOW, body)
}

fn unsigned(body: &str) -> TestRequest {
    TestRequest::post().set_payload(body.to_owned())
}

#[actix_web::test]
async fn a_signed_event_reaches_the_handler_as_it_was_sent() {
    let request = signed_with("old", NOW - 60, EVENT.as_bytes())
        .insert_header((REQUEST_ID_HEADER, "6009d653_d487_445d_8406_42b654974899"));
    let (status, seen) = send(request).await;
    assert_eq!(status, 200);
    assert_eq!(
        seen,
        json!({
            "body": EVENT, "length": EVENT.len(), "endpoint": "events", "secret": 1, "age": 60,
            "event": {"Ok": "recording.completed"}, "zoom_request_id": "6009d653_d487_445d_8406_42b654974899",
        })
    );
}

#[actix_web::test]
async fn a_forged_or_unsigned_event_is_unauthenticated_for_good() {
    let tampered = signed(EVENT.as_bytes()).set_payload(EVENT.replace("\"H\"", "\"G\""));
    let re_spaced = signed(EVENT.as_bytes()).set_payload(EVENT.replace(':', ": "));
    let half = unsigned(EVENT).insert_header((TIMESTAMP_HEADER, NOW.to_string()));
    let half_challenge = unsigned(CHALLENGE).insert_header((TIMESTAMP_HEADER, NOW.to_string()));
    for request in [
        tampered,
        re_spaced,
        half,
        half_challenge,
        unsigned(EVENT),
        signed_with("other", NOW, EVENT.as_bytes()),
    ] {
        let (status, problem) = send(request).await;
        assert_eq!(status, 401, "{problem}");
        assert_eq!(problem["type"], "urn:domicile:problem:unauthenticated");
    }
}

struct Away;

impl Admission for Away {
    fn turned_away(&self) -> Option<Duration> {
        Some(Duration::from_secs(7))
    }
}

#[actix_web::test]
async fn while_events_are_turned_away_large_ones_are_not_even_verified_and_challenges_are_answered() {
    let away = || verifier().admission(Arc::new(Away));
    let padded = format!("{}{}", EVENT.trim_end_matches('}'), " ".repeat(1024)) + "}}}";
    for request in [signed(padded.as_bytes()), unsigned(&padded)] {
        let (status, problem) = send_to(away(), request).await;
        assert_eq!(status, 503, "{problem}");
        assert_eq!(problem["type"], "urn:domicile:problem:unavailable");
    }
    // What might be a challenge is looked at as ever.
    for request in [signed(CHALLENGE.as_bytes()), unsigned(CHALLENGE)] {
        let (status, answer) = send_to(away(), request).await;
        assert_eq!(
            (status, &answer["plainToken"]),
            (200, &json!("qgg8vlvZRS6UYooatFL8Aw"))
        );
    }
    assert_eq!(send_to(away(), unsigned(EVENT)).await.0, 401);
    assert_eq!(send_to(away(), signed(EVENT.as_bytes())).await.0, 200);
}

#[actix_web::test]
async fn a_signature_outside_the_window_is_unauthenticated() {
    for (signed_at, status) in [
        (NOW - 5700, 200),
        (NOW - 5701, 401),
        (NOW + 300, 200),
        (NOW + 301, 401),
    ] {
        assert_eq!(
            send(signed_with("new", signed_at, EVENT.as_bytes())).await.0,
            status,
            "{signed_at}"
        );
    }
    let narrow = verifier().window(Window {
        max_age: Duration::from_secs(10),
        max_ahead: Duration::ZERO,
    });
    assert_eq!(
        send_to(narrow, signed_with("new", NOW - 11, EVENT.as_bytes()))
            .await
            .0,
        401
    );
}

#[actix_web::test]
async fn duplicated_and_malformed_headers_are_malformed_requests() {
    let twice = signed(EVENT.as_bytes()).append_header((TIMESTAMP_HEADER, NOW.to_string()));
    let signed_twice = signed(EVENT.as_bytes()).append_header((SIGNATURE_HEADER, "v0=00"));
    let words = signed(EVENT.as_bytes()).insert_header((TIMESTAMP_HEADER, "now"));
    let no_hex = signed(EVENT.as_bytes()).insert_header((SIGNATURE_HEADER, "v0=zz"));
    for request in [twice, signed_twice, words, no_hex] {
        let (status, problem) = send(request).await;
        assert_eq!(status, 400, "{problem}");
        assert_eq!(problem["type"], "urn:domicile:problem:malformed_request");
    }
}

#[actix_web::test]
async fn a_challenge_is_answered_signed_or_not_and_with_the_secret_that_signed() {
    let answer = |secret: &str| {
        serde_json::to_value(challenge::answer(
            &Secret::from(secret),
            &"qgg8vlvZRS6UYooatFL8Aw".parse().unwrap(),
        ))
        .unwrap()
    };
    assert_eq!(send(unsigned(CHALLENGE)).await, (200, answer("new")));
    assert_eq!(send(signed(CHALLENGE.as_bytes())).await, (200, answer("new")));
    assert_eq!(
        send(signed_with("old", NOW, CHALLENGE.as_bytes())).await,
        (200, answer("old"))
    );
}

#[actix_web::test]
async fn a_challenge_with_a_wrong_signature_is_not_answered() {
    assert_eq!(send(signed_with("other", NOW, CHALLENGE.as_bytes())).await.0, 401);
    assert_eq!(
        send(signed_with("new", NOW - 6000, CHALLENGE.as_bytes())).await.0,
        401
    );
}

#[actix_web::test]
async fn the_challenge_signs_no_text_that_could_be_a_message() {
    let message = format!("v0:{NOW}:{{}}");
    let tokens = [message.as_str(), "a:b", "", "a b", "a\u{e9}", &"a".repeat(129)];
    for token in tokens {
        let body = json!({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).to_string();
        for request in [unsigned(&body), signed(body.as_bytes())] {
            let (status, problem) = send(request).await;
            assert_eq!(status, 400, "{token:?}");
            assert!(problem.get("encryptedToken").is_none());
        }
    }
}

#[actix_web::test]
async fn a_signed_body_that_cannot_be_read_is_an_event_all_the_same() {
    for (body, reason) in [
        (&b"{\"event\":\"\xff\"}"[..], "the body is not UTF-8"),
        (b"not json", "the body is not well-formed JSON (line 1, column 2)"),
        (b"[]", "the body is not a JSON object"),
        (b"{}", "event is missing"),
        (b"", "the body is not well-formed JSON (line 1, column 0)"),
    ] {
        let (status, seen) = send(signed(body)).await;
        assert_eq!(status, 200);
        assert_eq!(seen["length"], body.len());
        assert_eq!(seen["event"]["Err"], reason);
    }
}

#[actix_web::test]
async fn only_post_is_taken() {
    for method in [Method::GET, Method::PUT, Method::HEAD, Method::DELETE] {
        let (status, problem) = send(signed(EVENT.as_bytes()).method(method.clone())).await;
        assert_eq!(status, 405, "{method} {problem}");
    }
}

#[actix_web::test]
async fn the_body_limit_is_one_mebibyte_or_as_set() {
    let full = vec![b' '; ZoomEndpointVerifier::DEFAULT_BODY_LIMIT_BYTES];
    assert_eq!(send(signed(&full)).await.0, 200);
    let over = vec![b' '; ZoomEndpointVerifier::DEFAULT_BODY_LIMIT_BYTES + 1];
    let (status, problem) = send(signed(&over)).await;
    assert_eq!(status, 413);
    assert_eq!(problem["type"], "urn:domicile:problem:payload_too_large");
    assert_eq!(
        send_to(verifier().body_limit(10), signed(EVENT.as_bytes()))
            .await
            .0,
        413
    );
    assert_eq!(
        send_to(verifier().body_limit(2_000_000), signed(&over)).await.0,
        200
    );
}

#[actix_web::test]
async fn a_coded_body_is_refused() {
    let request = signed(EVENT.as_bytes()).insert_header((header::CONTENT_ENCODING, "gzip"));
    assert_eq!(send(request).await.0, 415);
}

#[actix_web::test]
async fn a_body_that_never_ends_is_asked_for_again() {
    let (_sender, stalled) = tokio::sync::mpsc::channel::<Result<Bytes, actix_web::error::PayloadError>>(1);
    let stalled = futures_util::stream::unfold(stalled, |mut stalled| async move {
        stalled.recv().await.map(|piece| (piece, stalled))
    });
    let request = signed(EVENT.as_bytes()).uri("/zoom/events").to_http_request();
    let stalled: Pin<Box<dyn futures_util::Stream<Item = _>>> = Box::pin(stalled);
    let payload = Payload::Stream { payload: stalled };
    let quick = verifier().body_time(Duration::from_millis(10));
    let error = quick.request(&request, payload).await.err().unwrap();
    assert_eq!(error.problem(), Problem::Unavailable);
}

#[actix_web::test]
async fn a_request_id_that_is_not_zooms_kind_is_dropped() {
    for id in ["a b", "<script>", &"x".repeat(65), ""] {
        let (status, seen) = send(signed(EVENT.as_bytes()).insert_header((REQUEST_ID_HEADER, id))).await;
        assert_eq!(status, 200);
        assert_eq!(seen["zoom_request_id"], Value::Null, "{id:?}");
    }
}

#[actix_web::test]
async fn without_a_verifier_zoom_is_asked_to_come_again() {
    let app = test::init_service(App::new().route("/", web::post().to(async |_: ZoomRequest| "in"))).await;
    let response = test::call_service(&app, signed(b"{}").uri("/").to_request()).await;
    assert_eq!(response.status(), 500);
}

#[actix_web::test]
async fn the_verified_request_alone_takes_a_challenge_for_an_event() {
    let app = test::init_service(App::new().app_data(web::Data::new(verifier())).route(
        "/",
        web::post().to(async |request: VerifiedZoomRequest| request.body),
    ))
    .await;
    let response = test::call_service(&app, signed(CHALLENGE.as_bytes()).uri("/").to_request()).await;
    assert_eq!(test::read_body(response).await, CHALLENGE);
    let response = test::call_service(&app, unsigned(CHALLENGE).uri("/").to_request()).await;
    assert_eq!(response.status(), 401);
}

fn with_authorization() -> ZoomEndpointVerifier {
    let required: RequiredAuthorization = "Basic dXNlcjpuZXc=, Basic dXNlcjpvbGQ=".parse().unwrap();
    verifier().required_header(Some(required.0))
}

#[actix_web::test]
async fn the_header_of_the_subscription_is_asked_of_events_and_of_challenges_signed_or_not() {
    for value in ["Basic dXNlcjpuZXc=", "Basic dXNlcjpvbGQ=", "basic dXNlcjpuZXc="] {
        for request in [
            signed(EVENT.as_bytes()),
            signed(CHALLENGE.as_bytes()),
            unsigned(CHALLENGE),
        ] {
            let request = request.insert_header((header::AUTHORIZATION, value));
            assert_eq!(send_to(with_authorization(), request).await.0, 200, "{value}");
        }
    }
    let wrong = ["Basic dXNlcjpuZXg=", "Bearer dXNlcjpuZXc=", "PLANTED", ""];
    for request in [EVENT, CHALLENGE].into_iter().flat_map(|body| {
        let twice = signed(body.as_bytes())
            .append_header((header::AUTHORIZATION, "Basic dXNlcjpuZXc="))
            .append_header((header::AUTHORIZATION, "Basic dXNlcjpuZXc="));
        let wrong = wrong.map(|value| signed(body.as_bytes()).insert_header((header::AUTHORIZATION, value)));
        wrong
            .into_iter()
            .chain([twice, signed(body.as_bytes()), unsigned(body)])
    }) {
        let (status, problem) = send_to(with_authorization(), request).await;
        assert_eq!(status, 401);
        assert_eq!(problem["type"], "urn:domicile:problem:unauthenticated");
        let text = problem.to_string();
        assert!(!text.contains("PLANTED") && !text.contains("dXNl"), "{text}");
        assert!(
            text.contains("a header that the subscription's settings add"),
            "{text}"
        );
    }
    // The header proves nothing of the body.
    let forged = signed_with("other", NOW, EVENT.as_bytes())
        .insert_header((header::AUTHORIZATION, "Basic dXNlcjpuZXc="));
    assert_eq!(send_to(with_authorization(), forged).await.0, 401);
}

#[actix_web::test]
async fn a_header_of_ones_own_is_asked_for_by_its_name() {
    let required: RequiredOwnHeader = "X-Region-Key: s3cret".parse().unwrap();
    let verifier = verifier().required_header(Some(required.0));
    let right = signed(EVENT.as_bytes()).insert_header(("x-region-key", "s3cret"));
    assert_eq!(send_to(verifier.clone(), right).await.0, 200);
    let other_name = signed(EVENT.as_bytes()).insert_header(("x-regions-key", "s3cret"));
    assert_eq!(send_to(verifier.clone(), other_name).await.0, 401);
    let wrong = signed(EVENT.as_bytes()).insert_header(("x-region-key", "S3cret"));
    assert_eq!(send_to(verifier, wrong).await.0, 401);
}

#[actix_web::test]
async fn a_header_that_nobody_asked_for_is_ignored() {
    for value in ["Basic dXNlcjpuZXc=", "nonsense"] {
        let request = signed(EVENT.as_bytes())
            .append_header((header::AUTHORIZATION, value))
            .append_header((header::AUTHORIZATION, value));
        assert_eq!(send(request).await.0, 200);
    }
}

#[actix_web::test]
async fn the_content_type_says_nothing() {
    for content_type in [
        "application/json; charset=utf-8",
        "application/json; charset-utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "image/png",
        "",
    ] {
        let request = signed(EVENT.as_bytes()).insert_header((header::CONTENT_TYPE, content_type));
        assert_eq!(send(request).await.0, 200, "{content_type}");
    }
}

#[actix_web::test]
async fn every_coding_but_identity_is_refused_and_identity_is_none() {
    for coding in ["gzip", "br", "deflate", "zstd", "x-unknown", "identity, gzip", ""] {
        let request = signed(EVENT.as_bytes()).insert_header((header::CONTENT_ENCODING, coding));
        let (status, problem) = send(request).await;
        assert_eq!(status, 415, "{coding}");
        assert_eq!(problem["type"], "urn:domicile:problem:unsupported_media_type");
    }
    let request = signed(EVENT.as_bytes()).insert_header((header::CONTENT_ENCODING, "Identity"));
    assert_eq!(send(request).await.0, 200);
    let request = signed(EVENT.as_bytes())
        .append_header((header::CONTENT_ENCODING, "identity"))
        .append_header((header::CONTENT_ENCODING, "gzip"));
    assert_eq!(send(request).await.0, 415);
}

/// Every byte of timestamp, signature and body, every bit of it, one at a time.
#[actix_web::test]
async fn no_bit_of_a_signed_request_can_be_flipped() {
    let verifier = verifier();
    let body = br#"{"event":"meeting.ended"}"#.to_vec();
    let timestamp = NOW.to_string().into_bytes();
    let signature = sign(&Secret::from("new"), NOW, &body).into_bytes();
    let check = async |timestamp: &[u8], signature: &[u8], body: &[u8]| {
        let value = |bytes: &[u8]| header::HeaderValue::from_bytes(bytes).ok();
        // What cannot be a header's value does not get this far.
        let (timestamp, signature) = (value(timestamp)?, value(signature)?);
        let (request, mut payload) = TestRequest::post()
            .app_data(web::Data::new(verifier.clone()))
            .insert_header((TIMESTAMP_HEADER, timestamp))
            .insert_header((SIGNATURE_HEADER, signature))
            .set_payload(body.to_vec())
            .to_http_parts();
        Some(ZoomRequest::from_request(&request, &mut payload).await)
    };
    let flips = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let bytes = bytes.to_vec();
        let places = (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit)));
        places
            .map(|(at, bit)| {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                flipped
            })
            .collect()
    };
    let mut refused = 0;
    let mut refuse = |outcome: Option<Result<ZoomRequest, ProblemError>>, what: &[u8]| {
        let Some(outcome) = outcome else { return };
        let problem = outcome
            .err()
            .unwrap_or_else(|| panic!("{what:?} passed"))
            .problem();
        assert!(
            matches!(problem, Problem::Unauthenticated | Problem::MalformedRequest),
            "{what:?}: {problem:?}"
        );
        refused += 1;
    };
    for flipped in flips(&body) {
        refuse(check(&timestamp, &signature, &flipped).await, &flipped);
    }
    for flipped in flips(&timestamp) {
        refuse(check(&flipped, &signature, &body).await, &flipped);
    }
    for flipped in flips(&signature) {
        refuse(check(&timestamp, &flipped, &body).await, &flipped);
    }
    assert!(refused > 8 * body.len() + 7 * signature.len(), "{refused}");
    let honest = check(&timestamp, &signature, &body).await;
    assert!(matches!(honest, Some(Ok(ZoomRequest::Event(_)))));
}

#[actix_web::test]
async fn duplicated_headers_are_refused_in_every_combination_and_order() {
    let good = (NOW.to_string(), sign(&Secret::from("new"), NOW, EVENT.as_bytes()));
    let other = (
        (NOW - 1).to_string(),
        sign(&Secret::from("new"), NOW - 1, EVENT.as_bytes()),
    );
    let empty = (String::new(), String::new());
    for (first, second) in [
        (&good, &good),
        (&good, &other),
        (&other, &good),
        (&good, &empty),
        (&empty, &good),
    ] {
        for doubled in [(true, false), (false, true), (true, true)] {
            for signature_first in [true, false] {
                let timestamps = [&first.0, &second.0].into_iter().take(1 + usize::from(doubled.0));
                let signatures = [&first.1, &second.1].into_iter().take(1 + usize::from(doubled.1));
                let timestamps: Vec<_> = timestamps.map(|value| (TIMESTAMP_HEADER, value)).collect();
                let signatures: Vec<_> = signatures.map(|value| (SIGNATURE_HEADER, value)).collect();
                let fields = if signature_first {
                    [signatures, timestamps].concat()
                } else {
                    [timestamps, signatures].concat()
                };
                for body in [EVENT, CHALLENGE] {
                    let request = fields.iter().fold(unsigned(body), |request, (name, value)| {
                        request.append_header((*name, value.as_str()))
                    });
                    let (status, problem) = send(request).await;
                    assert_eq!(status, 400, "{fields:?}");
                    let detail = problem["detail"].as_str().unwrap();
                    assert!(
                        detail.ends_with("more than once") || detail.ends_with("malformed"),
                        "{detail}"
                    );
                }
            }
        }
    }
    assert_eq!(send(signed(EVENT.as_bytes())).await.0, 200);
}

/// The answer to a challenge is an HMAC under the same secret; whatever it was asked for, it opens nothing.
#[actix_web::test]
async fn the_answer_to_a_challenge_signs_no_event() {
    for token in [
        "qgg8vlvZRS6UYooatFL8Aw",
        "v0",
        "v0.1795000000",
        "1795000000",
        "v0=1795000000=",
    ] {
        let body = json!({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).to_string();
        let (status, answer) = send(unsigned(&body)).await;
        assert_eq!(status, 200, "{token}");
        let signature = format!("v0={}", answer["encryptedToken"].as_str().unwrap());
        for (timestamp, body) in [
            (NOW.to_string(), token),
            (NOW.to_string(), ""),
            (NOW.to_string(), EVENT),
            (NOW.to_string(), body.as_str()),
            (String::new(), token),
            ("v0".to_owned(), token),
        ] {
            let request = unsigned(body)
                .insert_header((TIMESTAMP_HEADER, timestamp.clone()))
                .insert_header((SIGNATURE_HEADER, signature.clone()));
            let (status, _) = send(request).await;
            assert!(matches!(status, 400 | 401), "{token} {timestamp}: {status}");
        }
    }
}

#[actix_web::test]
async fn what_the_ingress_said_is_told_of_zooms_endpoint_alone() {
    use domicile_kernel::{Ids, Rng};

    struct Zeros;
    impl Rng for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }
    let (log, _guard) = crate::guard::log::Log::start();
    let guard = crate::guard::Guard::new(
        crate::guard::Listener::Public,
        Ids::new(Arc::new(Fixed), Arc::new(Zeros)),
    );
    let app = test::init_service(
        App::new()
            .service(
                web::resource("/zoom/events")
                    .app_data(web::Data::new(verifier()))
                    .to(async |_: ZoomRequest| "in"),
            )
            .service(web::resource("/page").to(async || "page"))
            .wrap(guard),
    )
    .await;
    let through_ingress = |request: TestRequest, uri: &str| {
        request
            .uri(uri)
            .insert_header(("x-forwarded-for", "6.6.6.6, 170.114.0.1"))
            .insert_header(("ssl-client-verify", "SUCCESS"))
            .insert_header(("ssl-client-subject-dn", "CN=*.zoom.us"))
            .to_request()
    };
    for (request, uri, client, told) in [
        (signed(EVENT.as_bytes()), "/zoom/events", "zoom", true),
        (unsigned(EVENT), "/zoom/events", "unknown", true),
        (TestRequest::get(), "/zoom/events", "unknown", true),
        (TestRequest::get(), "/page", "unknown", false),
        (TestRequest::get(), "/nowhere", "unknown", false),
    ] {
        test::call_service(&app, through_ingress(request, uri)).await;
        let lines = log.lines();
        let fields = &lines.last().unwrap()["fields"];
        assert_eq!(fields["domicile.client"], client, "{uri}");
        for (name, value) in [
            ("client.address", "170.114.0.1"),
            ("domicile.client_certificate", "verified"),
            ("tls.client.subject", "CN=*.zoom.us"),
        ] {
            let expected = if told { value.into() } else { Value::Null };
            assert_eq!(fields[name], expected, "{uri} {name}");
        }
    }
    assert!(!log.text().contains("6.6.6.6"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_unsigned_body_but_a_challenge_is_answered(body in proptest::collection::vec(any::<u8>(), 0..100), timestamp in "[ -~]{0,12}", signature in "[ -~]{0,80}") {
        let request = TestRequest::post()
            .insert_header((TIMESTAMP_HEADER, timestamp))
            .insert_header((SIGNATURE_HEADER, signature))
            .set_payload(body);
        let (status, _) = actix_web::rt::System::new().block_on(send(request));
        prop_assert!(status == 400 || status == 401);
    }
}
