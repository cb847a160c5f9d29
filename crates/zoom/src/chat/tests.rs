use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domicile_egress::testing;
use domicile_kernel::{Fate, Secret, ZoomAccountId, ZoomUserId};
use serde_json::{Map, Value, json};
use url::Url;

use super::content::{ButtonStyle, Card, Content};
use super::*;
use crate::fake::{Fake, Noon, Script, client};
use crate::host::ZoomHosts;
use crate::oauth::ZoomOAuth;

const TOKEN: &str =
    r#"{"access_token":"PLANTED-T1","token_type":"bearer","expires_in":3600,"scope":"imchat:bot"}"#;
const SENT: &str =
    r#"{"message_id":"201910tryyRFjM_main","robot_jid":"r","to_jid":"t","sent_time":"2019-10-17 01:40:24"}"#;

fn says(status: u16, body: &str) -> Script {
    Script::Answer(status, "content-type: application/json\r\n", body.to_owned())
}

fn api(url: &Url) -> ChatApi {
    let hosts: Arc<ZoomHosts> = Arc::new("127.0.0.1".parse().unwrap());
    let oauth = ZoomOAuth::new(
        "bot",
        Secret::from("PLANTED-SECRET"),
        url,
        &url.join("/oauth/callback").unwrap(),
        client(testing::TIMEOUTS),
        Arc::new(Noon),
    )
    .unwrap();
    let base = hosts.validate_api_url(url.as_str()).unwrap();
    let tokens = ChatbotTokens::new(oauth, Arc::clone(&hosts), base, Arc::new(Noon));
    ChatApi::new(client(testing::TIMEOUTS), hosts, tokens, Arc::new(Noon))
}

fn content() -> Content {
    Card::new("Head")
        .message("Text")
        .button("Yes", "yes", ButtonStyle::Primary)
        .build()
        .unwrap()
}

const ACCOUNT: &str = "ABCDE12345";

fn message<'a>(account: &'a ZoomAccountId, content: &'a Content) -> NewMessage<'a> {
    NewMessage {
        robot_jid: "v1robot@xmpp.zoom.us",
        to_jid: "chan@conference.xmpp.zoom.us",
        account_id: account,
        user_jid: Some("alice@xmpp.zoom.us"),
        reply_to: Some("parent"),
        visible_to_user: Some("AliceId"),
        is_markdown_support: true,
        content,
    }
}

/// A request as it went over the wire.
struct Seen {
    method: String,
    path: String,
    query: Value,
    head: String,
    body: Value,
}

fn seen(request: &str) -> Seen {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut words = head.lines().next().unwrap().split(' ');
    let method = words.next().unwrap().to_ascii_lowercase();
    let url = Url::parse(&format!("http://zoom{}", words.next().unwrap())).unwrap();
    let query: Map<String, Value> = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    Seen {
        method,
        path: url.path().to_owned(),
        query: query.into(),
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}

/// Method, path, and schemas of query and body, by the name of the call.
type Specified = BTreeMap<&'static str, (String, String, Option<Value>, Option<Value>)>;

/// Our own words, which are in the repository.
fn fixture() -> (Specified, Value) {
    let fixture: Value = serde_json::from_str(include_str!("../../tests/chat/requests.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let calls = ["send", "edit", "delete", "unfurl"].map(|name| {
        let call = &fixture[name];
        let schema = |member: &str| call.get(member).cloned();
        let specified = (
            text(&call["method"]),
            text(&call["path"]),
            schema("query"),
            schema("body"),
        );
        (name, specified)
    });
    (calls.into(), fixture["callback"]["body"].clone())
}

/// Zoom's own specification, where `DOMICILE_TEST_ZOOM_OPENAPI` named a folder with it when this was built.
fn specification() -> Option<Specified> {
    let folder = option_env!("DOMICILE_TEST_ZOOM_OPENAPI")?;
    let file = Path::new(folder).join("chatbot.openapi.2026-02-07.json");
    let text = std::fs::read_to_string(file).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let calls = [
        ("send", "/im/chat/messages", "post"),
        ("edit", "/im/chat/messages/{message_id}", "put"),
        ("delete", "/im/chat/messages/{message_id}", "delete"),
        ("unfurl", "/im/chat/users/{userId}/unfurls/{triggerId}", "post"),
    ]
    .map(|(name, path, method)| {
        let operation = &document["paths"][path][method];
        assert!(operation.is_object(), "{method} {path}");
        let body = operation["requestBody"]["content"]["application/json"].get("schema");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let in_query: Vec<_> = parameters.iter().filter(|it| it["in"] == "query").collect();
        let required: Vec<_> = in_query
            .iter()
            .filter(|it| it["required"] == true)
            .map(|it| &it["name"])
            .collect();
        let properties: Map<String, Value> = in_query
            .iter()
            .map(|it| (it["name"].as_str().unwrap().to_owned(), it["schema"].clone()))
            .collect();
        let query = json!({"type": "object", "required": required, "properties": properties});
        let query = (!in_query.is_empty()).then_some(query);
        (name, (method.to_owned(), path.to_owned(), query, body.cloned()))
    });
    Some(calls.into())
}

fn assert_fits(what: &str, schema: &Value, value: &Value) {
    // A member that the specification does not know would be ignored at best.
    let mut strict = schema.clone();
    strict["additionalProperties"] = false.into();
    let validator = jsonschema::draft4::new(&strict).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?}");
    // A schema that lets everything pass would show nothing.
    assert!(!validator.is_valid(&json!({})), "{what}");
}

