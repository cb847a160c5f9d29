use std::sync::Arc;

use domicile_egress::testing;
use http::Method;

use super::*;
use crate::fake::{Fake, Noon, Script, client};
use crate::host::ZoomHosts;

struct Setup {
    fake: Fake,
    api: ZoomApi,
    base: ApiBase,
}

async fn setup(scripts: Vec<Script>) -> Setup {
    let fake = Fake::start(scripts).await;
    let hosts: Arc<ZoomHosts> = Arc::new("127.0.0.1".parse().unwrap());
    Setup {
        base: hosts.validate_api_url(fake.url.as_str()).unwrap(),
        api: ZoomApi::new(client(testing::TIMEOUTS), hosts, Arc::new(Noon)),
        fake,
    }
}

fn call(method: &Method, path: &str, query: &str) -> AllowedCall {
    let rules: CallRules = "GET /users/{userId}, POST /users/{userId}/meetings, DELETE /meetings/{meetingId}"
        .parse()
        .unwrap();
    rules.allow(method, path, query).unwrap()
}

impl Setup {
    async fn pass(
        &self,
        call: &AllowedCall,
        headers: &HeaderMap,
        body: &'static str,
    ) -> Result<PassedAnswer, PassThroughError> {
        let token = Secret::from("TOKEN");
        self.api
            .pass_through(&self.base, &token, call, headers, Bytes::from(body))
            .await
    }

    async fn get(&self) -> Result<PassedAnswer, PassThroughError> {
        self.pass(&call(&Method::GET, "users/me", ""), &HeaderMap::new(), "")
            .await
    }
}

async fn answer(status: u16, headers: &'static str, body: &str) -> Result<PassedAnswer, PassThroughError> {
    let it = setup(vec![Script::Answer(status, headers, body.to_owned())]).await;
    it.get().await
}

#[tokio::test]
async fn only_what_zoom_may_know_is_sent() {
    let it = setup(vec![Script::Answer(201, "", "{}".to_owned())]).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("authorization", "Bearer PLANTED"),
        ("cookie", "session=PLANTED"),
        ("host", "PLANTED.example"),
        ("x-forwarded-for", "PLANTED"),
        ("forwarded", "for=PLANTED"),
        ("proxy-authorization", "PLANTED"),
        ("traceparent", "PLANTED"),
        ("transfer-encoding", "PLANTED"),
        ("accept-encoding", "PLANTED"),
        ("content-type", "application/json"),
        ("accept-language", "de"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    let call = call(&Method::POST, "users/me/meetings", "a=b+c&d=%26");
    let passed = it.pass(&call, &headers, "{\"topic\":\"x\"}").await.unwrap();
    assert_eq!(passed.status, 201);
    let request = &it.fake.requests()[0];
    assert!(
        request.starts_with("POST /v2/users/me/meetings?a=b+c&d=%26 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(!request.contains("PLANTED"), "{request}");
    for line in [
        "authorization: Bearer TOKEN\r\n",
        "content-type: application/json\r\n",
        "accept-language: de\r\n",
        "accept: application/json\r\n",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(request.ends_with("\r\n\r\n{\"topic\":\"x\"}"), "{request}");
}

#[tokio::test]
async fn only_what_the_app_may_know_comes_back() {
    let headers = "set-cookie: PLANTED=1\r\nserver: PLANTED\r\nlocation: https://zoom.us/PLANTED\r\n\
        www-authenticate: PLANTED\r\ncontent-type: application/json\r\netag: \"1\"\r\nx-zm-trackingid: v=2.0\r\n\
        x-ratelimit-limit: 80\r\nx-ratelimit-remaining: 79\r\n";
    let passed = answer(200, headers, "{\"id\":1}").await.unwrap();
    let mut names: Vec<_> = passed.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "content-type",
            "etag",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-zm-trackingid",
        ]
    );
    assert_eq!(passed.body, "{\"id\":1}");
    assert!(!passed.token_refused);
}

#[tokio::test]
async fn an_error_keeps_status_and_body_and_says_when_to_come_back() {
    let headers = "retry-after: 2026-11-22T12:30:00Z\r\nx-ratelimit-type: Daily-limit\r\n";
    let body = "{\"code\":429,  \"message\":\"start_url\"}";
    let passed = answer(429, headers, body).await.unwrap();
    assert_eq!((passed.status.as_u16(), &passed.body[..]), (429, body.as_bytes()));
    assert_eq!(passed.headers[header::RETRY_AFTER], "1800");
    assert_eq!(passed.headers["x-ratelimit-type"], "Daily-limit");
    let passed = answer(502, "", "").await.unwrap();
    assert_eq!((passed.status.as_u16(), passed.body.len()), (502, 0));
    assert_eq!(answer(304, "", "").await.unwrap().status, 304);
}

#[tokio::test]
async fn a_dead_token_is_told_from_a_call_that_the_grant_does_not_cover() {
    let dead = answer(401, "", r#"{"code":124,"message":"Access token is expired."}"#).await;
    assert!(dead.unwrap().token_refused);
    let other = r#"{"code":4700,"message":"Invalid access token, does not contain scopes."}"#;
    assert!(!answer(401, "", other).await.unwrap().token_refused);
}

#[tokio::test]
async fn a_credential_in_an_answer_stays_here() {
    let body = r#"{"id":1,"start_url":"https://zoom.us/s/1?zak=PLANTED"}"#;
    let passed = answer(200, "", body).await.unwrap();
    assert_eq!(passed.body, r#"{"id":1}"#);
    assert_eq!(passed.withheld, ["start_url"]);
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_an_error() {
    for status in [301, 302, 307] {
        let redirect = answer(status, "location: https://zoom.us/x\r\n", "").await;
        assert!(matches!(redirect, Err(PassThroughError::Redirect)), "{status}");
    }
    let large = answer(200, "", &"x".repeat(MAX_ANSWER_BYTES + 1)).await;
    assert!(matches!(large, Err(PassThroughError::TooLarge)));
    let packed = answer(200, "content-encoding: gzip\r\n", "x").await;
    assert!(matches!(packed, Err(PassThroughError::Unreadable)));
    let torn = answer(200, "", "{\"zak\":").await;
    assert!(matches!(torn, Err(PassThroughError::Unreadable)));
    let it = setup(vec![Script::HangUp]).await;
    assert!(matches!(it.get().await, Err(PassThroughError::LostAnswer(_))));
    let it = setup(Vec::new()).await;
    let narrower = ZoomApi::new(
        client(testing::TIMEOUTS),
        Arc::new("zoom.us".parse().unwrap()),
        Arc::new(Noon),
    );
    let refused = narrower
        .pass_through(
            &it.base,
            &Secret::from("TOKEN"),
            &call(&Method::GET, "users/me", ""),
            &HeaderMap::new(),
            Bytes::new(),
        )
        .await;
    assert!(matches!(refused, Err(PassThroughError::HostNotAllowed)));
    assert!(it.fake.requests().is_empty());
}
