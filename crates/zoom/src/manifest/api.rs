//! The manifest's calls of the Marketplace API (Zoom: Marketplace API, manifest).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use domicile_egress::Client;
use domicile_kernel::{Clock, Secret};
use http::{Method, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;
use url::Url;

use crate::api::{ApiError, encode_segment, from_answer};
use crate::host::{ApiBase, ZoomHosts};
use crate::transport::{self, Answer, NoAnswer};
use crate::wire::{List, Object, Scalar};

const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Zoom's number for "not this kind of app".
const NOT_EXPORTABLE: u32 = 1500;
/// How much of Zoom's words about a member is shown.
const MOST_CHARACTERS: usize = 300;

/// Calls the manifest API with a token that reads and writes apps: `marketplace:read:app:admin` and
/// `marketplace:write:app:admin`, or the same without `:admin`.
#[derive(Clone)]
pub struct ManifestApi {
    http: Client,
    hosts: Arc<ZoomHosts>,
    clock: Arc<dyn Clock>,
    base: ApiBase,
    token: Secret<String>,
}

/// What Zoom says is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The member, such as `/oauth_information/scopes[0]`.
    pub setting: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.message)
    }
}

/// Whether an app is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publication {
    /// In the Marketplace, listed or not: Zoom exports and updates drafts alone.
    Published,
    /// A draft.
    Draft,
    /// Zoom does not say.
    Unknown,
}

/// An app as Zoom shows it to those who may add it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenApp {
    /// Whether it is out.
    pub publication: Publication,
    /// What can be seen of its manifest: name, description, links, usage, the names of its scopes.
    pub manifest: Value,
}

impl SeenApp {
    fn of(app: &Value) -> Self {
        let links = &app["app_links"];
        let scopes: Vec<_> = app["app_scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| json!({ "scope": name }))
            .collect();
        Self {
            publication: match app["app_status"].as_str() {
                Some("PUBLISHED") => Publication::Published,
                Some("UNPUBLISHED" | "SHARABLE") => Publication::Draft,
                _ => Publication::Unknown,
            },
            manifest: json!({
                "display_information": {
                    "display_name": app["app_name"], "description": app["app_description"],
                    "privacy_url": links["privacy_policy_url"], "terms_url": links["terms_of_use_url"],
                    "support_url": links["support_url"], "doc_url": links["documentation_url"],
                },
                "oauth_information": {
                    "usage": match app["app_usage"].as_i64() {
                        Some(1) => Value::from("ADMIN_MANAGEMENT"),
                        Some(2) => Value::from("USER_OPERATION"),
                        _ => Value::Null,
                    },
                    "scopes": scopes,
                },
            }),
        }
    }

    /// The part of a whole manifest that can be compared with what is seen.
    pub(super) fn part_of(manifest: &Value) -> Value {
        let (display, oauth) = (&manifest["display_information"], &manifest["oauth_information"]);
        let fields = [
            "display_name",
            "description",
            "privacy_url",
            "terms_url",
            "support_url",
            "doc_url",
        ];
        let display: Map<String, Value> = fields
            .iter()
            .map(|field| ((*field).to_owned(), display[*field].clone()))
            .collect();
        let scopes: Vec<_> = oauth["scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| json!({ "scope": entry["scope"] }))
            .collect();
        json!({
            "display_information": display,
            "oauth_information": { "usage": oauth["usage"], "scopes": scopes },
        })
    }
}

/// Why a call did not do what it should.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Zoom finds faults in the manifest.
    #[error("Zoom refuses the manifest: {}", list(.0))]
    Invalid(Vec<Invalid>),
    /// Zoom gives and takes manifests of draft General apps alone.
    #[error("Zoom gives and takes manifests of draft General apps alone, and this app is none")]
    NotADraft,
    /// There is no such app, or not for this token.
    #[error("Zoom knows no such app, or not for this token")]
    NotFound,
    /// The app belongs to somebody else.
    #[error("the token's user may not change this app")]
    NotYours,
    /// The call itself failed.
    #[error(transparent)]
    Api(#[from] ApiError),
}

fn list(faults: &[Invalid]) -> String {
    match faults {
        [] => "it does not say why".to_owned(),
        faults => faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    }
}

impl ManifestApi {
    /// A client of this API with this token.
    pub fn new(
        http: Client,
        hosts: Arc<ZoomHosts>,
        clock: Arc<dyn Clock>,
        base: ApiBase,
        token: Secret<String>,
    ) -> Self {
        Self {
            http: http.for_foreign_urls(),
            hosts,
            clock,
            base,
            token,
        }
    }

    /// Asks whether Zoom would take the manifest: `POST /marketplace/apps/manifest/validate` (medium). The answer's status
    /// is 200 either way; only its body says which.
    pub async fn validate(&self, app_id: Option<&str>, manifest: &Value) -> Result<(), ManifestError> {
        #[derive(Deserialize, Default)]
        struct Verdict {
            #[serde(default)]
            ok: Value,
            #[serde(default)]
            errors: List<WireFault>,
        }

        let mut body = json!({ "manifest": manifest });
        if let (Some(app_id), Some(body)) = (app_id, body.as_object_mut()) {
            body.insert("app_id".to_owned(), Value::from(app_id));
        }
        let answer = self
            .call(Method::POST, "marketplace/apps/manifest/validate", Some(&body))
            .await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let verdict = serde_json::from_slice::<Object<Verdict>>(&answer.body)
            .ok()
            .and_then(|object| object.0)
            .ok_or(ApiError::Unreadable("the verdict is not a JSON object"))?;
        match verdict.ok {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => Err(ManifestError::Invalid(faults(verdict.errors))),
            _ => Err(ApiError::Unreadable("the verdict does not say whether it is ok").into()),
        }
    }

    /// The live app's manifest, as JSON so that nothing in it is lost: `GET /marketplace/apps/{appId}/manifest` (medium).
    /// Secrets may be missing from it.
    pub async fn export(&self, app_id: &str) -> Result<Value, ManifestError> {
        let path = format!("marketplace/apps/{}/manifest", encode_segment(app_id));
        let answer = self.call(Method::GET, &path, None).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let unreadable = ApiError::Unreadable("the export holds no manifest");
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(Value::Object(mut body)) => match body.remove("manifest") {
                Some(manifest @ Value::Object(_)) => Ok(manifest),
                _ => Err(unreadable.into()),
            },
            _ => Err(unreadable.into()),
        }
    }

    /// Replaces the whole manifest: `PUT /marketplace/apps/{appId}/manifest` (heavy). What is not in it is gone, and there
    /// is no version that would protect somebody else's change.
    pub async fn put(&self, app_id: &str, manifest: &Value) -> Result<(), ManifestError> {
        let path = format!("marketplace/apps/{}/manifest", encode_segment(app_id));
        let body = json!({ "manifest": manifest });
        let answer = self.call(Method::PUT, &path, Some(&body)).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(self.refusal(&answer))
        }
    }

