//! The App API's document, the region that it describes, and the table of problems say the same.

mod document;
mod itself;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domicile_zoomsim::FileKind;
use http::{Method, Request};
use serde_json::{Value, json};

use self::document::{Document, source};
use crate::harness::PATIENCE;
use crate::harness::browser::{Answer, Browser, call};
use crate::harness::world::{ALICE, API_KEY, BOB, World};

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Where resources of the app listener are configured, and by what the roof calls it.
const ROUTES: [(&str, &str); 8] = [
    (
        "domicile_linking::routes::configure_app",
        include_str!("../../crates/linking/src/routes/app.rs"),
    ),
    (
        "domicile_linking::routes::configure_admissions",
        include_str!("../../crates/linking/src/routes/admissions.rs"),
    ),
    (
        "domicile_linking::routes::configure_audit",
        include_str!("../../crates/linking/src/routes/audit.rs"),
    ),
    (
        "domicile_linking::routes::configure_zoom_calls",
        include_str!("../../crates/linking/src/routes/zoom.rs"),
    ),
    (
        "domicile_recordings::routes::configure",
        include_str!("../../crates/recordings/src/routes.rs"),
    ),
    (
        "domicile_delivery::routes::configure",
        include_str!("../../crates/delivery/src/routes.rs"),
    ),
    (
        "domicile_chatbot::routes::configure",
        include_str!("../../crates/chatbot/src/routes.rs"),
    ),
    (
        "openapi::configure",
        include_str!("../../crates/domicile/src/routes/openapi.rs"),
    ),
];

/// The one list of URLs.
const ROOF: &str = include_str!("../../crates/domicile/src/routes.rs");

/// The methods and paths that a source configures.
fn configured(source: &str) -> BTreeSet<String> {
    let methods = ["get", "head", "post", "put", "patch", "delete"];
    let resources = source.split("web::resource(").skip(1).flat_map(|rest| {
        // What the router calls a tail is a parameter like any other here.
        let path = rest.split('"').nth(1).unwrap().replace(":.*}", "}");
        // A resource ends where the next one begins or the function ends.
        let resource = rest.split("\n}").next().unwrap();
        let present = methods
            .into_iter()
            .filter(move |it| resource.contains(&format!("web::{it}()")));
        present
            .map(|method| format!("{} {path}", method.to_uppercase()))
            .collect::<Vec<_>>()
    });
    resources.collect()
}

#[test]
fn the_document_describes_exactly_what_the_sources_configure() {
    let app = ROOF
        .split("pub fn app(")
        .nth(1)
        .unwrap()
        .split("\n}")
        .next()
        .unwrap();
    let called: Vec<_> = app
        .split(".configure(")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .collect();
    let known = ROUTES.map(|(name, _)| name);
    let known = [&["extract::configure"], &known[..]].concat();
    assert_eq!(
        called, known,
        "the app listener has routes that this test does not read"
    );
    for (name, source) in [("app", app)].into_iter().chain(ROUTES) {
        for other in ["web::scope(", ".route(\"", "web::to("] {
            assert!(
                !source.contains(other),
                "{name} uses {other}, which this test does not read"
            );
        }
    }
    let configured: BTreeSet<_> = ROUTES.iter().flat_map(|(_, source)| configured(source)).collect();
    assert!(configured.len() > 10, "{configured:?}");
    let document = Document::read();
    let described: BTreeSet<_> = document
        .operations()
        .iter()
        .map(document::Operation::name)
        .collect();
    assert_eq!(described, configured);
}

fn path_of_nobody(template: &str) -> String {
    let path = template.replace("{id}", NOBODY).replace("{file_id}", NOBODY);
    path.replace("{path}", "users/me")
        .replace("{zoom_account_id}", "account")
}

