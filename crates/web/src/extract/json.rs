use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::body;
use super::budget::Held;
use crate::problem::{Problem, ProblemError};

/// A JSON body. Its problems name the member at fault and what is wrong with it, never its value; let the type
/// `deny_unknown_fields`, so that a misspelt member is one of them.
#[derive(Debug, Clone)]
pub struct ProblemJson<T>(pub T);

/// The bounds of a JSON body; put other ones into `web::Data` where the default does not fit.
#[derive(Debug, Clone, Copy)]
pub struct JsonLimits {
    /// The largest body.
    pub max_bytes: usize,
    /// The longest time from the head of the request to the end of its body.
    pub time: Duration,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024,
            time: Duration::from_secs(15),
        }
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for ProblemJson<T> {
    type Error = ProblemError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ProblemError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            if !is_json(&request) {
                return Err(Problem::UnsupportedMediaType.into_error("Send the body as application/json."));
            }
            let limits = request
                .app_data::<web::Data<JsonLimits>>()
                .map_or_else(JsonLimits::default, |limits| ***limits);
            let bytes = body::read(
                &request,
                payload,
                limits.max_bytes,
                limits.time,
                &mut Held::unbounded(),
            )
            .await
            .map_err(|error| error.into_problem(limits.max_bytes))?;
            parse(&bytes).map(Self)
        })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let value = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ProblemError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        of_json(&path, error.inner())
    })?;
    deserializer.end().map_err(|error| of_json("", &error))?;
    Ok(value)
}

fn of_json(path: &str, error: &serde_json::Error) -> ProblemError {
    match error.classify() {
        Category::Data => describe(path, &error.to_string()),
        Category::Io | Category::Syntax | Category::Eof => ProblemError::new(Problem::MalformedRequest)
            .detail(format!(
                "The body is not JSON: line {}, column {}.",
                error.line(),
                error.column()
            )),
    }
}

/// Turns serde's message into one without the value: a ticket in the wrong member must not come back in a problem (INV-3).
pub(super) fn describe(path: &str, message: &str) -> ProblemError {
    // serde_json adds where in the text it was.
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let quoted = |after: &str| {
        let rest = message.strip_prefix(after)?.strip_prefix('`')?;
        rest.split_once('`').map(|(name, rest)| (name.to_owned(), rest))
    };
    if let Some((name, _)) = quoted("missing field ") {
        return ProblemError::invalid(join(path, &name), "is missing");
    }
    if let Some((name, _)) = quoted("duplicate field ") {
        return ProblemError::invalid(join(path, &name), "is there more than once");
    }
    if let Some((name, rest)) = quoted("unknown field ") {
        // The path ends in the unknown member itself, or in its parent.
        let field = if path == name || path.ends_with(&format!(".{name}")) {
            path.to_owned()
        } else {
            join(path, &name)
        };
        return ProblemError::invalid(field, format!("is not known{}", expectation(rest)));
    }
    let wrong = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant ",
    ]
    .into_iter()
    .any(|beginning| message.starts_with(beginning));
    let text = if wrong {
        format!("has a wrong value{}", expectation(message))
    } else if [
        "invalid digit",
        "number too",
        "cannot parse",
        "provided string was not",
        "invalid float",
    ]
    .into_iter()
    .any(|beginning| message.starts_with(beginning))
    {
        "has a wrong value".to_owned()
    } else {
        // The words of our own types, which never quote a value.
        message.to_owned()
    };
    ProblemError::invalid(if path.is_empty() { "." } else { path }, text)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