/// Whether a path is one of a template's.
fn is_of(template: &str, path: &str) -> bool {
    let path: Vec<_> = path.strip_prefix("/v2").unwrap().split('/').collect();
    let template: Vec<_> = template.split('/').collect();
    path.len() == template.len()
        && path
            .iter()
            .zip(template)
            .all(|(segment, named)| named.starts_with('{') || *segment == named)
}

#[tokio::test]
async fn every_request_fits_zooms_specification() {
    let fake = Fake::start(vec![
        says(200, TOKEN),
        says(201, SENT),
        says(200, "{}"),
        says(200, "{}"),
        Script::Answer(204, "", String::new()),
        says(200, SENT),
    ])
    .await;
    let (api, account, content) = (api(&fake.url), ZoomAccountId::new(ACCOUNT), content());
    let new = message(&account, &content);
    let id = api.send(&new).await.unwrap().message_id.unwrap();
    assert_eq!(id.as_str(), "201910tryyRFjM_main");
    let edit = EditMessage {
        robot_jid: new.robot_jid,
        account_id: &account,
        user_jid: new.user_jid,
        is_markdown_support: false,
        content: &content,
    };
    api.edit(&id, &edit).await.unwrap();
    api.delete(&id, &account, new.robot_jid, new.user_jid)
        .await
        .unwrap();
    api.unfurl(&ZoomUserId::new("v4iyWT1LTfy8QvPG4GTvdg"), "a/../b", &content)
        .await
        .unwrap();
    let callback = fake
        .url
        .join("/v2/im/chat/callback/bKFS3ybORiWbJx6VM6Qe1A")
        .unwrap();
    let callback = CallbackUrl::check(callback.as_str(), api.hosts()).unwrap();
    api.answer_callback(&callback, &Secret::from("PLANTED-CALLBACK"), &new)
        .await
        .unwrap();

    let requests = fake.requests();
    let token = &requests[0];
    assert!(token.starts_with("POST /oauth/token "), "{token}");
    assert!(token.ends_with("grant_type=client_credentials"), "{token}");
    let calls: Vec<_> = requests[1..].iter().map(|request| seen(request)).collect();
    let (ours, callback) = fixture();
    for specified in [Some(ours), specification()].into_iter().flatten() {
        for (name, call) in ["send", "edit", "delete", "unfurl"].into_iter().zip(&calls) {
            let (method, path, query, body) = &specified[name];
            assert_eq!(&call.method, method, "{name}");
            assert!(is_of(path, &call.path), "{name}: {}", call.path);
            if let Some(query) = query {
                assert_fits(name, query, &call.query);
            } else {
                assert_eq!(call.query, json!({}), "{name}");
            }
            match body {
                Some(body) => assert_fits(name, body, &call.body),
                None => assert_eq!(call.body, Value::Null, "{name}"),
            }
            let head = call.head.to_ascii_lowercase();
            assert!(head.contains("authorization: bearer planted-t1"), "{name}");
        }
    }
    assert_fits("callback", &callback, &calls[4].body);
    assert!(
        calls[4]
            .head
            .to_ascii_lowercase()
            .contains("authorization: bearer planted-callback")
    );
    let unfurled: Value = serde_json::from_str(calls[3].body["content"].as_str().unwrap()).unwrap();
    assert_eq!(unfurled, content.to_value());
}

/// The error of a send that comes to this; no text shows what must not be shown.
async fn error(script: Script) -> ChatError {
    let fake = Fake::start(vec![says(200, TOKEN), script]).await;
    let (account, content) = (ZoomAccountId::new(ACCOUNT), content());
    let error = api(&fake.url)
        .send(&message(&account, &content))
        .await
        .unwrap_err();
    let mut shown = format!("{error:?}");
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(current) = next {
        shown += &current.to_string();
        next = current.source();
    }
    assert!(
        !shown.contains("PLANTED") && !shown.contains("planted"),
        "{shown}"
    );
    error
}

fn body(code: u32) -> String {
    json!({"code": code, "message": "PLANTED", "result": false}).to_string()
}

#[tokio::test]
async fn each_documented_error_is_told_and_final() {
    for (status, code, class) in [
        (400, 7001, "invalid_content"),
        (403, 7003, "unknown_robot"),
        (403, 7004, "not_authorized"),
        (404, 7002, "unknown_robot"),
        (404, 8001, "message_not_found"),
        (404, 8002, "unfurl_not_found"),
        (403, 1, "refused"),
    ] {
        let error = error(says(status, &body(code))).await;
        assert_eq!(error.class(), class, "{status} {code}");
        assert_eq!(error.fate(), Fate::Final);
        assert!(!error.may_have_taken_effect());
    }
}

