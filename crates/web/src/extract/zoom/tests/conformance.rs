//! The conformance corpus of `zoom`, signed and pushed through the extractor that the endpoints use.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

/// Each fixture's body and what it must come to, by file name; that both lists agree is a test of `zoom`.
fn corpus() -> BTreeMap<String, (Vec<u8>, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zoom/tests");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, Value> = serde_json::from_slice(&expected).unwrap();
    expected
        .into_iter()
        .map(|(name, expected)| {
            let body = std::fs::read(folder.join("events").join(&name)).unwrap();
            (name, (body, expected))
        })
        .collect()
}

async fn extract(endpoint: &'static str, request: TestRequest) -> Result<ZoomRequest, ProblemError> {
    let secrets = WebhookSecrets::new(&[Secret::from("new"), Secret::from("old")]).unwrap();
    let verifier = ZoomEndpointVerifier::new(endpoint, secrets, Arc::new(Fixed));
    let (request, mut payload) = request.app_data(web::Data::new(verifier)).to_http_parts();
    ZoomRequest::from_request(&request, &mut payload).await
}

#[actix_web::test]
async fn every_signed_fixture_comes_to_what_is_expected_of_it() {
    let corpus = corpus();
    assert!(corpus.len() > 100);
    for (name, (body, expected)) in corpus {
        let endpoint = if expected["endpoint"] == "bot" {
            "bot"
        } else {
            "events"
        };
        for (secret, age) in [("new", 0), ("old", 5700), ("new", -300)] {
            match extract(endpoint, signed_with(secret, NOW - age, &body)).await {
                Ok(ZoomRequest::Challenge(answer)) => {
                    assert_eq!(json!(answer.plain_token), expected["challenge"], "{name}");
                    let token = answer.plain_token.parse().unwrap();
                    assert_eq!(answer, challenge::answer(&Secret::from(secret), &token), "{name}");
                }
                Ok(ZoomRequest::Event(event)) => {
                    assert!(
                        expected["challenge"].is_null() && expected["challenge_refused"].is_null(),
                        "{name}"
                    );
                    assert_eq!(event.body, body, "{name}: the bytes as they were sent");
                    assert_eq!(
                        (event.endpoint, event.verified.age_seconds),
                        (endpoint, age),
                        "{name}"
                    );
                    match &event.envelope {
                        Ok(envelope) => assert_eq!(json!(envelope.event), expected["event"], "{name}"),
                        Err(error) => {
                            let expected = expected["error"].as_str().unwrap_or(&name);
                            assert!(error.to_string().starts_with(expected), "{name}: {error}");
                        }
                    }
                }
                Err(problem) => {
                    assert_eq!(expected["challenge_refused"], true, "{name}");
                    assert_eq!(problem.problem(), Problem::MalformedRequest, "{name}");
                }
            }
        }
    }
}

#[actix_web::test]
async fn no_fixture_passes_unsigned_or_signed_by_another_but_an_unsigned_challenge() {
    for (name, (body, expected)) in corpus() {
        let is_challenge = expected["event"] == "endpoint.url_validation";
        let unsigned = extract("events", TestRequest::post().set_payload(body.clone())).await;
        match unsigned {
            Ok(ZoomRequest::Challenge(_)) => assert!(expected["challenge"].is_string(), "{name}"),
            Ok(ZoomRequest::Event(_)) => panic!("{name} passed unsigned"),
            Err(error) => {
                let refused = if is_challenge {
                    Problem::MalformedRequest
                } else {
                    Problem::Unauthenticated
                };
                assert_eq!(error.problem(), refused, "{name}");
            }
        }
        for request in [
            signed_with("another", NOW, &body),
            signed_with("new", NOW - 5701, &body),
        ] {
            let refused = extract("events", request)
                .await
                .err()
                .map(|error| error.problem());
            assert_eq!(refused, Some(Problem::Unauthenticated), "{name}");
        }
    }
}
