//! Calls over real sockets.
#![cfg(test)]

mod server;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domicile_egress::testing::{StaticResolver, TIMEOUTS, loopback};
use domicile_egress::{
    Client, Egress, EgressError, Fence, GetFollowing, HostRule, RefusedReason, Response, TimeoutPhase,
    Timeouts,
};
use domicile_kernel::{Fate, Secret};
use futures_util::TryStreamExt;
use http::Request;
use opentelemetry_http::HttpClient;
use url::Url;

use crate::server::{Answer, Server, serve};

const SECRET_PATH: &str = "/rec/secret-path?token=secret-query";

fn rules(hosts: &[&str]) -> Vec<HostRule> {
    hosts
        .iter()
        .map(|host| HostRule::parse_exact(host).unwrap())
        .collect()
}

fn egress(hosts: &[&str]) -> Egress {
    let fence = Fence::builder().allow_all("TEST_HOSTS", rules(hosts)).build();
    Egress::new(Arc::new(fence), Arc::new(StaticResolver::default())).unwrap()
}

fn client() -> Client {
    loopback().client("test", TIMEOUTS)
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

async fn follow(client: &Client, url: &str, bearer_hosts: &[&str]) -> Result<Response, EgressError> {
    client
        .get_following(GetFollowing {
            url: Url::parse(url).unwrap(),
            bearer: Some(&Secret::from("the-token")),
            bearer_hosts: &rules(bearer_hosts),
            max_hops: 5,
        })
        .await
}

/// Which of the calls carried the token.
fn with_token(server: &Server) -> Vec<bool> {
    server
        .seen()
        .iter()
        .map(|head| head.contains("authorization: Bearer the-token"))
        .collect()
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let server = serve(|_| Answer::head("302 Found", "location: /elsewhere")).await;
    let response = client().send(get(&server.url("127.0.0.1", "/"))).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_request_carries_our_name_and_no_more_than_it_must() {
    let server = serve(|_| Answer::ok("hello")).await;
    let url = server.url("127.0.0.1", "/a%2Fb?c=%2B");
    let request = Request::post(&url)
        .header("host", "elsewhere.example")
        .header("x-own", "1")
        .body(Bytes::from_static(b"body"))
        .unwrap();
    let response = client().send(request).await.unwrap();
    assert_eq!(response.content_length(), Some(5));
    assert_eq!(response.bytes_limited(5).await.unwrap(), "hello");
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /a%2Fb?c=%2B HTTP/1.1\r\n"), "{seen}");
    assert!(
        seen.contains(concat!("user-agent: domicile/", env!("CARGO_PKG_VERSION"))),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)),
        "{seen}"
    );
    assert!(seen.ends_with("\r\n\r\nbody"), "{seen}");
    for absent in [
        "elsewhere.example",
        "accept-encoding",
        "cookie",
        "referer",
        "traceparent",
    ] {
        assert!(!seen.contains(absent), "{absent}: {seen}");
    }
}

#[tokio::test]
async fn an_empty_post_or_put_announces_that_it_is_empty() {
    let server = serve(|_| Answer::ok("")).await;
    for method in ["POST", "PUT", "GET"] {
        let request = Request::builder()
            .method(method)
            .uri(server.url("127.0.0.1", "/"))
            .body(Bytes::new())
            .unwrap();
        client().send(request).await.unwrap();
    }
    let announced: Vec<_> = server
        .seen()
        .iter()
        .map(|head| head.matches("content-length: 0\r\n").count())
        .collect();
    assert_eq!(announced, [1, 1, 0]);
}

#[tokio::test]
async fn the_token_goes_to_the_first_host_and_not_along_a_redirect() {
    let server = serve(|head| match head.path() {
        "/first" => Answer::head("302 Found", "location: /second?signature=x"),
        _ => Answer::ok("media"),
    })
    .await;
    let response = follow(&client(), &server.url("127.0.0.1", "/first"), &["127.0.0.1"])
        .await
        .unwrap();
    assert_eq!(response.url().path(), "/second");
    let body: Vec<Bytes> = response.into_stream().try_collect().await.unwrap();
    assert_eq!(body.concat(), b"media");
    assert_eq!(with_token(&server), [true, false]);
}

#[tokio::test]
async fn a_first_host_outside_the_list_never_sees_the_token() {
    let server = serve(|_| Answer::head("401 Unauthorized", "")).await;
    let response = follow(&client(), &server.url("127.0.0.1", "/"), &["localhost"])
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(with_token(&server), [false]);
}

