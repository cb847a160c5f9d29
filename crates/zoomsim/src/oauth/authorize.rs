//! The authorization endpoint without its page (platform: authorize request, authorize page errors).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::control::{ControlError, Decision};
use crate::model::app::{App, Usage};
use crate::model::token::{ChallengeMethod, Code, CodeChallenge};
use crate::model::user::{User, UserStatus};
use crate::random;
use crate::signing;
use crate::sim::Sim;

/// Life of an authorization code.
const CODE_MINUTES: i64 = 5;

/// The authorize page's parameters, as they came; also hidden fields of its form.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AuthorizeQuery {
    pub response_type: Option<String>,
    pub client_id: Option<String>,
    pub redirect_uri: Option<String>,
    pub state: Option<String>,
    pub code_challenge: Option<String>,
    pub code_challenge_method: Option<String>,
}

/// A request that the page can show.
pub(crate) struct AuthorizeRequest {
    pub app: App,
    pub redirect_uri: Url,
    /// The redirect URI as the client wrote it, to be compared at the token endpoint.
    pub redirect_text: String,
    pub state: Option<String>,
    pub challenge: Option<CodeChallenge>,
}

/// What the page answers in place of a redirect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("authorize page: error {code}, {message}")]
pub(crate) struct AuthorizeRefusal {
    pub code: u16,
    pub message: &'static str,
}

impl Sim {
    /// Checks everything before a user is asked.
    pub(crate) fn check_authorize(
        &self,
        query: &AuthorizeQuery,
    ) -> Result<AuthorizeRequest, AuthorizeRefusal> {
        let refuse = |code, message| Err(AuthorizeRefusal { code, message });
        let client_id = query.client_id.as_deref().unwrap_or_default();
        let Some(app) = self.read(|state| state.apps.get(client_id).cloned()) else {
            return refuse(4702, "Invalid client_id");
        };
        let text = query.redirect_uri.clone().unwrap_or_default();
        let registered = app
            .accepts_redirect(&text)
            .then(|| Url::parse(&text).ok())
            .flatten();
        let Some(redirect_uri) = registered else {
            return refuse(4700, "Invalid redirect url");
        };
        if query.response_type.as_deref() != Some("code") {
            return refuse(4700, "Invalid response type");
        }
        let challenge = match (&query.code_challenge, query.code_challenge_method.as_deref()) {
            (None, _) => None,
            (Some(value), Some("S256")) => Some(CodeChallenge {
                value: value.clone(),
                method: ChallengeMethod::S256,
            }),
            // Zoom takes a missing method for plain (platform: authorize request; RFC 7636, section 4.3).
            (Some(value), None | Some("plain")) => Some(CodeChallenge {
                value: value.clone(),
                method: ChallengeMethod::Plain,
            }),
            (Some(_), Some(_)) => return refuse(4700, "Invalid code challenge method"),
        };
        Ok(AuthorizeRequest {
            app,
            redirect_uri,
            redirect_text: text,
            state: query.state.clone(),
            challenge,
        })
    }

    /// Who may consent: active users, and for admin-managed apps administrators.
    pub(crate) fn may_consent(&self, app: &App) -> Vec<User> {
        let users = self
            .users()
            .into_iter()
            .filter(|user| user.status == UserStatus::Active);
        users
            .filter(|user| app.usage == Usage::UserManaged || user.role.is_admin())
            .collect()
    }

    /// Carries out the choice, and gives the URL to send the browser to.
    pub(crate) fn decide(
        &self,
        request: &AuthorizeRequest,
        user_id: &str,
        decision: Decision,
        declined_scopes: &[String],
    ) -> Result<Url, ControlError> {
        let mut back = request.redirect_uri.clone();
        match decision {
            Decision::Decline => {
                back.query_pairs_mut().append_pair("error", "access_denied");
            }
            Decision::Allow => {
                let user = self
                    .may_consent(&request.app)
                    .into_iter()
                    .find(|user| user.id == user_id);
                let user = user.ok_or(ControlError::UnknownUser)?;
                let code = self.issue_code(request, user.id, declined_scopes);
                back.query_pairs_mut().append_pair("code", &code);
            }
        }
        if let Some(state) = &request.state {
            back.query_pairs_mut().append_pair("state", state);
        }
        Ok(back)
    }

    fn issue_code(&self, request: &AuthorizeRequest, user_id: String, declined_scopes: &[String]) -> String {
        let text = format!(
            "{}_{}",
            random::short_id(self.rng()),
            random::short_id(self.rng())
        );
        let code = Code {
            client_id: request.app.client_id.clone(),
            user_id,
            redirect_uri: request.redirect_text.clone(),
            declined_scopes: declined_scopes.to_vec(),
            challenge: request.challenge.clone(),
            expires_at: self.now() + TimeDelta::minutes(CODE_MINUTES),
        };
        self.update(|state| state.codes.insert(text.clone(), code));
        text
    }
}

impl CodeChallenge {
    /// RFC 7636, section 4.6.
    pub(crate) fn is_met_by(&self, verifier: &str) -> bool {
        match self.method {
            ChallengeMethod::Plain => signing::same(&self.value, verifier),
            ChallengeMethod::S256 => signing::same(
                &self.value,
                &URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s256_agrees_with_rfc_7636_appendix_b() {
        let challenge = CodeChallenge {
            value: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
            method: ChallengeMethod::S256,
        };
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("another"));
    }

    #[test]
    fn plain_compares_the_text() {
        let challenge = CodeChallenge {
            value: "abc".into(),
            method: ChallengeMethod::Plain,
        };
        assert!(challenge.is_met_by("abc"));
        assert!(!challenge.is_met_by("abd"));
    }
}
