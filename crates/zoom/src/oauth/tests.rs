use std::sync::Arc;
use std::time::Duration;

use domicile_egress::{Timeouts, testing};
use domicile_kernel::{Fate, Secret};
use url::Url;

use super::*;
use crate::fake::{Fake, Noon, Script, client};

const TOKENS: &str = r#"{"access_token":"A2","token_type":"bearer","refresh_token":"R2","expires_in":3599,"scope":"a b","api_url":"https://api-eu.zoom.us"}"#;

fn json(status: u16, body: &str) -> Script {
    Script::Answer(
        status,
        "content-type: application/json;charset=UTF-8\r\n",
        body.to_owned(),
    )
}

fn zoom_at(url: &Url, timeouts: Timeouts) -> ZoomOAuth {
    ZoomOAuth::new(
        "client-id",
        Secret::from("PLANTED/secret+1"),
        url,
        &Url::parse("https://zoom.eu.example.com/oauth/callback").unwrap(),
        client(timeouts),
        Arc::new(Noon),
    )
    .unwrap()
}

async fn refresh(script: Script) -> (Result<TokenSet, OAuthError>, Fake) {
    let fake = Fake::start(vec![script]).await;
    let zoom = zoom_at(&fake.url, testing::TIMEOUTS);
    (zoom.refresh(&Secret::from("PLANTED-REFRESH")).await, fake)
}

async fn refresh_error(script: Script) -> OAuthError {
    let error = refresh(script).await.0.err().unwrap();
    let mut shown = format!("{error:?}");
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(current) = next {
        shown += &current.to_string();
        next = current.source();
    }
    assert!(!shown.contains("PLANTED"), "{shown}");
    error
}