#[tokio::test]
async fn a_later_hop_that_wants_the_token_gets_it_once_if_its_host_is_listed() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server = serve(move |head| match head.path() {
            "/first" => Answer::head("302 Found", "location: /second"),
            _ if head.has_token() => Answer::ok("media"),
            _ => Answer::head(status, ""),
        })
        .await;
        let url = server.url("127.0.0.1", "/first");
        assert_eq!(
            follow(&client(), &url, &["127.0.0.1"]).await.unwrap().status(),
            200
        );
        assert_eq!(with_token(&server), [true, false, true]);
    }
    let stubborn = serve(|head| match head.path() {
        "/first" => Answer::head("302 Found", "location: /second"),
        _ => Answer::head("403 Forbidden", ""),
    })
    .await;
    let url = stubborn.url("127.0.0.1", "/first");
    assert_eq!(
        follow(&client(), &url, &["127.0.0.1"]).await.unwrap().status(),
        403
    );
    assert_eq!(with_token(&stubborn), [true, false, true]);
}

#[tokio::test]
async fn a_later_hop_on_another_host_never_sees_the_token() {
    let other = serve(|_| Answer::head("401 Unauthorized", "")).await;
    let target = other.url("localhost", "/x");
    let first = serve(move |_| Answer::head("302 Found", &format!("location: {target}"))).await;
    let response = follow(&client(), &first.url("127.0.0.1", "/"), &["127.0.0.1"])
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(with_token(&first), [true]);
    assert_eq!(with_token(&other), [false]);
}

