//! Consent without a browser.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::control::ControlError;
use crate::oauth::authorize::AuthorizeQuery;
use crate::sim::Sim;

/// What the user chose on the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Allow.
    Allow,
    /// Decline.
    Decline,
}

/// A consent to give or refuse as if in a browser.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentOrder {
    /// The whole URL of the authorize page, as the client built it.
    pub authorize_url: Url,
    /// Who consents.
    pub user_id: String,
    /// What she chooses.
    #[serde(default = "allow")]
    pub decision: Decision,
    /// The app's optional scopes that she leaves out.
    #[serde(default)]
    pub declined_scopes: Vec<String>,
}

fn allow() -> Decision {
    Decision::Allow
}

impl Sim {
    /// Gives the URL to which the browser would be redirected.
    pub fn consent(&self, order: &ConsentOrder) -> Result<Url, ControlError> {
        let query = order.authorize_url.query().unwrap_or_default();
        let query = actix_web::web::Query::<AuthorizeQuery>::from_query(query)
            .map_err(|_| ControlError::Invalid("that is no authorize URL".to_owned()))?
            .into_inner();
        let request = self
            .check_authorize(&query)
            .map_err(|refusal| ControlError::Invalid(refusal.to_string()))?;
        if let Some(scope) = order
            .declined_scopes
            .iter()
            .find(|scope| !request.app.optional_scopes.contains(scope))
        {
            return Err(ControlError::Invalid(format!(
                "{scope} is no optional scope of the app"
            )));
        }
        self.decide(&request, &order.user_id, order.decision, &order.declined_scopes)
    }
}
