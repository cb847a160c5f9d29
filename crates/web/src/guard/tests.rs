use actix_web::body::to_bytes;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpResponse, web};
use chrono::{TimeZone, Utc};
use domicile_kernel::{Clock, Rng, Timestamp};
use serde_json::Value;

use super::log::Log;
use super::*;
use crate::problem::{Problem, ProblemError};
use crate::{RequestId, page, request_id};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
    }
}

impl Rng for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

const BROWSER: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

fn ids() -> Ids {
    Ids::new(Arc::new(Fixed), Arc::new(Fixed))
}

fn public() -> Guard {
    Guard::for_host(
        Listener::Public,
        ids(),
        &Url::parse("https://zoom.eu.example.com").unwrap(),
    )
}

#[derive(Debug, thiserror::Error)]
#[error("the outer cause")]
struct Outer(#[source] std::io::Error);

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/things/{secret}")
                .get(async || "thing")
                .delete(async || Err::<&str, _>(ProblemError::new(Problem::Conflict))),
        )
        .service(web::resource("/upstream").get(async || {
            HttpResponse::NotFound()
                .insert_header((UPSTREAM, "zoom"))
                .finish()
        }))
        .service(
            web::resource("/page")
                .get(async || page::respond(StatusCode::OK, &page::layout("P", &maud::html! {}))),
        )
        .route(
            "/fault",
            web::get().to(async || {
                let cause = Outer(std::io::Error::other("the inner cause"));
                Err::<&str, _>(ProblemError::internal(cause))
            }),
        )
        .route("/panic", web::get().to(async || -> &str { panic!("PLANTED") }))
        .route(
            "/library",
            web::get().to(async || Err::<&str, _>(actix_web::error::ErrorBadRequest("PLANTED"))),
        )
        .route(
            "/teapot",
            web::get().to(async || HttpResponse::ImATeapot().finish()),
        )
        .route(
            "/id",
            web::get().to(async |id: RequestId| format!("{id} {}", request_id().unwrap())),
        );
}

