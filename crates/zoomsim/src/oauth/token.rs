//! The token and revocation endpoints (platform: token request, races, errors).

use std::collections::HashMap;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::faults;
use crate::model::app::App;
use crate::model::fault::{About, Target};
use crate::model::token::Ended;
use crate::model::user::{User, UserStatus};
use crate::oauth::client::TokenError;
use crate::oauth::issue::TokenAnswer;
use crate::sim::Sim;
use crate::state::State;

type Fields = HashMap<String, String>;

/// Parameters that must not travel in the URL.
const BODY_ONLY: [&str; 4] = ["refresh_token", "access_token", "code_verifier", "token"];

/// `POST /oauth/token`.
pub(crate) async fn token(
    sim: web::Data<Sim>,
    request: HttpRequest,
    query: web::Query<Fields>,
    form: Option<web::Form<Fields>>,
) -> HttpResponse {
    let app = match sim.authenticate_client(request.headers()) {
        Ok(app) => app,
        Err(error) => return error.response(),
    };
    if BODY_ONLY.iter().any(|name| query.contains_key(*name)) {
        return TokenError::TOKEN_IN_QUERY.response();
    }
    let mut fields = query.into_inner();
    fields.extend(form.map(web::Form::into_inner).unwrap_or_default());
    let user_id = sim.read(|state| owner(state, &fields));
    let about = About {
        client_id: Some(&app.client_id),
        user_id: user_id.as_deref(),
        ..About::default()
    };
    faults::around(&sim, &request, Target::Token, &about, async || {
        match sim.grant(&app, &fields) {
            Ok(answer) => {
                greet(&sim, &app, &fields, user_id.as_deref());
                HttpResponse::Ok()
                    .insert_header((CACHE_CONTROL, "no-store"))
                    .json(answer)
            }
            Err(error) => error.response(),
        }
    })
    .await
}

/// `POST /oauth/revoke`: ends the token and, as it is the install's, all tokens of that user for that app.
pub(crate) async fn revoke(
    sim: web::Data<Sim>,
    request: HttpRequest,
    form: Option<web::Form<Fields>>,
) -> HttpResponse {
    let app = match sim.authenticate_client(request.headers()) {
        Ok(app) => app,
        Err(error) => return error.response(),
    };
    let token = form
        .and_then(|form| form.get("token").cloned())
        .unwrap_or_default();
    let user_id = sim.read(|state| {
        let access = state
            .access_tokens
            .get(&token)
            .filter(|it| it.client_id == app.client_id);
        let refresh = state
            .refresh_tokens
            .get(&token)
            .filter(|it| it.client_id == app.client_id);
        access
            .and_then(|it| it.user_id.clone())
            .or_else(|| refresh.map(|it| it.user_id.clone()))
    });
    let about = About {
        client_id: Some(&app.client_id),
        user_id: user_id.as_deref(),
        ..About::default()
    };
    faults::around(&sim, &request, Target::Revoke, &about, async || {
        let Some(user_id) = &user_id else {
            return TokenError::DEAD_TOKEN.response();
        };
        sim.update(|state| state.end_tokens(&app.client_id, user_id, Ended::Revoked));
        HttpResponse::Ok().json(serde_json::json!({ "status": "success" }))
    })
    .await
}

/// A bot hears of everybody who added it. The client does not wait for that.
fn greet(sim: &Sim, app: &App, fields: &Fields, user_id: Option<&str>) {
    let is_install = fields.get("grant_type").map(String::as_str) == Some("authorization_code");
    let Some(user_id) = user_id.filter(|_| is_install && app.bot.is_some()) else {
        return;
    };
    let (later, client_id, user_id) = (sim.clone(), app.client_id.clone(), user_id.to_owned());
    sim.0.runtime.spawn(async move {
        later.greet(&client_id, &user_id).await;
    });
}

/// Whose code or refresh token this is, without using it up.
fn owner(state: &State, fields: &Fields) -> Option<String> {
    let code = fields
        .get("code")
        .and_then(|code| state.codes.get(code))
        .map(|code| code.user_id.clone());
    let refresh = fields
        .get("refresh_token")
        .and_then(|token| state.refresh_tokens.get(token));
    code.or_else(|| refresh.map(|token| token.user_id.clone()))
}

impl Sim {
    fn grant(&self, app: &App, fields: &Fields) -> Result<TokenAnswer, TokenError> {
        match fields.get("grant_type").map(String::as_str) {
            Some("authorization_code") => self.update(|state| self.redeem(state, app, fields)),
            Some("refresh_token") => self.update(|state| self.refresh(state, app, fields)),
            Some("client_credentials") => Ok(self.update(|state| self.issue_app_token(state, app))),
            Some(_) => Err(TokenError::GRANT_TYPE),
            None => Err(TokenError::NO_GRANT_TYPE),
        }
    }

    /// RFC 6749, section 4.1.3, and RFC 7636, section 4.6. A code is used up by the first try of its own client.
    fn redeem(&self, state: &mut State, app: &App, fields: &Fields) -> Result<TokenAnswer, TokenError> {
        let text = fields.get("code").map(String::as_str).unwrap_or_default();
        if state
            .codes
            .get(text)
            .is_none_or(|code| code.client_id != app.client_id)
        {
            return Err(TokenError::BAD_CODE);
        }
        let code = state.codes.remove(text).ok_or(TokenError::BAD_CODE)?;
        if code.expires_at <= self.now() {
            return Err(TokenError::OLD_CODE);
        }
        if fields.get("redirect_uri") != Some(&code.redirect_uri) {
            return Err(TokenError::REDIRECT);
        }
        let verifier = fields
            .get("code_verifier")
            .map(String::as_str)
            .unwrap_or_default();
        if code
            .challenge
            .is_some_and(|challenge| !challenge.is_met_by(verifier))
        {
            return Err(TokenError::VERIFIER);
        }
        let user = active(state, &code.user_id)?;
        Ok(self.authorize(state, app, &user, &code.declined_scopes))
    }

    /// Rotation without grace: the old refresh token is dead the moment the new one exists.
    fn refresh(&self, state: &mut State, app: &App, fields: &Fields) -> Result<TokenAnswer, TokenError> {
        let text = fields
            .get("refresh_token")
            .map(String::as_str)
            .unwrap_or_default();
        let now = self.now();
        let token = state
            .refresh_tokens
            .get_mut(text)
            .filter(|token| token.client_id == app.client_id);
        let token = token.ok_or(TokenError::DEAD_TOKEN)?;
        match token.ended {
            Some(Ended::Revoked) => return Err(TokenError::REVOKED),
            Some(Ended::Rotated) => return Err(TokenError::DEAD_TOKEN),
            None if token.expires_at <= now => return Err(TokenError::DEAD_TOKEN),
            None => {}
        }
        let (user_id, scopes) = (token.user_id.clone(), token.scopes.clone());
        let user = active(state, &user_id)?;
        if let Some(token) = state.refresh_tokens.get_mut(text) {
            token.ended = Some(Ended::Rotated);
        }
        Ok(self.issue_pair(state, app, &user, &scopes))
    }
}

fn active(state: &State, user_id: &str) -> Result<User, TokenError> {
    let user = state
        .users
        .get(user_id)
        .filter(|user| user.status == UserStatus::Active);
    user.cloned().ok_or(TokenError::NO_USER)
}