#[tokio::test]
async fn hops_are_limited() {
    let server = serve(|_| Answer::head("307 Temporary Redirect", "location: /again")).await;
    let error = follow(&client(), &server.url("127.0.0.1", "/"), &[])
        .await
        .unwrap_err();
    assert!(
        matches!(error, EgressError::TooManyRedirects { max_hops: 5, .. }),
        "{error}"
    );
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_redirect_out_of_the_fence_is_refused_before_anything_is_sent() {
    let outside = serve(|_| Answer::ok("inside information")).await;
    for (location, reason) in [
        (outside.url("localhost", SECRET_PATH), RefusedReason::Host),
        (
            "https://169.254.169.254/latest/meta-data".to_owned(),
            RefusedReason::Host,
        ),
        ("http://user:pw@127.0.0.1/".to_owned(), RefusedReason::Userinfo),
        ("file:///etc/passwd".to_owned(), RefusedReason::Scheme),
    ] {
        let server = serve(move |_| Answer::head("302 Found", &format!("location: {location}"))).await;
        let client = egress(&["127.0.0.1"]).client("test", TIMEOUTS);
        let error = follow(&client, &server.url("127.0.0.1", "/"), &[])
            .await
            .unwrap_err();
        let EgressError::Refused(refused) = &error else {
            panic!("{error}")
        };
        assert_eq!(refused.reason(), reason);
        assert!(error.to_string().contains("TEST_HOSTS") || reason == RefusedReason::Userinfo);
        assert_eq!(error.fate(), Fate::Final);
        assert_shows_nothing_secret(&error);
    }
    assert!(outside.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_must_say_where_to() {
    for header in ["x-none: 1", "location: https://[not-a-host/"] {
        let server = serve(move |_| Answer::head("302 Found", header)).await;
        let error = follow(&client(), &server.url("127.0.0.1", SECRET_PATH), &[])
            .await
            .unwrap_err();
        assert!(matches!(error, EgressError::BadRedirect { .. }), "{error}");
        assert_shows_nothing_secret(&error);
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_anything_is_sent() {
    let addresses: [IpAddr; 4] =
        ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"].map(|text| text.parse().unwrap());
    let resolver = StaticResolver::default().with("files.zoom.us", &addresses);
    let fence = Fence::builder()
        .allow("DOMICILE_ZOOM_HOSTS", HostRule::parse_suffix("zoom.us").unwrap())
        .build();
    let egress = Egress::new(Arc::new(fence), Arc::new(resolver)).unwrap();
    let error = egress
        .client("test", TIMEOUTS)
        .send(get("https://files.zoom.us/rec/secret-path?token=secret-query"))
        .await
        .unwrap_err();
    let EgressError::Refused(refused) = &error else {
        panic!("{error}")
    };
    assert_eq!(refused.reason(), RefusedReason::ResolvedAddress);
    assert_eq!(refused.settings(), ["DOMICILE_ZOOM_HOSTS"]);
    assert!(!error.may_have_arrived());
    assert!(error.fate().is_retry(), "names change");
    assert_shows_nothing_secret(&error);
}

#[tokio::test]
async fn an_unknown_name_and_a_closed_port_never_arrived() {
    let unknown = egress(&["no-such.example"]).client("test", TIMEOUTS);
    let error = unknown
        .send(get(&format!("https://no-such.example{SECRET_PATH}")))
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::Dns { .. }), "{error:?}");
    assert!(!error.may_have_arrived() && error.fate().is_retry());
    assert_shows_nothing_secret(&error);

    let port = serve(|_| Answer::ok("")).await.close();
    let error = client()
        .send(get(&format!("http://127.0.0.1:{port}{SECRET_PATH}")))
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error:?}");
    assert!(!error.may_have_arrived() && error.fate().is_retry());
    assert_shows_nothing_secret(&error);
}

#[tokio::test]
async fn silence_is_a_timeout_that_says_how_far_the_call_had_come() {
    let hasty = loopback().client(
        "test",
        Timeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_millis(50),
            total: None,
        },
    );
    let silent = serve(|_| Answer::hang(b"")).await;
    let error = hasty
        .send(get(&silent.url("127.0.0.1", SECRET_PATH)))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            EgressError::Timeout {
                phase: TimeoutPhase::Answer,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.may_have_arrived());
    assert_shows_nothing_secret(&error);

    let stalling = serve(|_| Answer::hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")).await;
    let mut response = hasty
        .send(get(&stalling.url("127.0.0.1", SECRET_PATH)))
        .await
        .unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "abc");
    let error = response.chunk().await.unwrap_err();
    assert!(
        matches!(
            error,
            EgressError::Timeout {
                phase: TimeoutPhase::Body,
                ..
            }
        ),
        "{error:?}"
    );
    assert_shows_nothing_secret(&error);
}

#[tokio::test]
async fn a_body_cut_short_is_broken_and_not_whole() {
    let server = serve(|_| Answer::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")).await;
    let response = client()
        .send(get(&server.url("127.0.0.1", SECRET_PATH)))
        .await
        .unwrap();
    let error = response.bytes_limited(100).await.unwrap_err();
    assert!(
        matches!(
            error,
            EgressError::Broken {
                phase: TimeoutPhase::Body,
                ..
            }
        ),
        "{error:?}"
    );
    assert_shows_nothing_secret(&error);

    let cut =
        serve(|_| Answer::raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")).await;
    let response = client().send(get(&cut.url("127.0.0.1", "/"))).await.unwrap();
    assert_eq!(response.content_length(), None);
    let collected: Result<Vec<Bytes>, _> = response.into_stream().try_collect().await;
    assert!(matches!(collected, Err(EgressError::Broken { .. })));

    let nonsense = serve(|_| Answer::raw(b"SSH-2.0-OpenSSH_9.9\r\n")).await;
    let error = client()
        .send(get(&nonsense.url("127.0.0.1", SECRET_PATH)))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            EgressError::Broken {
                phase: TimeoutPhase::Answer,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.may_have_arrived());
    assert_shows_nothing_secret(&error);
}

#[tokio::test]
async fn a_body_is_taken_up_to_its_limit_announced_or_not() {
    let server = serve(|head| match head.path() {
        "/announced" => Answer::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999999\r\n\r\n"),
        _ => Answer::raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n123456"),
    })
    .await;
    for (path, limit) in [("/announced", 5), ("/silent", 5)] {
        let response = client().send(get(&server.url("127.0.0.1", path))).await.unwrap();
        let error = response.bytes_limited(limit).await.unwrap_err();
        assert!(
            matches!(error, EgressError::BodyTooLarge { max_bytes: 5, .. }),
            "{error}"
        );
        assert_eq!(error.fate(), Fate::Final);
    }
    let response = client()
        .send(get(&server.url("127.0.0.1", "/silent")))
        .await
        .unwrap();
    assert_eq!(response.bytes_limited(6).await.unwrap(), "123456");
}

#[tokio::test]
async fn names_under_localhost_lead_here_without_asking_anybody() {
    let server = serve(|_| Answer::ok("here")).await;
    let client = egress(&["eu.localhost"]).client("test", TIMEOUTS);
    let response = client.send(get(&server.url("eu.localhost", "/"))).await.unwrap();
    assert_eq!(response.bytes_limited(9).await.unwrap(), "here");
}

#[tokio::test]
async fn the_exporter_of_telemetry_can_send_through_the_fence() {
    let server = serve(|_| Answer::ok("accepted")).await;
    let exporter: Arc<dyn HttpClient> = Arc::new(client());
    let request = Request::post(server.url("127.0.0.1", "/v1/traces"))
        .body(Bytes::from_static(b"spans"))
        .unwrap();
    let answer = exporter.send_bytes(request).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_ref()),
        (200, &b"accepted"[..])
    );
    let outside = Request::post("https://elsewhere.example/v1/traces")
        .body(Bytes::new())
        .unwrap();
    let error = exporter.send_bytes(outside).await.unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(EgressError::Refused(_))),
        "{error}"
    );
}

/// INV-3, for every error and every cause behind it.
fn assert_shows_nothing_secret(error: &EgressError) {
    let mut text = format!("{error:?} {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(text, " {cause:?} {cause}");
        source = cause.source();
    }
    assert!(!text.contains("secret-"), "{text}");
}