#[tokio::test]
async fn the_authorize_url_has_state_and_s256_challenge() {
    let zoom = zoom_at(&Url::parse("https://zoom.us").unwrap(), testing::TIMEOUTS);
    let verifier = PkceVerifier::from_secret(Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    let url = zoom.authorize_url(&Secret::from("STATE"), &verifier.challenge());
    assert!(
        url.as_str().starts_with("https://zoom.us/oauth/authorize?"),
        "{url}"
    );
    let query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    let expected = [
        ("client_id", "client-id"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "https://zoom.eu.example.com/oauth/callback"),
        ("response_type", "code"),
        ("state", "STATE"),
    ];
    assert_eq!(
        query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[tokio::test]
async fn a_code_is_exchanged_with_basic_authentication_and_verifier() {
    let fake = Fake::start(vec![json(200, TOKENS)]).await;
    let zoom = zoom_at(&fake.url, testing::TIMEOUTS);
    let verifier = PkceVerifier::from_secret(Secret::from("VERIFIER"));
    let tokens = zoom
        .exchange(&Secret::from("CODE"), &verifier)
        .await
        .ok()
        .unwrap();
    assert_eq!(tokens.access_token.expose(), "A2");
    assert_eq!(tokens.refresh_token.unwrap().expose(), "R2");
    assert_eq!(tokens.scopes, ["a", "b"]);
    assert_eq!(tokens.api_url.unwrap().host_str(), Some("api-eu.zoom.us"));

    let [request] = &fake.requests()[..] else {
        panic!("one request")
    };
    assert!(request.starts_with("POST /oauth/token HTTP/1.1\r\n"), "{request}");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
    let credentials = STANDARD.encode("client-id:PLANTED%2Fsecret%2B1");
    assert!(
        head.contains(&format!("authorization: Basic {credentials}")),
        "{head}"
    );
    let form: std::collections::BTreeMap<_, _> =
        form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], "CODE");
    assert_eq!(form["code_verifier"], "VERIFIER");
    assert_eq!(form["redirect_uri"], "https://zoom.eu.example.com/oauth/callback");
}

#[tokio::test]
async fn a_refresh_gives_the_next_pair() {
    let (tokens, fake) = refresh(json(200, TOKENS)).await;
    assert_eq!(tokens.ok().unwrap().refresh_token.unwrap().expose(), "R2");
    assert!(fake.requests()[0].contains("grant_type=refresh_token"));
}

#[tokio::test]
async fn a_success_of_another_content_type_still_gives_the_tokens() {
    let (tokens, _) = refresh(Script::Answer(
        200,
        "content-type: text/plain\r\n",
        TOKENS.to_owned(),
    ))
    .await;
    assert!(tokens.is_ok());
}

#[tokio::test]
async fn a_dead_grant_is_told_from_a_wrong_client() {
    let dead = refresh_error(json(
        400,
        r#"{"reason":"Invalid Token! PLANTED","error":"invalid_grant"}"#,
    ))
    .await;
    assert!(matches!(dead, OAuthError::InvalidGrant { code: None }));
    assert!(dead.ends_grant() && !dead.may_have_rotated());
    assert_eq!(dead.fate(), Fate::Final);

    for body in [
        r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#,
        r#"{"error":"invalid_client"}"#,
        r#"{"status":false,"errorCode":4702,"errorMessage":"PLANTED","result":null}"#,
    ] {
        let wrong = refresh_error(json(401, body)).await;
        assert!(matches!(wrong, OAuthError::InvalidClient), "{body}");
        assert!(!wrong.ends_grant());
    }
}

#[tokio::test]
async fn zooms_numbers_say_why_a_grant_ended() {
    for (body, expected) in [
        (r#"{"error":"invalid_grant","code":4735}"#, Some(codes::USER_GONE)),
        (
            r#"{"error":"invalid_grant","errorCode":"4738","errorMessage":"PLANTED"}"#,
            Some(codes::APP_DISABLED_BY_ADMIN),
        ),
        (
            r#"{"error":"invalid_grant","error_code":4741}"#,
            Some(codes::TOKEN_REVOKED),
        ),
        (
            r#"{"error":"invalid_grant","reason":"PLANTED (4741)"}"#,
            Some(codes::TOKEN_REVOKED),
        ),
        // No number of the client's, the protocol's or nobody's explains a dead grant.
        (r#"{"error":"invalid_grant","code":4702}"#, None),
        (r#"{"error":"invalid_grant","code":1}"#, None),
    ] {
        let error = refresh_error(json(400, body)).await;
        assert!(
            matches!(error, OAuthError::InvalidGrant { code } if code == expected),
            "{body}"
        );
        assert!(error.ends_grant());
    }
}

#[tokio::test]
async fn no_number_ends_a_grant_that_the_error_does_not() {
    for body in [
        r#"{"status":false,"errorCode":"4738","errorMessage":"PLANTED"}"#,
        r#"{"error_code":4741}"#,
        r#"{"error":"invalid_request","code":4735}"#,
        r#"{"error":"invalid_token","code":4741}"#,
        r#"{"reason":"Invalid Token! 4741"}"#,
    ] {
        let error = refresh_error(json(400, body)).await;
        assert!(matches!(error, OAuthError::Rejected { .. }), "{body}");
        assert!(!error.ends_grant() && !error.may_have_rotated());
    }
    // A page before Zoom may say anything; only an answer to a client's mistake is one about the grant.
    let moved = refresh_error(json(302, r#"{"error":"invalid_grant"}"#)).await;
    assert!(!moved.ends_grant());
}

#[tokio::test]
async fn any_other_refusal_keeps_only_words_that_the_protocol_knows() {
    let known = refresh_error(json(
        400,
        r#"{"error":"unsupported_grant_type","reason":"PLANTED"}"#,
    ))
    .await;
    assert!(matches!(
        known,
        OAuthError::Rejected {
            status: 400,
            error: Some("unsupported_grant_type"),
            code: None
        }
    ));
    for body in [r#"{"error":"PLANTED"}"#, "<html>PLANTED</html>", "", "[]"] {
        let unknown = refresh_error(json(403, body)).await;
        assert!(
            matches!(
                unknown,
                OAuthError::Rejected {
                    status: 403,
                    error: None,
                    code: None
                }
            ),
            "{body}"
        );
        assert!(!unknown.ends_grant());
    }
    // A redirect is not followed: the answer to a token request stays where it was asked.
    let moved = refresh_error(Script::Answer(
        302,
        "location: https://evil.example/PLANTED\r\n",
        String::new(),
    ))
    .await;
    assert!(matches!(moved, OAuthError::Rejected { status: 302, .. }));
}

#[tokio::test]
async fn an_outage_or_a_rate_limit_never_ends_a_grant() {
    let busy = refresh_error(Script::Answer(429, "retry-after: 30\r\n", String::new())).await;
    assert_eq!(
        busy.fate(),
        Fate::Retry {
            after: Some(Duration::from_secs(30))
        }
    );
    assert!(!busy.ends_grant() && !busy.may_have_rotated());
    let down = refresh_error(Script::Answer(503, "", "PLANTED".to_owned())).await;
    assert!(matches!(down, OAuthError::Unavailable { status: 503, .. }));
    assert!(down.fate().is_retry() && down.may_have_rotated() && !down.ends_grant());
}

#[tokio::test]
async fn an_answer_lost_after_sending_is_told_from_a_request_that_never_left() {
    for script in [Script::HangUp, Script::Truncated] {
        let lost = refresh_error(script).await;
        assert!(
            matches!(lost, OAuthError::LostAnswer(LostCause::Transport(_))),
            "{lost:?}"
        );
        assert!(lost.may_have_rotated() && !lost.ends_grant() && lost.fate().is_retry());
    }
    for body in [
        "",
        "{}",
        "<html>PLANTED</html>",
        r#"{"access_token":7}"#,
        r#"{"PLANTED"#,
    ] {
        let lost = refresh_error(json(200, body)).await;
        assert!(
            matches!(lost, OAuthError::LostAnswer(LostCause::Unreadable)),
            "{body}"
        );
    }

    let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("http://{}", closed.local_addr().unwrap())).unwrap();
    drop(closed);
    let unreachable = zoom_at(&url, testing::TIMEOUTS)
        .refresh(&Secret::from("R"))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(unreachable, OAuthError::Unreachable(_)),
        "{unreachable:?}"
    );
    assert!(!unreachable.may_have_rotated() && unreachable.fate().is_retry());

    let outside = zoom_at(&Url::parse("https://zoom.us").unwrap(), testing::TIMEOUTS);
    let refused = outside.refresh(&Secret::from("R")).await.err().unwrap();
    assert!(matches!(refused, OAuthError::Unreachable(_)), "{refused:?}");
    assert_eq!(refused.fate(), Fate::Final);
}

#[tokio::test]
async fn a_time_out_after_sending_is_a_lost_answer() {
    let fake = Fake::start(vec![Script::Silence]).await;
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        read: Duration::from_millis(100),
        total: None,
    };
    let lost = zoom_at(&fake.url, timeouts)
        .refresh(&Secret::from("R"))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(lost, OAuthError::LostAnswer(LostCause::Transport(_))),
        "{lost:?}"
    );
}

#[tokio::test]
async fn revoking_a_token_that_is_dead_already_is_a_success() {
    let fake = Fake::start(vec![
        json(200, r#"{"status":"success"}"#),
        json(400, r#"{"reason":"Invalid Token!","error":"invalid_grant"}"#),
        json(400, r#"{"error":"invalid_token"}"#),
        json(500, ""),
    ])
    .await;
    let zoom = zoom_at(&fake.url, testing::TIMEOUTS);
    let token = Secret::from("ACCESS");
    assert!(zoom.revoke(&token).await.is_ok());
    assert!(zoom.revoke(&token).await.is_ok());
    assert!(zoom.revoke(&token).await.is_ok());
    assert!(matches!(
        zoom.revoke(&token).await,
        Err(OAuthError::Unavailable { .. })
    ));
    let request = &fake.requests()[0];
    assert!(request.starts_with("POST /oauth/revoke HTTP/1.1\r\n"));
    assert!(request.ends_with("\r\n\r\ntoken=ACCESS"), "{request}");
}
