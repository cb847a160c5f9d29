//! Calls of Zoom's API that the app makes through us with a link's token, which it never sees.

use bytes::Bytes;
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{Fate, LinkId};
use domicile_store::Conn;
use domicile_store::audit::{Actor, AuditEntry};
use domicile_zoom::api::passthrough::{AllowedCall, CallRefused, PassThroughError, PassedAnswer};
use http::{HeaderMap, Method};
use thiserror::Error;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use crate::error::LinkingError;
use crate::grants::access::AccessToken;
use crate::link::Link;
use crate::linking::Linking;
use crate::metrics::METRICS;

/// What the app wants of Zoom, as it wrote it.
pub struct ZoomCall {
    /// With whose token.
    pub link: LinkId,
    /// The method.
    pub method: Method,
    /// The path below `/v2/`, percent-encoded.
    pub path: String,
    /// The query, percent-encoded.
    pub query: String,
    /// All its headers; those that Zoom may know are passed on.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Who asks, for the audit.
    pub actor: Actor,
}

/// Why there is no answer of Zoom's.
#[derive(Debug, Error)]
pub enum ZoomCallError {
    /// The call never left: no rule allows it.
    #[error("the call is refused")]
    Refused(#[source] CallRefused),
    /// A call without a body came with one.
    #[error("a call with this method has no body")]
    BodyNotExpected,
    /// There is no such link.
    #[error("there is no such link")]
    UnknownLink,
    /// Its grant has ended.
    #[error("the link needs a new authorization")]
    NeedsReauthorization,
    /// It has ended.
    #[error("the link has ended")]
    Revoked,
    /// Zoom gave no answer that can be passed on.
    #[error("Zoom gave no answer that can be passed on")]
    PassThrough {
        /// What was asked for.
        method: Method,
        /// Why.
        #[source]
        cause: PassThroughError,
    },
    /// Something here failed.
    #[error(transparent)]
    Linking(#[from] LinkingError),
}

impl Linking {
    /// Makes the call with the link's token. Where Zoom refuses the token, it is refreshed and the call made once more:
    /// what was refused was not done.
    pub async fn call_zoom(&self, call: ZoomCall) -> Result<PassedAnswer, ZoomCallError> {
        let rules = &self.parts.settings.zoom_calls;
        let allowed = match rules.allow(&call.method, &call.path, &call.query) {
            Ok(allowed) => allowed,
            Err(refused) => {
                METRICS.zoom_call("", "", "refused");
                return Err(ZoomCallError::Refused(refused));
            }
        };
        let span = info_span!(
            "zoom_call",
            otel.name = format!("{} {}", allowed.method(), allowed.pattern()),
            http.request.method = allowed.method().as_str(),
            http.route = allowed.pattern(),
            link.id = %call.link,
            http.response.status_code = Empty,
            error.type = Empty,
        );
        let outcome = self.pass(&call, &allowed).instrument(span.clone()).await;
        tell(&span, &allowed, &outcome);
        outcome
    }

    async fn pass(&self, call: &ZoomCall, allowed: &AllowedCall) -> Result<PassedAnswer, ZoomCallError> {
        if matches!(*allowed.method(), Method::GET | Method::HEAD) && !call.body.is_empty() {
            return Err(ZoomCallError::BodyNotExpected);
        }
        let link = self.callable(call.link).await?;
        let token = self.token_for_call(call.link, None).await?;
        if allowed.is_write() {
            self.audit_call(&link, call, allowed).await?;
        }
        let answer = self.pass_once(&token, call, allowed).await?;
        if !answer.token_refused {
            return Ok(answer);
        }
        let fresh = self.token_for_call(call.link, Some(token.generation)).await?;
        self.pass_once(&fresh, call, allowed).await
    }

    async fn pass_once(
        &self,
        token: &AccessToken,
        call: &ZoomCall,
        allowed: &AllowedCall,
    ) -> Result<PassedAnswer, ZoomCallError> {
        self.parts
            .api
            .pass_through(
                &token.base,
                &token.token,
                allowed,
                &call.headers,
                call.body.clone(),
            )
            .await
            .map_err(|cause| ZoomCallError::PassThrough {
                method: allowed.method().clone(),
                cause,
            })
    }

    /// The link, if it can be called for.
    async fn callable(&self, id: LinkId) -> Result<Link, ZoomCallError> {
        let link = self.link(id).await?.ok_or(ZoomCallError::UnknownLink)?;
        match link.status {
            LinkStatus::Active => Ok(link),
            LinkStatus::NeedsReauthorization => Err(ZoomCallError::NeedsReauthorization),
            LinkStatus::Revoked => Err(ZoomCallError::Revoked),
        }
    }

    /// A token that works, or after a refusal a newer one.
    async fn token_for_call(&self, id: LinkId, refused: Option<i64>) -> Result<AccessToken, ZoomCallError> {
        let token = match refused {
            None => self.access_token(id).await,
            Some(generation) => self.renew_access_token(id, generation).await,
        };
        token.map_err(|error| match error {
            // The link may have ended, or lost its grant, in this very moment.
            LinkingError::UnknownLink => ZoomCallError::UnknownLink,
            LinkingError::NeedsReauthorization(_) => ZoomCallError::NeedsReauthorization,
            LinkingError::LinkRevoked => ZoomCallError::Revoked,
            error => ZoomCallError::Linking(error),
        })
    }

    /// Written before the call leaves, because whether Zoom did it may never be known.
    async fn audit_call(
        &self,
        link: &Link,
        call: &ZoomCall,
        allowed: &AllowedCall,
    ) -> Result<(), ZoomCallError> {
        let entry = AuditEntry::done(call.actor.clone(), "zoom.call")
            .because(method_name(allowed.method()))
            .subject(&link.subject)
            .link(link.id)
            .zoom(&link.zoom_account_id, link.zoom_user_id.as_ref());
        let write = async |conn: &mut Conn| -> Result<(), LinkingError> {
            Ok(entry.write(conn, &self.parts.ids).await?)
        };
        self.parts.db.run_tx("audit_zoom_call", write).await?;
        Ok(())
    }
}

/// What the audit says of a call; the path may hold ids of people.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        _ => "delete",
    }
}

fn tell(span: &Span, allowed: &AllowedCall, outcome: &Result<PassedAnswer, ZoomCallError>) {
    let class = match outcome {
        Ok(answer) => {
            span.record("http.response.status_code", answer.status.as_u16());
            match answer.status.as_u16() / 100 {
                2 => "2xx",
                3 => "3xx",
                4 => "4xx",
                _ => "5xx",
            }
        }
        Err(error) => {
            span.record("error.type", error.class());
            error.class()
        }
    };
    METRICS.zoom_call(allowed.method().as_str(), allowed.pattern(), class);
}

impl ZoomCallError {
    /// The value of `error.type` in span and metric.
    fn class(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::BodyNotExpected => "body_not_expected",
            Self::UnknownLink => "unknown_link",
            Self::NeedsReauthorization => "needs_reauthorization",
            Self::Revoked => "revoked",
            Self::PassThrough { cause, .. } => match cause {
                PassThroughError::HostNotAllowed => "host_not_allowed",
                PassThroughError::NotARequest => "not_a_request",
                PassThroughError::Unreachable(_) => "unreachable",
                PassThroughError::LostAnswer(_) => "lost_answer",
                PassThroughError::TooLarge => "too_large",
                PassThroughError::Redirect => "redirect",
                PassThroughError::Unreadable => "unreadable",
            },
            Self::Linking(error) if error.fate() == Fate::Final => "internal",
            Self::Linking(_) => "unavailable",
        }
    }
}