// serde ends its messages with `, expected ...`, in words of the type, and before that may quote the value.
fn expectation(message: &str) -> String {
    message
        .rsplit_once(", expected ")
        .map_or_else(String::new, |(_, expected)| format!("; expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::test::{self, TestRequest};
    use bytes::Bytes;
    use domicile_kernel::Subject;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Confirm {
        ticket: String,
        subject: Subject,
        #[serde(default)]
        #[expect(dead_code, reason = "only its errors matter")]
        nested: Vec<Nested>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nested {
        #[expect(dead_code, reason = "only its errors matter")]
        kind: Kind,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        Two,
    }

    async fn send(content_type: Option<&str>, body: impl Into<Bytes>) -> (u16, Value) {
        let limits = JsonLimits {
            max_bytes: 1000,
            ..JsonLimits::default()
        };
        let app = test::init_service(App::new().app_data(web::Data::new(limits)).route(
            "/",
            web::post().to(async |body: ProblemJson<Confirm>| {
                let Confirm { ticket, subject, .. } = body.0;
                format!("\"{ticket} {subject}\"")
            }),
        ))
        .await;
        let mut request = TestRequest::post().uri("/").set_payload(body);
        if let Some(content_type) = content_type {
            request = request.insert_header((header::CONTENT_TYPE, content_type));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&test::read_body(response).await).unwrap(),
        )
    }

    #[actix_web::test]
    async fn a_body_is_read_as_any_kind_of_json() {
        for content_type in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ] {
            let (status, body) = send(Some(content_type), r#"{"ticket":"t","subject":"user:1"}"#).await;
            assert_eq!((status, body), (200, "t user:1".into()), "{content_type}");
        }
    }

    #[actix_web::test]
    async fn another_content_type_is_refused() {
        for content_type in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonp"),
        ] {
            let (status, problem) = send(content_type, r#"{"ticket":"t","subject":"user:1"}"#).await;
            assert_eq!(status, 415, "{content_type:?}");
            assert_eq!(problem["type"], "urn:domicile:problem:unsupported_media_type");
        }
    }

    #[actix_web::test]
    async fn broken_json_says_where() {
        for body in ["", "{", "{\"ticket\":}", "not json", "{} {}", "\u{1}"] {
            let (status, problem) = send(Some("application/json"), body).await;
            let expected = if body == "{} {}" { 422 } else { 400 };
            assert_eq!(status, expected, "{body:?} {problem}");
        }
        let (_, problem) = send(Some("application/json"), "{\"ticket\":}").await;
        assert_eq!(problem["detail"], "The body is not JSON: line 1, column 11.");
        let (status, _) = send(Some("application/json"), r#"{"ticket":"t","subject":"user:1"} x"#).await;
        assert_eq!(status, 400);
    }

    #[actix_web::test]
    async fn every_fault_names_its_member_and_shows_no_value() {
        for (body, field, message) in [
            (r#"{"subject":"user:1"}"#, "ticket", "is missing"),
            (
                r#"{"ticket":"PLANTED","subject":7}"#,
                "subject",
                "has a wrong value; expected a string",
            ),
            (
                r#"{"ticket":{"PLANTED":1},"subject":"user:1"}"#,
                "ticket",
                "has a wrong value; expected a string",
            ),
            (
                r#"{"ticket":"t","subject":"PLANTED"}"#,
                "subject",
                "a subject begins with 'user:' or 'org:'",
            ),
            (
                r#"{"ticket":"t","ticket":"t","subject":"user:1"}"#,
                "ticket",
                "is there more than once",
            ),
            (
                r#"{"ticket":"t","subject":"user:1","sbject":"PLANTED"}"#,
                "sbject",
                "is not known; expected one of `ticket`, `subject`, `nested`",
            ),
            (
                r#"{"ticket":"t","subject":"user:1","nested":[{"kind":"one"},{"kind":"PLANTED, expected x"}]}"#,
                "nested[1].kind",
                "has a wrong value; expected `one` or `two`",
            ),
            (
                r#"{"ticket":"t","subject":"user:1","nested":[{"kind":"one","size":"PLANTED"}]}"#,
                "nested[0].size",
                "is not known; expected `kind`",
            ),
            (r#""PLANTED""#, ".", "has a wrong value; expected struct Confirm"),
        ] {
            let (status, problem) = send(Some("application/json"), body).await;
            assert_eq!(status, 422, "{body}");
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
            assert_eq!(problem["errors"][0]["message"], message, "{problem}");
            assert!(!problem.to_string().contains("PLANTED"), "{problem}");
        }
    }

    #[actix_web::test]
    async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
        let (status, problem) = send(Some("application/json"), "x".repeat(1001)).await;
        assert_eq!(status, 413);
        assert_eq!(problem["detail"], "A body may have 1000 bytes here.");
    }

    #[actix_web::test]
    async fn a_coded_body_is_refused() {
        let app =
            test::init_service(App::new().route("/", web::post().to(async |_: ProblemJson<Confirm>| "in")))
                .await;
        let request = TestRequest::post()
            .uri("/")
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header((header::CONTENT_ENCODING, "gzip"))
            .set_payload("x");
        assert_eq!(test::call_service(&app, request.to_request()).await.status(), 415);
    }

    proptest! {
        #[test]
        fn no_body_panics_and_none_comes_back(body in "\\PC{0,60}", planted in "[A-Z]{12}") {
            let _ = parse::<Confirm>(body.as_bytes());
            let body = format!(r#"{{"ticket":"t","subject":"{planted}","x":1}}"#);
            let shown = format!("{:?}", parse::<Confirm>(body.as_bytes()).err());
            prop_assert!(shown.starts_with("Some") && !shown.contains(&planted), "{}", shown);
        }
    }
}