#[tokio::test]
async fn an_error_says_whether_it_may_have_taken_effect() {
    let after = |seconds| Fate::Retry {
        after: Some(Duration::from_secs(seconds)),
    };
    for (script, fate, may) in [
        (says(429, ""), after(1), false),
        (
            Script::Answer(429, "retry-after: 7\r\n", String::new()),
            after(7),
            false,
        ),
        (
            Script::Answer(429, "retry-after: 2026-11-22T12:30:00Z\r\n", String::new()),
            after(1800),
            false,
        ),
        (
            Script::Answer(503, "retry-after: 3\r\n", String::new()),
            after(3),
            false,
        ),
        (says(503, ""), Fate::RETRY, true),
        (
            Script::Answer(500, "retry-after: 3\r\n", String::new()),
            after(3),
            true,
        ),
        (Script::HangUp, Fate::RETRY, true),
        (Script::Truncated, Fate::RETRY, true),
    ] {
        let error = error(script).await;
        assert_eq!(
            (error.fate(), error.may_have_taken_effect()),
            (fate, may),
            "{error:?}"
        );
    }
    // Nobody listens there any more.
    let fake = Fake::start(vec![says(200, TOKEN)]).await;
    let api = api(&fake.url);
    api.ready().await.unwrap();
    while fake.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let gone = api
        .delete(&MessageId::new("m"), &ZoomAccountId::new(ACCOUNT), "r", None)
        .await
        .unwrap_err();
    assert!(
        matches!(gone, ChatError::Unreachable(_) | ChatError::LostAnswer(_)),
        "{gone:?}"
    );
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let second = TOKEN.replace("T1", "T2");
    let fake = Fake::start(vec![
        says(200, TOKEN),
        says(401, &body(7010)),
        says(200, &second),
        says(201, SENT),
        says(401, ""),
        says(200, TOKEN),
        says(401, ""),
    ])
    .await;
    let (api, account, content) = (api(&fake.url), ZoomAccountId::new(ACCOUNT), content());
    api.send(&message(&account, &content)).await.unwrap();
    assert!(fake.requests()[3].contains("PLANTED-T2"));
    let error = api.send(&message(&account, &content)).await.unwrap_err();
    assert!(matches!(error, ChatError::Unauthorized));
    assert!(error.fate().is_retry() && !error.may_have_taken_effect());
    assert_eq!(fake.requests().len(), 7);
}

#[tokio::test]
async fn many_callers_fetch_one_token() {
    let mut scripts = vec![says(200, TOKEN)];
    scripts.extend((0..8).map(|_| says(200, "{}")));
    let fake = Fake::start(scripts).await;
    let api = api(&fake.url);
    let calls = (0..8).map(|number| {
        let api = api.clone();
        tokio::spawn(async move {
            let id = MessageId::new(format!("m{number}"));
            api.delete(&id, &ZoomAccountId::new(ACCOUNT), "r", None).await
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    let tokens = fake
        .requests()
        .iter()
        .filter(|request| request.starts_with("POST /oauth/token"))
        .count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn a_token_goes_only_to_an_allowed_host() {
    let elsewhere = TOKEN.replace('}', r#","api_url":"https://evil.example"}"#);
    let fake = Fake::start(vec![says(200, &elsewhere), says(200, "{}")]).await;
    let api = api(&fake.url);
    // An API host that is not allowed is as good as none: the region's own is called.
    api.delete(&MessageId::new("m"), &ZoomAccountId::new(ACCOUNT), "r", None)
        .await
        .unwrap();
    assert_eq!(fake.requests().len(), 2);
}

#[test]
fn only_zooms_callbacks_are_taken() {
    let hosts: ZoomHosts = "zoom.us".parse().unwrap();
    let takes = |url: &str| CallbackUrl::check(url, &hosts).is_ok();
    assert!(takes(
        "https://api.zoom.us/v2/im/chat/callback/bKFS3ybORiWbJx6VM6Qe1A"
    ));
    assert!(takes("https://api-eu.zoom.us/v2/im/chat/callback/a-b_c~d=="));
    for url in [
        "http://api.zoom.us/v2/im/chat/callback/a",
        "https://api.zoom.us/v2/im/chat/callback/",
        "https://api.zoom.us/v2/im/chat/callback/a/b",
        "https://api.zoom.us/v2/im/chat/callback/a%2Fb",
        "https://api.zoom.us/v2/im/chat/callback/%2e%2e",
        "https://api.zoom.us/v2/im/chat/callback/a?x=1",
        "https://api.zoom.us/v2/im/chat/callback/a#x",
        "https://api.zoom.us/v2/im/chat/messages",
        "https://api.zoom.us.evil.example/v2/im/chat/callback/a",
        "https://user@api.zoom.us/v2/im/chat/callback/a",
        "https://evilzoom.us/v2/im/chat/callback/a",
        "",
    ] {
        assert!(!takes(url), "{url}");
    }
}
