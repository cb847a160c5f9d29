//! What every API call has in common: the token, the scopes, the rate-limit headers, the form of errors.

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::faults;
use crate::model::app::Usage;
use crate::model::fault::{About, Target};
use crate::model::user::{User, UserStatus};
use crate::sim::Sim;
use crate::webhook::sign;

/// An API error: status, code and message (Zoom: errors page).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub status: StatusCode,
    pub code: u16,
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, 124, "Invalid access token.")
    }

    pub(crate) fn no_recording() -> Self {
        Self::new(StatusCode::NOT_FOUND, 3301, "This recording does not exist.")
    }

    pub(crate) fn invalid_field(field: &str, message: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            300,
            format!("Validation Failed. {field}: {message}"),
        )
    }

    pub(crate) fn response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(json!({ "code": self.code, "message": self.message }))
    }
}

/// Zoom's rate-limit label of an endpoint, with the Business limit per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Light,
    Medium,
    Heavy,
}

impl Category {
    fn name(self) -> &'static str {
        match self {
            Self::Light => "Light",
            Self::Medium => "Medium",
            Self::Heavy => "Heavy",
        }
    }

    fn per_second(self) -> u32 {
        match self {
            Self::Light => 80,
            Self::Medium => 60,
            Self::Heavy => 40,
        }
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub client_id: String,
    pub usage: Usage,
    pub scopes: Vec<String>,
    pub user: User,
}

/// An endpoint, for [`Sim::call`].
pub(crate) struct Endpoint {
    pub target: Target,
    pub category: Category,
    /// Any of these scopes will do, each also with `:admin`.
    pub scopes: &'static [&'static str],
}

/// The token after `Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Sim {
    /// Whose OAuth token this is.
    pub(crate) fn caller(&self, token: &str) -> Result<Caller, ApiError> {
        let now = self.now();
        self.read(|state| {
            let token = state
                .access_tokens
                .get(token)
                .ok_or_else(ApiError::invalid_token)?;
            if token.ended.is_some() {
                let text = "This access token has been revoked.";
                return Err(ApiError::new(StatusCode::UNAUTHORIZED, 4741, text));
            }
            if token.expires_at <= now {
                return Err(ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    124,
                    "Access token is expired.",
                ));
            }
            let Some(user_id) = &token.user_id else {
                let text = "Invalid access token, does not contain scopes.";
                return Err(ApiError::new(StatusCode::UNAUTHORIZED, 4700, text));
            };
            let user = state
                .users
                .get(user_id)
                .filter(|user| user.status == UserStatus::Active)
                .cloned();
            let gone = || {
                ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    4735,
                    "The owner of the token does not exist.",
                )
            };
            Ok(Caller {
                client_id: token.client_id.clone(),
                usage: token.usage,
                scopes: token.scopes.clone(),
                user: user.ok_or_else(gone)?,
            })
        })
    }

    /// Carries out an API call: token, scopes, ordered faults, the operation, the headers.
    pub(crate) async fn call(
        &self,
        request: &HttpRequest,
        endpoint: Endpoint,
        meeting_uuid: Option<&str>,
        operate: impl AsyncFnOnce(&Caller) -> Result<HttpResponse, ApiError>,
    ) -> HttpResponse {
        let caller = match self.caller_of(request, &endpoint) {
            Ok(caller) => caller,
            Err(error) => return self.with_tracking(error.response()),
        };
        let about = About {
            client_id: Some(&caller.client_id),
            user_id: Some(&caller.user.id),
            meeting_uuid,
            ..About::default()
        };
        let answer = faults::around(self, request, endpoint.target, &about, async || {
            operate(&caller).await.unwrap_or_else(|error| error.response())
        })
        .await;
        self.with_limits(
            self.with_tracking(answer),
            &caller.user.account_id,
            endpoint.category,
        )
    }

    fn caller_of(&self, request: &HttpRequest, endpoint: &Endpoint) -> Result<Caller, ApiError> {
        if request
            .query_string()
            .split('&')
            .any(|pair| pair.starts_with("access_token="))
        {
            let text = "Invalid access token. The access token is not supported as query parameter string.";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, 124, text));
        }
        let caller = self.caller(bearer(request.headers()).ok_or_else(ApiError::invalid_token)?)?;
        let granted = |scope: &str| {
            caller
                .scopes
                .iter()
                .any(|it| it == scope || it.strip_suffix(":admin") == Some(scope))
        };
        if !endpoint.scopes.iter().any(|scope| granted(scope)) {
            let first = endpoint.scopes.first().copied().unwrap_or_default();
            let text = format!("Invalid access token, does not contain scopes:[{first}, {first}:admin].");
            // The Marketplace's calls say it in their own way (marketplace: error shapes).
            return Err(match endpoint.target {
                Target::Marketplace => ApiError::new(StatusCode::UNAUTHORIZED, 201, text),
                _ => ApiError::new(StatusCode::BAD_REQUEST, 4711, text),
            });
        }
        Ok(caller)
    }

    /// The user whom a path names. A user-managed token must say `me`.
    pub(crate) fn user_in_path(&self, caller: &Caller, segment: &str) -> Result<User, ApiError> {
        let (name, _) = super::path::decoded(segment);
        if name == "me" {
            return Ok(caller.user.clone());
        }
        if caller.usage == Usage::UserManaged {
            let text = "Invalid access token, does not contain scopes.";
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, 4700, text));
        }
        let known = self.users().into_iter().find(|user| {
            (user.id == name || user.email == name)
                && user.account_id == caller.user.account_id
                && user.status != UserStatus::Deleted
        });
        known.ok_or_else(|| {
            ApiError::new(
                StatusCode::NOT_FOUND,
                1001,
                format!("User does not exist: {name}."),
            )
        })
    }

    pub(crate) fn with_tracking(&self, mut answer: HttpResponse) -> HttpResponse {
        set(&mut answer, "x-zm-trackingid", &sign::tracking_id(self.rng()));
        answer
    }

    pub(crate) fn with_limits(
        &self,
        mut answer: HttpResponse,
        account_id: &str,
        category: Category,
    ) -> HttpResponse {
        let calls = self.count_call(account_id, category.name());
        set(&mut answer, "x-ratelimit-category", category.name());
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return answer;
        }
        set(&mut answer, "x-ratelimit-type", "QPS");
        set(
            &mut answer,
            "x-ratelimit-limit",
            &category.per_second().to_string(),
        );
        set(
            &mut answer,
            "x-ratelimit-remaining",
            &category.per_second().saturating_sub(calls).to_string(),
        );
        answer
    }
}

fn set(answer: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Whatever else is below `/v2`.
pub(crate) async fn unknown_endpoint() -> HttpResponse {
    ApiError::new(
        StatusCode::NOT_FOUND,
        2300,
        "This API endpoint is not recognized.",
    )
    .response()
}