struct Seen {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn problem(&self) -> Value {
        assert_eq!(
            self.header(header::CONTENT_TYPE),
            "application/problem+json",
            "{}",
            self.body
        );
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn call(guard: Guard, request: TestRequest) -> Seen {
    let app = test::init_service(App::new().configure(routes).wrap(guard)).await;
    let response = match test::try_call_service(&app, request.to_request()).await {
        Ok(response) => response.into_parts().1,
        // As actix's dispatcher does.
        Err(error) => error.error_response(),
    };
    let (head, body) = response.into_parts();
    Seen {
        status: head.status().as_u16(),
        headers: head.headers().clone(),
        body: String::from_utf8(to_bytes(body).await.unwrap().to_vec()).unwrap(),
    }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get()
        .uri(path)
        .insert_header((header::HOST, "zoom.eu.example.com"))
}

#[actix_web::test]
async fn what_another_service_answered_is_left_alone() {
    let seen = app("/upstream").await;
    assert_eq!((seen.status, seen.body.as_str()), (404, ""));
    assert_eq!(seen.header(UPSTREAM), "zoom");
    assert_eq!(seen.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
}

async fn browse(path: &str) -> Seen {
    call(public(), get(path).insert_header((header::ACCEPT, BROWSER))).await
}

async fn app(path: &str) -> Seen {
    call(Guard::new(Listener::App, ids()), get(path)).await
}

#[actix_web::test]
async fn a_foreign_host_gets_421_which_names_the_right_one_and_nothing_else_happens() {
    let foreign = |accept| {
        get("/panic")
            .insert_header((header::HOST, "evil.example"))
            .insert_header((header::ACCEPT, accept))
    };
    let seen = call(public(), foreign("application/json")).await;
    assert_eq!(seen.status, 421);
    assert_eq!(seen.problem()["type"], "urn:domicile:problem:misdirected");
    assert_eq!(
        seen.problem()["detail"],
        "This service is at https://zoom.eu.example.com/"
    );
    let seen = call(public(), foreign(BROWSER)).await;
    assert_eq!(seen.status, 421);
    assert!(
        seen.body.contains("https://zoom.eu.example.com/"),
        "{}",
        seen.body
    );
    assert!(!seen.body.contains("evil.example"));
    // Forwarding headers do not change the host.
    let forwarded = foreign("*/*").insert_header((header::X_FORWARDED_HOST, "zoom.eu.example.com"));
    assert_eq!(call(public(), forwarded).await.status, 421);
}

#[actix_web::test]
async fn what_the_router_refuses_is_a_problem_for_programs() {
    let seen = app("/nowhere").await;
    assert_eq!(
        (seen.status, seen.problem()["type"].clone()),
        (404, "urn:domicile:problem:not_found".into())
    );
    let seen = call(
        Guard::new(Listener::App, ids()),
        get("/things/1").method(Method::PUT),
    )
    .await;
    assert_eq!(seen.status, 405);
    assert_eq!(seen.problem()["type"], "urn:domicile:problem:method_not_allowed");
    let allowed = seen.header(header::ALLOW);
    assert!(allowed.contains("GET") && allowed.contains("DELETE"), "{allowed}");
    // Zoom calls the public listener as a program does.
    let seen = call(public(), get("/nowhere").insert_header((header::ACCEPT, "*/*"))).await;
    assert_eq!((seen.status, seen.problem()["status"].clone()), (404, 404.into()));
}

#[actix_web::test]
async fn what_the_router_refuses_is_a_page_for_browsers() {
    let seen = browse("/nowhere").await;
    assert_eq!(seen.status, 404);
    assert_eq!(seen.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(seen.body.contains("This page does not exist"));
    assert!(seen.body.contains(seen.header("x-request-id")));
    let seen = call(
        public(),
        get("/page")
            .method(Method::POST)
            .insert_header((header::ACCEPT, BROWSER)),
    )
    .await;
    assert_eq!(seen.status, 405);
}

#[actix_web::test]
async fn an_error_of_the_http_library_becomes_a_problem_without_its_words() {
    let seen = app("/library").await;
    assert_eq!(seen.status, 400);
    assert_eq!(seen.problem()["type"], "urn:domicile:problem:malformed_request");
    assert!(!seen.body.contains("PLANTED"));
    // What the table does not know stays as it is.
    assert_eq!(app("/teapot").await.status, 418);
}

#[actix_web::test]
async fn a_panic_is_an_answer_and_the_next_request_is_served() {
    let (log, _guard) = Log::start();
    for seen in [app("/panic").await, browse("/panic").await] {
        assert_eq!(seen.status, 500);
        assert!(!seen.body.contains("PLANTED"));
        assert!(seen.body.contains(seen.header("x-request-id")), "{}", seen.body);
        assert_eq!(seen.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
    assert_eq!(app("/things/1").await.body, "thing");
    assert!(log.text().contains("GET /panic panicked"));
    assert!(!log.text().contains("PLANTED"));
}

#[actix_web::test]
async fn the_cause_of_a_fault_is_logged_whole_and_answered_never() {
    let (log, _guard) = Log::start();
    let seen = app("/fault").await;
    assert_eq!(seen.status, 500);
    assert_eq!(seen.problem()["request_id"], seen.header("x-request-id"));
    assert!(!seen.body.contains("cause"));
    let lines = log.lines();
    assert_eq!(lines[0]["level"], "ERROR");
    assert_eq!(
        lines[0]["fields"]["message"],
        "GET /fault failed: the outer cause: the inner cause"
    );
    assert_eq!(
        lines[0]["fields"]["domicile.request_id"],
        seen.header("x-request-id")
    );
}

#[actix_web::test]
async fn one_line_tells_of_a_request_without_its_path_query_or_headers() {
    let (log, _guard) = Log::start();
    let request = get("/things/PLANTED?code=PLANTED")
        .insert_header((header::USER_AGENT, "PLANTED"))
        .insert_header((header::REFERER, "https://PLANTED"))
        .insert_header((header::COOKIE, "PLANTED=1"));
    let seen = call(public(), request).await;
    assert_eq!(seen.status, 200);
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{}", log.text());
    assert!(!log.text().contains("PLANTED"), "{}", log.text());
    assert_eq!(lines[0]["level"], "INFO");
    let fields = &lines[0]["fields"];
    assert_eq!(fields["message"], "GET /things/{secret} 200");
    for (name, value) in [
        ("http.request.method", "GET".into()),
        ("http.route", "/things/{secret}".into()),
        ("url.path", "/things/{secret}".into()),
        ("http.response.status_code", Value::from(200)),
        ("domicile.listener", "public".into()),
        ("domicile.client", "unknown".into()),
        ("domicile.request_id", seen.header("x-request-id").into()),
    ] {
        assert_eq!(fields[name], value, "{name}");
    }
    assert!(fields["duration_ms"].as_f64().is_some());
    let span = &lines[0]["span"];
    assert_eq!(span["otel.name"], "GET /things/{secret}");
    assert_eq!(span["http.response.status_code"], 200);
}

#[actix_web::test]
async fn unknown_paths_and_methods_are_told_without_their_text() {
    let (log, _guard) = Log::start();
    app("/PLANTED/x").await;
    call(
        Guard::new(Listener::App, ids()),
        get("/page").method(Method::from_bytes(b"PLANTED").unwrap()),
    )
    .await;
    let lines = log.lines();
    assert_eq!(lines[0]["fields"]["message"], "GET unmatched 404");
    assert_eq!(lines[1]["fields"]["message"], "_OTHER /page 405");
    assert!(!log.text().contains("PLANTED"), "{}", log.text());
}

#[actix_web::test]
async fn probes_are_quiet_while_all_is_well() {
    let (log, _guard) = Log::start();
    let ops = Guard::new(Listener::Ops, ids());
    call(ops.clone(), get("/page")).await;
    assert!(log.lines().is_empty());
    call(ops, get("/fault")).await;
    assert_eq!(log.lines().len(), 2);
}

#[actix_web::test]
async fn a_client_that_goes_away_is_told_of_too() {
    let (log, _guard) = Log::start();
    let app = test::init_service(
        App::new()
            .route(
                "/slow",
                web::get().to(async || std::future::pending::<&str>().await),
            )
            .wrap(public()),
    )
    .await;
    {
        let mut waiting = Box::pin(test::call_service(&app, get("/slow").to_request()));
        assert!(futures_util::poll!(&mut waiting).is_pending());
    }
    assert_eq!(log.lines()[0]["fields"]["message"], "GET /slow 499");
}

#[actix_web::test]
async fn every_answer_has_the_security_headers() {
    for seen in [
        browse("/page").await,
        browse("/nowhere").await,
        browse("/panic").await,
    ] {
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, page::policy()),
        ] {
            assert_eq!(seen.header(&name), value, "{name}");
        }
    }
    let seen = app("/things/1").await;
    assert!(
        seen.header(header::CONTENT_SECURITY_POLICY)
            .starts_with("default-src 'none'")
    );
    assert_eq!(
        seen.header(header::STRICT_TRANSPORT_SECURITY),
        "",
        "this listener has no public URL"
    );
    let http = Guard::for_host(
        Listener::Public,
        ids(),
        &Url::parse("http://zoom.eu.example.com").unwrap(),
    );
    assert_eq!(
        call(http, get("/page"))
            .await
            .header(header::STRICT_TRANSPORT_SECURITY),
        ""
    );
}

#[actix_web::test]
async fn the_request_id_is_in_the_answer_and_at_hand_for_the_handler() {
    let seen = app("/id").await;
    let id = seen.header("x-request-id");
    assert_eq!(seen.body, format!("{id} {id}"));
    assert!(id.parse::<uuid::Uuid>().is_ok());
}

#[actix_web::test]
async fn a_refusal_without_cause_is_one_line() {
    let (log, _guard) = Log::start();
    let seen = call(
        Guard::new(Listener::App, ids()),
        get("/things/1").method(Method::DELETE),
    )
    .await;
    assert_eq!(seen.status, 409);
    assert_eq!(log.lines().len(), 1);
}

#[actix_web::test]
async fn over_a_real_connection_a_panic_is_answered_and_the_connection_goes_on() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let guard = Guard::new(Listener::App, ids());
    let server = actix_web::HttpServer::new(move || App::new().configure(routes).wrap(guard.clone()))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let requests = "GET /panic HTTP/1.1\r\nhost: x\r\n\r\nGET /things/1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    connection.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    connection.read_to_string(&mut answers).await.unwrap();
    handle.stop(false).await;

    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(answers.contains("urn:domicile:problem:internal"), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 OK"), "{answers}");
    assert!(answers.ends_with("thing"), "{answers}");
}

#[actix_web::test]
async fn a_client_that_proved_itself_is_named_by_its_key() {
    use sha2::{Digest, Sha256};

    let (log, _guard) = Log::start();
    let keys: crate::extract::AppKeys = format!("backend:{}", hex::encode(Sha256::digest("PLANTED")))
        .parse()
        .unwrap();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(keys))
            .service(web::resource("/v1/ping").get(async |_: crate::extract::AppKey| "pong"))
            .wrap(Guard::new(Listener::App, ids())),
    )
    .await;
    for (key, status, client, name) in [
        ("PLANTED", 200, "app", Value::from("backend")),
        ("PLANTED2", 401, "unknown", Value::Null),
    ] {
        let request = get("/v1/ping").insert_header((header::AUTHORIZATION, format!("Bearer {key}")));
        assert_eq!(
            test::call_service(&app, request.to_request()).await.status(),
            status
        );
        let lines = log.lines();
        let fields = &lines.last().unwrap()["fields"];
        assert_eq!(
            (&fields["domicile.client"], &fields["domicile.app_key"]),
            (&client.into(), &name)
        );
    }
    assert!(!log.text().contains("PLANTED"));
}