    /// What Zoom tells of an app without its manifest: `GET /marketplace/apps/{appId}` (medium). It also answers for
    /// published apps.
    pub async fn app(&self, app_id: &str) -> Result<SeenApp, ManifestError> {
        let path = format!("marketplace/apps/{}", encode_segment(app_id));
        let answer = self.call(Method::GET, &path, None).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(app @ Value::Object(_)) => Ok(SeenApp::of(&app)),
            _ => Err(ApiError::Unreadable("the app is not a JSON object").into()),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, ApiError> {
        let url =
            Url::parse(&format!("{}/v2/{path}", self.base.as_str())).map_err(|_| ApiError::NotARequest)?;
        if !self.hosts.allows(&url) {
            return Err(ApiError::HostNotAllowed);
        }
        let bearer = Secret::new(format!("Bearer {}", self.token.expose()));
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(header::AUTHORIZATION, bearer.expose())
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(body).map_err(|_| ApiError::NotARequest)?;
        transport::send(&self.http, self.clock.as_ref(), request, MAX_ANSWER_BYTES)
            .await
            .map_err(|(NoAnswer::NotSent(cause) | NoAnswer::Lost(cause))| ApiError::Egress(cause))
    }

    /// Zoom has two forms of errors: its own of manifests, and that of the rest of the API.
    fn refusal(&self, answer: &Answer) -> ManifestError {
        #[derive(Deserialize, Default)]
        struct Wire {
            #[serde(default)]
            code: Scalar,
            #[serde(default)]
            error: Scalar,
            #[serde(default)]
            message: Scalar,
            #[serde(default)]
            errors: List<WireFault>,
        }

        let wire = serde_json::from_slice::<Object<Wire>>(&answer.body)
            .ok()
            .and_then(|object| object.0)
            .unwrap_or_default();
        if wire.error.text().as_deref() == Some("invalid_manifest") {
            return ManifestError::Invalid(faults(wire.errors));
        }
        let code = wire.code.integer();
        let draft_alone = wire
            .message
            .text()
            .is_some_and(|text| text.contains("Draft General app"));
        match answer.status {
            _ if draft_alone => ManifestError::NotADraft,
            StatusCode::NOT_FOUND if code == Some(i64::from(NOT_EXPORTABLE)) => ManifestError::NotADraft,
            StatusCode::NOT_FOUND => ManifestError::NotFound,
            StatusCode::FORBIDDEN => ManifestError::NotYours,
            _ => from_answer(answer, self.clock.now()).into(),
        }
    }
}

#[derive(Deserialize)]
struct WireFault {
    #[serde(default)]
    setting: Scalar,
    #[serde(default)]
    message: Scalar,
}

fn faults(list: List<WireFault>) -> Vec<Invalid> {
    let of = |fault: WireFault| Invalid {
        setting: shown(fault.setting),
        message: shown(fault.message),
    };
    list.0.into_iter().map(of).collect()
}

/// Zoom's words about a manifest, made fit for a terminal.
fn shown(text: Scalar) -> String {
    let text = text.text().unwrap_or_else(|| "(nothing)".to_owned());
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_CHARACTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use domicile_egress::testing;

    use super::*;
    use crate::fake::{Fake, Noon, Script, client};

    async fn api(answers: &[(u16, &str)]) -> (Fake, ManifestApi) {
        let scripts = answers
            .iter()
            .map(|(status, body)| Script::Answer(*status, "", (*body).to_owned()))
            .collect();
        let fake = Fake::start(scripts).await;
        let hosts: Arc<ZoomHosts> = Arc::new("127.0.0.1".parse().unwrap());
        let base = hosts.validate_api_url(fake.url.as_str()).unwrap();
        let token = Secret::from("TOKEN");
        let api = ManifestApi::new(client(testing::TIMEOUTS), hosts, Arc::new(Noon), base, token);
        (fake, api)
    }

    #[tokio::test]
    async fn only_ok_true_is_a_good_verdict_whatever_the_status() {
        let invalid =
            r#"{"ok":false,"error":"invalid_manifest","errors":[{"setting":"/a","message":"bad\u001b[0m"}]}"#;
        let (fake, api) = api(&[
            (200, r#"{"ok":true,"error":"","errors":null}"#),
            (200, invalid),
            (200, r#"{"ok":false,"errors":null}"#),
            (200, "{}"),
            (200, r#"{"ok":"true"}"#),
            (200, "<html>"),
        ])
        .await;
        api.validate(Some("A"), &json!({ "x": 1 })).await.unwrap();
        let request = &fake.requests()[0];
        assert!(
            request.starts_with("POST /v2/marketplace/apps/manifest/validate HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("authorization: Bearer TOKEN\r\n"), "{request}");
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, json!({ "manifest": { "x": 1 }, "app_id": "A" }));
        let told = api.validate(None, &json!({})).await.unwrap_err().to_string();
        assert_eq!(told, "Zoom refuses the manifest: /a: bad [0m");
        let told = api.validate(None, &json!({})).await.unwrap_err();
        assert!(matches!(told, ManifestError::Invalid(faults) if faults.is_empty()));
        for _ in 0..3 {
            let told = api.validate(None, &json!({})).await.unwrap_err();
            assert!(
                matches!(told, ManifestError::Api(ApiError::Unreadable(_))),
                "{told:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_export_is_unwrapped_and_an_app_that_gives_none_is_named_as_such() {
        let published = r#"{"code":1500,"message":"You can only export Draft General app's manifest now"}"#;
        let (fake, api) = api(&[
            (200, r#"{"manifest":{"x":1}}"#),
            (404, published),
            (404, r#"{"code":1401,"message":"APP ID does not exist"}"#),
            (200, r#"{"x":1}"#),
        ])
        .await;
        assert_eq!(api.export("a/b").await.unwrap(), json!({ "x": 1 }));
        assert!(fake.requests()[0].starts_with("GET /v2/marketplace/apps/a%2Fb/manifest HTTP/1.1\r\n"));
        assert!(matches!(api.export("a").await, Err(ManifestError::NotADraft)));
        assert!(matches!(api.export("a").await, Err(ManifestError::NotFound)));
        assert!(matches!(
            api.export("a").await,
            Err(ManifestError::Api(ApiError::Unreadable(_)))
        ));
    }

    #[tokio::test]
    async fn a_put_is_wrapped_once_and_its_three_refusals_are_told_apart() {
        let (fake, api) = api(&[
            (200, ""),
            (400, r#"{"error":"invalid_manifest","errors":[{"setting":"/s","message":"m"}]}"#),
            (400, r#"{"code":1500,"message":"You can only update Draft General app now"}"#),
            (403, "{}"),
            (401, r#"{"code":201,"message":"Invalid access token, does not contain scopes:[marketplace:write:app]."}"#),
        ])
        .await;
        api.put("a", &json!({ "x": 1 })).await.unwrap();
        let request = &fake.requests()[0];
        assert!(
            request.starts_with("PUT /v2/marketplace/apps/a/manifest HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.ends_with(r#"{"manifest":{"x":1}}"#), "{request}");
        let put = async || api.put("a", &json!({})).await.unwrap_err();
        assert!(matches!(put().await, ManifestError::Invalid(faults) if faults[0].setting == "/s"));
        assert!(matches!(put().await, ManifestError::NotADraft));
        assert!(matches!(put().await, ManifestError::NotYours));
        let lacking = put().await;
        assert!(
            matches!(&lacking, ManifestError::Api(ApiError::MissingScopes { scopes }) if scopes[0] == "marketplace:write:app"),
            "{lacking:?}"
        );
    }

    #[tokio::test]
    async fn the_status_of_an_app_says_whether_it_is_out() {
        let (_fake, api) = api(&[
            (200, r#"{"app_status":"PUBLISHED"}"#),
            (200, r#"{"app_status":"UNPUBLISHED"}"#),
            (200, "{}"),
        ])
        .await;
        let mut found = Vec::new();
        for _ in 0..3 {
            found.push(api.app("a").await.unwrap().publication);
        }
        assert_eq!(
            found,
            [Publication::Published, Publication::Draft, Publication::Unknown]
        );
    }
}