async fn send(world: &World, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(world.app_url.join(path).unwrap().as_str());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    call(&world.client, request.body(Bytes::from(body.to_owned())).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_described_request_is_answered_and_asks_for_a_key_and_no_other_is() {
    let world = World::start().await;
    let document = Document::read();
    let mut methods = BTreeMap::<&str, BTreeSet<String>>::new();
    for operation in document.operations() {
        let path = path_of_nobody(operation.place);
        let answer = send(&world, operation.method.clone(), &path, &[], "").await;
        document.assert_describes(&operation.method, operation.place, &answer);
        let expected = if operation.needs_key() { 401 } else { 200 };
        assert_eq!(answer.status, expected, "{}", operation.name());
        methods
            .entry(operation.place)
            .or_default()
            .insert(operation.method.to_string());
    }
    for (place, described) in methods {
        let path = path_of_nobody(place);
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            if described.contains(method) {
                continue;
            }
            let answer = send(&world, method.parse().unwrap(), &path, &[], "").await;
            assert_eq!(answer.status, 405, "{method} {place}");
            let allow = answer.headers["allow"].to_str().unwrap();
            let allowed: BTreeSet<_> = allow.split(',').map(|it| it.trim().to_owned()).collect();
            assert_eq!(allowed, described, "{method} {place}");
        }
    }
    for path in ["/", "/v1", "/v1/nothing", "/v1/openapi.yaml", "/v1/links/a/b"] {
        let answer = send(&world, Method::GET, path, &[], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (404, "not_found"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_as_it_is_and_not_twice() {
    let world = World::start().await;
    let document = Document::read();
    let read = async |headers: &[(&str, &str)]| {
        let answer = send(&world, Method::GET, "/v1/openapi.json", headers, "").await;
        document.assert_describes(&Method::GET, "/v1/openapi.json", &answer);
        answer
    };
    let answer = read(&[]).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, source()));
    let tag = answer.headers["etag"].to_str().unwrap();
    let weak = format!("\"other\", W/{tag}");
    for held in [tag, "*", &weak] {
        assert_eq!(read(&[("if-none-match", held)]).await.status, 304, "{held}");
    }
    assert_eq!(read(&[("if-none-match", "\"other\"")]).await.status, 200);
}

/// Talks to a region and holds each answer against the document.
struct Reader<'a> {
    world: &'a World,
    document: &'a Document,
    /// The operations and statuses that were seen.
    seen: BTreeSet<(String, u16)>,
}

impl Reader<'_> {
    async fn send(
        &mut self,
        method: Method,
        (template, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let key = format!("Bearer {API_KEY}");
        let headers = [&[("authorization", key.as_str())], headers].concat();
        let answer = send(self.world, method.clone(), path, &headers, body).await;
        self.document.assert_describes(&method, template, &answer);
        let operation = self.document.operation(&method, template);
        self.seen
            .insert((operation.id().to_owned(), answer.status.as_u16()));
        answer
    }

    async fn get(&mut self, template: &str, path: &str) -> Value {
        let answer = self.send(Method::GET, (template, path), &[], "").await;
        answer.json()
    }

    /// Asserts what the problem is.
    async fn problem(&mut self, template: &str, path: &str, problem: &str) {
        let answer = self.send(Method::GET, (template, path), &[], "").await;
        assert_eq!(answer.problem(), problem, "{path}");
    }

    /// A request with a body as the document describes it; gives the problem's id, nothing for success.
    async fn post(&mut self, path: &str, body: &Value) -> (Answer, Option<String>) {
        let operation = self.document.operation(&Method::POST, path);
        let schema = &operation.value["requestBody"]["content"]["application/json"]["schema"];
        self.document.assert_fits(path, schema, body);
        let json = [("content-type", "application/json")];
        let answer = self
            .send(Method::POST, (path, path), &json, &body.to_string())
            .await;
        let problem = (!answer.status.is_success()).then(|| answer.problem());
        (answer, problem)
    }
}

const SESSIONS: &str = "/v1/connect-sessions";
const CONFIRM: &str = "/v1/connect-sessions/confirm";
const CONTENT: &str = "/v1/recordings/{id}/files/{file_id}/content";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_region_answers_and_delivers_is_what_the_document_describes() {
    let world = World::start_with(&[("DOMICILE_BOT_ROBOT_JID", "v1robot@xmpp.zoom.us")]).await;
    let document = Document::read();
    let mut reader = Reader {
        world: &world,
        document: &document,
        seen: BTreeSet::new(),
    };
    let user = world.zoom_user();
    linking(&mut reader, &user).await;
    world
        .stored_recording(&user, &[(FileKind::Chat, 900), (FileKind::Timeline, 400)])
        .await;
    recordings(&mut reader).await;
    admissions_and_audit(&mut reader).await;
    events(&mut reader).await;
    zoom_calls(&mut reader).await;
    bot(&mut reader).await;
    unlinking(&mut reader).await;
    reader.get("/v1/openapi.json", "/v1/openapi.json").await;

    let described = document.operations();
    let successes = described.iter().flat_map(|operation| {
        let statuses = operation.value["responses"].as_object().unwrap().keys();
        let successes = statuses
            // What stands for a whole class, such as 2XX, is Zoom's.
            .filter_map(|it| it.parse::<u16>().ok())
            .filter(|it| *it < 300);
        successes.map(|status| (operation.id().to_owned(), status))
    });
    // A preview needs Zoom's own yes, which the room's tests give.
    let successes = successes.filter(|(id, _)| id != "unfurlLink");
    let unseen: Vec<_> = successes.filter(|it| !reader.seen.contains(it)).collect();
    assert!(unseen.is_empty(), "no answer was held against {unseen:?}");
}

async fn bot(reader: &mut Reader<'_>) {
    const MESSAGES: &str = "/v1/bot/messages";
    const MESSAGE: &str = "/v1/bot/messages/{id}";
    let (json, key) = (("content-type", "application/json"), ("idempotency-key", "one"));
    let body = json!({ "to": { "subject": ALICE }, "content": { "head": { "text": "Hello" } } }).to_string();
    let first = reader
        .send(Method::POST, (MESSAGES, MESSAGES), &[json, key], &body)
        .await;
    assert_eq!(first.status, 202, "{}", first.text());
    let again = reader
        .send(Method::POST, (MESSAGES, MESSAGES), &[json, key], &body)
        .await;
    assert_eq!(again.json()["id"], first.json()["id"]);
    let other = json!({ "to": { "subject": ALICE }, "content": { "head": { "text": "Bye" } } }).to_string();
    let reused = reader
        .send(Method::POST, (MESSAGES, MESSAGES), &[json, key], &other)
        .await;
    assert_eq!(reused.problem(), "idempotency_key_reused");
    let (wrong, problem) = reader
        .post(
            MESSAGES,
            &json!({ "to": { "subject": "user:nobody" }, "content": {} }),
        )
        .await;
    assert_eq!(problem.as_deref(), Some("validation_failed"), "{}", wrong.text());
    let path = format!("{MESSAGES}/{}", first.json()["id"].as_str().unwrap());
    let read = reader.get(MESSAGE, &path).await;
    assert_eq!(read["to"]["subject"], ALICE);
    let content = json!({ "content": { "head": { "text": "Better" } } }).to_string();
    // Whether it is still pending or refused by this Zoom, which has no chat: a newer content is wanted of it.
    let edited = reader
        .send(Method::PUT, (MESSAGE, &path), &[json], &content)
        .await;
    assert_eq!(edited.json()["revision"], 2, "{}", edited.text());
    let deleted = reader.send(Method::DELETE, (MESSAGE, &path), &[], "").await;
    assert_eq!(deleted.status, 202);
    let late = reader
        .send(Method::PUT, (MESSAGE, &path), &[json], &content)
        .await;
    assert_eq!(late.problem(), "gone");
    reader
        .problem(MESSAGE, &format!("{MESSAGES}/{NOBODY}"), "not_found")
        .await;
    let unfurl = json!({ "trigger_id": "t", "user_id": "two words", "content": { "head": { "text": "x" } } });
    assert_eq!(
        reader.post("/v1/bot/unfurls", &unfurl).await.1.as_deref(),
        Some("validation_failed")
    );
}

async fn linking(reader: &mut Reader<'_>, user: &domicile_zoomsim::User) {
    let world = reader.world;
    let wish = |subject: &str| json!({ "subject": subject, "return_url": world.app.return_url() });
    let (session, _) = reader.post(SESSIONS, &wish(ALICE)).await;
    assert_eq!(session.status, 201);
    let elsewhere = json!({ "subject": ALICE, "return_url": "https://evil.example/" });
    assert_eq!(
        reader.post(SESSIONS, &elsewhere).await.1.as_deref(),
        Some("validation_failed")
    );
    let (json, large) = (("content-type", "application/json"), "x".repeat(64 * 1024 + 1));
    for (headers, body, problem) in [
        (&[json][..], "{", "malformed_request"),
        (&[("content-type", "text/plain")], "{}", "unsupported_media_type"),
        (&[json], &large, "payload_too_large"),
        (
            &[json],
            "{\"subject\":\"1001\",\"colour\":\"red\"}",
            "validation_failed",
        ),
        (&[("authorization", "Bearer x"), json], "{}", "malformed_request"),
    ] {
        for path in [SESSIONS, CONFIRM] {
            let answer = reader.send(Method::POST, (path, path), headers, body).await;
            assert_eq!(answer.problem(), problem, "{path} {}", answer.text());
        }
    }

    let ticket_of = async |subject: &str| {
        let connect_url = world.connect_url(subject).await;
        world.ticket(&mut Browser::new(), &connect_url, user).await
    };
    let confirmation = |ticket: &str, subject: &str| json!({ "ticket": ticket, "subject": subject });
    let (first, second, third) = (
        ticket_of(ALICE).await,
        ticket_of(ALICE).await,
        ticket_of(BOB).await,
    );
    for (ticket, subject, problem) in [
        ("eu.unknown", ALICE, Some("ticket_invalid")),
        (&first, BOB, Some("subject_mismatch")),
        (&second, ALICE, None),
        (&second, ALICE, Some("gone")),
        (&third, BOB, Some("link_exists")),
    ] {
        let (answer, found) = reader.post(CONFIRM, &confirmation(ticket, subject)).await;
        assert_eq!(found.as_deref(), problem, "{}", answer.text());
    }
    let links = reader
        .get("/v1/links", &format!("/v1/links?subject={ALICE}&limit=1"))
        .await;
    assert_eq!(links["data"].as_array().unwrap().len(), 1);
    let id = links["data"][0]["id"].as_str().unwrap();
    assert_eq!(
        reader.get("/v1/links/{id}", &format!("/v1/links/{id}")).await,
        links["data"][0]
    );
    reader
        .problem("/v1/links/{id}", "/v1/links/no-uuid", "not_found")
        .await;
    for query in ["subject=1001", "limit=0", "limit=201", "cursor=nonsense"] {
        reader
            .problem("/v1/links", &format!("/v1/links?{query}"), "validation_failed")
            .await;
    }
}

async fn recordings(reader: &mut Reader<'_>) {
    let list = reader.get("/v1/recordings", "/v1/recordings").await;
    let recording = &list["data"][0];
    assert_eq!(recording["status"], "stored");
    let path = format!("/v1/recordings/{}", recording["id"].as_str().unwrap());
    assert_eq!(&reader.get("/v1/recordings/{id}", &path).await, recording);
    reader
        .problem("/v1/recordings", "/v1/recordings?limit=many", "validation_failed")
        .await;
    let nobody = format!("/v1/recordings/{NOBODY}");
    reader.problem("/v1/recordings/{id}", &nobody, "not_found").await;
    reader
        .problem(CONTENT, &format!("{path}/files/{NOBODY}/content"), "not_found")
        .await;

    let file = &recording["files"][0];
    let url = file["content_url"].as_str().unwrap();
    let tag = format!("\"{}\"", file["sha256"].as_str().unwrap());
    for method in [Method::GET, Method::HEAD] {
        for (headers, status) in [
            (&[][..], 200),
            (&[("range", "bytes=1-3")], 206),
            (&[("range", "bytes=1-3"), ("if-range", tag.as_str())], 206),
            (&[("range", "bytes=1-3"), ("if-range", "\"other\"")], 200),
            (&[("range", "bytes=1-3,5-6")], 200),
            (&[("if-none-match", tag.as_str())], 304),
            (&[("range", "bytes=1000000-")], 416),
        ] {
            let answer = reader.send(method.clone(), (CONTENT, url), headers, "").await;
            assert_eq!(answer.status, status, "{method} {headers:?}");
        }
    }
}

async fn events(reader: &mut Reader<'_>) {
    let first = reader.get("/v1/events", "/v1/events?limit=1").await;
    let cursor = first["next_cursor"].as_str().expect("a second event");
    let rest = reader
        .get("/v1/events", &format!("/v1/events?cursor={cursor}"))
        .await;
    assert!(rest["next_cursor"].is_null());
    let listed: Vec<_> = [&first, &rest]
        .into_iter()
        .flat_map(|it| it["data"].as_array().unwrap())
        .collect();
    reader
        .problem("/v1/events", "/v1/events?cursor=nonsense", "validation_failed")
        .await;
    reader
        .problem("/v1/events/{id}", &format!("/v1/events/{NOBODY}"), "not_found")
        .await;

    let document = reader.document;
    let webhooks: BTreeMap<_, _> = document.webhooks().into_iter().map(|it| (it.place, it)).collect();
    let all = listed.len();
    let delivered = reader
        .world
        .app
        .wait_for_events(PATIENCE, |events| events.len() >= all)
        .await
        .unwrap_or_else(|events| panic!("{} of {all} events came", events.len()));
    let types: Vec<_> = delivered
        .iter()
        .map(domicile_testkit::app::ReceivedEvent::event_type)
        .collect();
    let mut sorted = types.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        ["link.active", "link.refused", "link.refused", "recording.stored"]
    );
    for delivered in &delivered {
        let (event, name) = (delivered.event(), delivered.event_type());
        let listed = listed
            .iter()
            .find(|it| it["id"] == event["id"])
            .expect("it is listed");
        let webhook = &webhooks[name.as_str()];
        let body = document.follow(&webhook.value["requestBody"]);
        document.assert_fits(&name, &body["content"]["application/json"]["schema"], &event);
        let headers = BTreeMap::from([
            ("webhook-id", &delivered.webhook_id),
            ("webhook-timestamp", &delivered.webhook_timestamp),
            ("webhook-signature", &delivered.webhook_signature),
        ]);
        for parameter in document
            .parameters(webhook)
            .iter()
            .filter(|it| it["required"] == true)
        {
            let header = parameter["name"].as_str().unwrap();
            document.assert_fits(header, &parameter["schema"], &json!(headers[header]));
        }
        assert_eq!(&event, *listed, "what is listed is what was delivered");
        let path = format!("/v1/events/{}", delivered.webhook_id);
        assert_eq!(reader.get("/v1/events/{id}", &path).await, event);
    }
}

/// The id of the only link.
async fn only_link(reader: &mut Reader<'_>) -> String {
    let links = reader.get("/v1/links", "/v1/links").await;
    links["data"][0]["id"].as_str().unwrap().to_owned()
}

async fn zoom_calls(reader: &mut Reader<'_>) {
    const ZOOM: &str = "/v1/links/{id}/zoom/{path}";
    let link = only_link(reader).await;
    for (method, link, path, status) in [
        (Method::GET, link.as_str(), "users/me", 200),
        (Method::GET, &link, "meetings/81234567890", 404),
        (Method::GET, &link, "users/somebodyElse", 401),
        (Method::GET, &link, "users/%2e%2e", 400),
        (Method::GET, NOBODY, "users/me", 404),
        (Method::HEAD, &link, "users/me", 403),
        (Method::POST, &link, "users/me", 403),
        (Method::PUT, &link, "users/me", 403),
        (Method::PATCH, &link, "users/me", 403),
        (Method::DELETE, &link, "users/me", 403),
    ] {
        let url = format!("/v1/links/{link}/zoom/{path}");
        let answer = reader.send(method.clone(), (ZOOM, &url), &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let limit = domicile_zoomsim::NewFault::once(
        domicile_zoomsim::Target::Users,
        domicile_zoomsim::FaultKind::RateLimited {
            retry_after: domicile_zoomsim::RetryAfterForm::HttpDate,
            seconds: 60,
        },
    );
    reader.world.zoom.sim().order_fault(limit).unwrap();
    let url = format!("/v1/links/{link}/zoom/users/me");
    let answer = reader.send(Method::GET, (ZOOM, &url), &[], "").await;
    assert_eq!(answer.status, 429);
}

async fn admissions_and_audit(reader: &mut Reader<'_>) {
    const ACCOUNTS: &str = "/v1/admitted-accounts";
    const ACCOUNT: &str = "/v1/admitted-accounts/{zoom_account_id}";
    for (method, id, status) in [
        (Method::PUT, "account", 200),
        (Method::PUT, "%0a", 422),
        (Method::DELETE, "another", 204),
    ] {
        let path = format!("{ACCOUNTS}/{id}");
        let answer = reader.send(method, (ACCOUNT, &path), &[], "").await;
        assert_eq!(answer.status, status);
    }
    let accounts = reader.get(ACCOUNTS, "/v1/admitted-accounts?limit=1").await;
    assert_eq!(accounts["data"][0]["zoom_account_id"], "account");
    reader
        .problem(ACCOUNTS, "/v1/admitted-accounts?limit=0", "validation_failed")
        .await;
    let audit = "/v1/audit-entries";
    let first = reader
        .get(audit, &format!("{audit}?subject={ALICE}&limit=2"))
        .await;
    let cursor = first["next_cursor"].as_str().expect("a second page");
    let second = reader
        .get(audit, &format!("{audit}?subject={ALICE}&cursor={cursor}"))
        .await;
    assert_ne!(first["data"][0]["id"], second["data"][0]["id"]);
    reader
        .problem(audit, &format!("{audit}?subject=1001"), "validation_failed")
        .await;
}

async fn unlinking(reader: &mut Reader<'_>) {
    const LINK: &str = "/v1/links/{id}";
    let link = only_link(reader).await;
    for (id, status) in [(link.as_str(), 204), (&link, 204), (NOBODY, 404)] {
        let path = format!("/v1/links/{id}");
        let answer = reader.send(Method::DELETE, (LINK, &path), &[], "").await;
        assert_eq!(answer.status, status);
    }
    let told = reader.world.told("link.revoked").await;
    let event = told.last().unwrap().event();
    let webhooks = reader.document.webhooks();
    let webhook = webhooks.iter().find(|it| it.place == "link.revoked").unwrap();
    let body = reader.document.follow(&webhook.value["requestBody"]);
    let schema = &body["content"]["application/json"]["schema"];
    reader.document.assert_fits("link.revoked", schema, &event);
}
