//! Calls of Zoom's API that the app makes through its links.

use bytes::Bytes;
use domicile_zoomsim::{FaultKind, FileKind, NewApp, NewFault, NewUser, RetryAfterForm, Target, Usage, User};
use http::{Method, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::harness::browser::{Answer, call};
use crate::harness::wire::Tap;
use crate::harness::world::{ALICE, API_KEY, CLIENT_ID, CLIENT_SECRET, World};

/// A link, and what is said between the region and Zoom's API.
struct Called {
    world: World,
    user: User,
    link: String,
    tap: Tap,
}

impl Called {
    async fn begin() -> Self {
        Self::begin_with("").await
    }

    /// With this list of calls, unless it is empty.
    async fn begin_with(calls: &str) -> Self {
        let mut world = World::without_region().await;
        if !calls.is_empty() {
            world
                .environment
                .insert("DOMICILE_ZOOM_CALLS".to_owned(), calls.to_owned());
        }
        world.start_region().await;
        world.register_app().await;
        let tap = Tap::before(world.zoom.api_url()).await;
        let new = NewUser {
            api_url: Some(tap.url().origin().ascii_serialization()),
            ..NewUser::default()
        };
        let user = world.zoom.sim().create_user(new).unwrap();
        let link = world.link(ALICE, &user).await["id"].as_str().unwrap().to_owned();
        Self {
            world,
            user,
            link,
            tap,
        }
    }

    async fn call(&self, method: Method, path: &str) -> Answer {
        self.call_with(method, path, &[], Bytes::new()).await
    }

    /// A GET whose path is sent as it is written here: no URL parser tidies it up before. Gives status and body.
    async fn get_raw(&self, path: &str) -> (String, String) {
        let host = format!(
            "{}:{}",
            self.world.app_url.host_str().unwrap(),
            self.world.app_url.port().unwrap()
        );
        let mut stream = TcpStream::connect(&host).await.unwrap();
        let request = format!(
            "GET /v1/links/{}/zoom/{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {API_KEY}\r\nconnection: close\r\n\r\n",
            self.link
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
    }

    async fn call_with(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let base = self.world.app_url.as_str().trim_end_matches('/');
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{base}/v1/links/{}/zoom/{path}", self.link))
            .header("authorization", format!("Bearer {API_KEY}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        call(&self.world.client, request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    fn order(&self, target: Target, fault: FaultKind, times: u32) {
        let order = NewFault::once(target, fault).times(times);
        self.world.zoom.sim().order_fault(order).unwrap();
    }

    async fn generation(&self) -> i64 {
        let sql = "SELECT generation FROM grants";
        self.world
            .db
            .client()
            .await
            .query_one(sql, &[])
            .await
            .unwrap()
            .get(0)
    }

    async fn execute(&self, sql: &str) {
        self.world.db.client().await.batch_execute(sql).await.unwrap();
    }

    /// From now on the link's API is this server, which answers every request with these bytes; nothing: it hangs up.
    async fn move_api(&self, answer: Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        self.execute(&format!("UPDATE grants SET api_url = '{url}'"))
            .await;
    }
}

/// Asserts that the answer is Zoom's own.
#[track_caller]
fn assert_zooms(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.headers["domicile-upstream"], "zoom");
}

/// Asserts that the answer is a problem of the region's.
#[track_caller]
fn assert_ours(answer: &Answer, status: u16, problem: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (status, problem),
        "{}",
        answer.text()
    );
    assert!(!answer.headers.contains_key("domicile-upstream"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_reads_at_zoom_and_neither_sees_the_others_credentials() {
    let it = Called::begin().await;
    let headers = [
        ("cookie", "session=the-apps-own-cookie"),
        ("x-forwarded-for", "203.0.113.77"),
        ("x-api-key", "another-key-of-the-app"),
        ("accept-language", "de-CH"),
    ];
    let answer = it
        .call_with(Method::GET, "users/me", &headers, Bytes::new())
        .await;
    assert_zooms(&answer, 200);
    assert_eq!(answer.json()["id"], it.user.id.as_str());
    for name in ["x-zm-trackingid", "x-ratelimit-limit", "x-ratelimit-remaining"] {
        assert!(answer.headers.contains_key(name), "{name}");
    }
    let said = it.tap.text();
    let token = said.split("authorization: Bearer ").nth(1).unwrap();
    let token = token.split("\r\n").next().unwrap();
    assert!(token.len() > 40 && said.contains("accept-language: de-CH"));
    for secret in [
        API_KEY,
        "the-apps-own-cookie",
        "203.0.113.77",
        "another-key-of-the-app",
    ] {
        assert!(!said.contains(secret), "Zoom saw {secret}");
    }
    let seen = format!("{:?} {}", answer.headers, answer.text());
    assert!(!seen.contains(token), "the app saw the token");

    let uuid = it.world.recording(&it.user, &[(FileKind::Chat, 900)]);
    it.world.finish(&uuid).await;
    let list = it.get("users/me/recordings?page_size=300").await;
    assert_zooms(&list, 200);
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for encoded in [encode(&uuid), encode(&encode(&uuid))] {
        let recording = it.get(&format!("meetings/{encoded}/recordings")).await;
        assert_zooms(&recording, 200);
        assert_eq!(recording.json()["uuid"], uuid.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_listed_never_leaves() {
    let it = Called::begin().await;
    let before = it.tap.text().matches("/v2/").count();
    for (method, path) in [
        (Method::POST, "users/me"),
        (Method::DELETE, "meetings/81234567890/recordings"),
        (Method::HEAD, "users/me"),
        (Method::GET, "users/me/token"),
        (Method::GET, "accounts/me"),
        (Method::GET, "@evil.example/users/me"),
        (Method::GET, "users/me?access_token=x"),
        (
            Method::GET,
            "meetings/81234567890/recordings?include_fields=download_access_token",
        ),
    ] {
        let answer = it.call(method.clone(), path).await;
        assert_eq!(answer.status, 403, "{method} {path}");
        if method != Method::HEAD {
            assert_ours(&answer, 403, "forbidden");
        }
    }
    let answer = it.call(Method::POST, "users/me").await;
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("DOMICILE_ZOOM_CALLS")
    );
    for path in [
        "users/me%2F..%2F..%2Faccounts",
        "users/me%252Ftoken",
        "users/%2e%2e",
        "users/%252e%252e",
        "users/../me",
        "users/./me",
        "../../../../v2/users/me",
        "users/me%5Ctoken",
        "users/me%00",
        "users/me%0d%0ahost:x",
        "users/me;x",
        "users//me",
        "/users/me",
        "users/me/",
        "",
        "http://evil.example/users/me",
    ] {
        let (status, body) = it.get_raw(path).await;
        assert_eq!(status, "400", "{path}");
        assert!(body.contains("urn:domicile:problem:malformed_request"), "{body}");
    }
    let with_body = it
        .call_with(Method::GET, "users/me", &[], Bytes::from_static(b"{}"))
        .await;
    assert_ours(&with_body, 400, "malformed_request");
    assert_eq!(it.tap.text().matches("/v2/").count(), before, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn zooms_errors_are_kept_and_told_from_ours() {
    let it = Called::begin().await;
    let answer = it.get("meetings/AAAAAAAAAAAAAAAAAAAAAA==/recordings").await;
    assert_zooms(&answer, 404);
    assert_eq!(answer.json()["code"], 3001);
    // A user-managed app must say `me`: no fresh token would help, so none is fetched.
    let answer = it.get(&format!("users/{}", it.user.id)).await;
    assert_zooms(&answer, 401);
    assert_eq!(answer.json()["code"], 4700);
    assert_eq!(it.generation().await, 1);
    it.order(Target::Users, FaultKind::ServerError { status: 503 }, 1);
    let answer = it.get("users/me").await;
    assert_zooms(&answer, 503);
    assert_eq!(answer.json()["message"], "Internal server error.");
    for (form, limit) in [
        (RetryAfterForm::None, "QPS"),
        (RetryAfterForm::Seconds, "Daily-limit"),
        (RetryAfterForm::IsoDateTime, "Daily-limit"),
    ] {
        let fault = FaultKind::RateLimited {
            retry_after: form,
            seconds: 90,
        };
        it.order(Target::Users, fault, 1);
        let answer = it.get("users/me").await;
        assert_zooms(&answer, 429);
        assert_eq!(answer.headers["x-ratelimit-type"], limit);
        assert_eq!(answer.headers["x-ratelimit-remaining"], "0");
        let wait = answer.headers.get("retry-after").map(|it| it.to_str().unwrap());
        let seconds = wait.map(|it| it.parse::<u32>().unwrap());
        match form {
            RetryAfterForm::None => assert_eq!(seconds, None),
            _ => assert!((85..=90).contains(&seconds.unwrap()), "{wait:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_zoom_refuses_is_refreshed_once_and_only_once() {
    let it = Called::begin().await;
    it.order(Target::Users, FaultKind::Unauthorized, 1);
    let answer = it.get("users/me").await;
    assert_zooms(&answer, 200);
    assert_eq!(it.generation().await, 2);
    it.order(Target::Users, FaultKind::Unauthorized, 2);
    let answer = it.get("users/me").await;
    assert_zooms(&answer, 401);
    assert_eq!(answer.json()["code"], 124);
    assert_eq!(it.generation().await, 3);
    assert_zooms(&it.get("users/me").await, 200);
    assert_eq!(it.generation().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_turns_out_to_have_ended_asks_for_a_new_authorization() {
    let it = Called::begin().await;
    it.order(Target::Users, FaultKind::Unauthorized, 1);
    it.order(Target::Token, FaultKind::InvalidGrant, 1);
    assert_ours(&it.get("users/me").await, 409, "needs_reauthorization");
    it.world.told("link.needs_reauthorization").await;
    assert_ours(&it.get("users/me").await, 409, "needs_reauthorization");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_living_link_can_be_called_for() {
    let mut it = Called::begin().await;
    it.execute("UPDATE links SET status = 'revoked', revoked_at = now()")
        .await;
    assert_ours(&it.get("users/me").await, 410, "gone");
    it.link = "00000000-0000-0000-0000-000000000000".to_owned();
    assert_ours(&it.get("users/me").await, 404, "not_found");
    it.link = "of-another-region".to_owned();
    assert_ours(&it.get("users/me").await, 404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_limited_on_both_sides_and_lost_answers_are_told() {
    let it = Called::begin_with("GET /users/me, POST /users/me/meetings, PUT /meetings/{meetingId}").await;
    let large = Bytes::from(vec![b'x'; 1024 * 1024 + 1]);
    let answer = it.call_with(Method::POST, "users/me/meetings", &[], large).await;
    assert_ours(&answer, 413, "payload_too_large");

    let (mut big, length) = (Vec::new(), 8 * 1024 * 1024 + 1);
    big.extend_from_slice(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes());
    big.resize(big.len() + length, b'x');
    it.move_api(big).await;
    assert_ours(&it.get("users/me").await, 502, "zoom_answer_unusable");

    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\n\r\n";
    it.move_api(elsewhere.into()).await;
    assert_ours(&it.get("users/me").await, 502, "zoom_answer_unusable");

    it.move_api(Vec::new()).await;
    assert_ours(&it.get("users/me").await, 503, "zoom_unavailable");
    assert_ours(
        &it.call(Method::PUT, "meetings/81234567890").await,
        503,
        "zoom_unavailable",
    );
    assert_ours(
        &it.call(Method::POST, "users/me/meetings").await,
        504,
        "zoom_answer_lost",
    );

    it.move_api(b"HTTP/1.1 404 Not Found\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n".into())
        .await;
    let answer = it.get("users/me").await;
    assert_zooms(&answer, 404);
    assert!(answer.body.is_empty() && !answer.headers.contains_key("set-cookie"));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_possible_where_they_are_listed_and_leave_an_audit_entry() {
    let it = Called::begin_with("GET /users/me, DELETE /meetings/{meetingId}/recordings").await;
    let uuid = it.world.recording(&it.user, &[(FileKind::Chat, 900)]);
    it.world.finish(&uuid).await;
    let encoded: String = url::form_urlencoded::byte_serialize(uuid.as_bytes()).collect();
    assert_zooms(&it.get("users/me").await, 200);
    let answer = it
        .call(
            Method::DELETE,
            &format!("meetings/{encoded}/recordings?action=trash"),
        )
        .await;
    assert_zooms(&answer, 204);
    let sql =
        "SELECT actor, outcome, reason, link_id::text, subject FROM audit_entries WHERE action = 'zoom.call'";
    let rows = it.world.db.client().await.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 1, "reads leave none");
    let row: Vec<String> = (0..5).map(|column| rows[0].get(column)).collect();
    assert_eq!(row, ["app:test", "done", "delete", &it.link, ALICE]);

    let url = format!(
        "http://{}/metrics",
        it.world.environment["DOMICILE_HTTP_OPS_LISTEN"]
    );
    let metrics = call(&it.world.client, Request::get(url).body(Bytes::new()).unwrap()).await;
    let counted = metrics.text();
    let line = counted
        .lines()
        .find(|line| line.starts_with("domicile_zoom_calls") && line.contains("DELETE"))
        .unwrap();
    assert!(
        line.contains("http_route=\"/meetings/{meetingId}/recordings\"") && line.contains("outcome=\"2xx\""),
        "{line}"
    );
    assert!(!counted.contains(&encoded) && !counted.contains(&uuid));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_an_organisation_names_its_users() {
    let mut world = World::without_region().await;
    world.start_region().await;
    let app = NewApp {
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.to_owned()),
        usage: Usage::AdminManaged,
        redirect_uris: vec![world.public_url.join("/oauth/callback").unwrap().to_string()],
        ..NewApp::default()
    };
    world.zoom.sim().create_app(app).await.unwrap();
    let admin = world.zoom_user();
    let colleague = NewUser {
        account_id: Some(admin.account_id.clone()),
        ..NewUser::default()
    };
    let colleague = world.zoom.sim().create_user(colleague).unwrap();
    let link = world.link("org:acme", &admin).await;
    let path = |rest: &str| format!("/v1/links/{}/zoom/{rest}", link["id"].as_str().unwrap());
    let answer = world
        .api(Method::GET, &path(&format!("users/{}", colleague.id)), None)
        .await;
    assert_zooms(&answer, 200);
    assert_eq!(answer.json()["id"], json!(colleague.id));
    let recordings = path(&format!("users/{}/recordings", colleague.id));
    assert_zooms(&world.api(Method::GET, &recordings, None).await, 200);
    let stranger = Url::parse(world.app_url.as_str()).unwrap();
    let request = Request::get(stranger.join(&path("users/me")).unwrap().as_str());
    let nobody = call(&world.client, request.body(Bytes::new()).unwrap()).await;
    assert_ours(&nobody, 401, "unauthenticated");
}
