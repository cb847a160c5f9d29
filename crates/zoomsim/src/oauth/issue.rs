//! Making and ending tokens (platform: token response, lifetimes).

use chrono::TimeDelta;
use domicile_kernel::Timestamp;
use serde::Serialize;

use crate::model::app::App;
use crate::model::token::{AccessToken, Ended, Grant, RefreshToken, TokenClaims};
use crate::model::user::User;
use crate::random;
use crate::signing;
use crate::sim::Sim;
use crate::state::State;

/// Life of an access token. Zoom's answers say 3599 or 3600.
const ACCESS_SECONDS: i64 = 3_600;
const REFRESH_DAYS: i64 = 90;

/// The answer of the token endpoint.
#[derive(Serialize)]
pub(crate) struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    expires_in: i64,
    scope: String,
    api_url: String,
}

#[derive(Clone, Copy)]
enum TokenKind {
    Access = 0,
    Refresh = 1,
    App = 3,
}

impl State {
    /// Ends every token of this user for this app.
    pub(crate) fn end_tokens(&mut self, client_id: &str, user_id: &str, why: Ended) {
        let access = self.access_tokens.values_mut();
        let access = access.filter(|it| it.client_id == client_id && it.user_id.as_deref() == Some(user_id));
        access.for_each(|it| it.ended = it.ended.or(Some(why)));
        let refresh = self.refresh_tokens.values_mut();
        let refresh = refresh.filter(|it| it.client_id == client_id && it.user_id == user_id);
        refresh.for_each(|it| it.ended = it.ended.or(Some(why)));
    }

    /// Forgets tokens that expired more than a day ago.
    fn prune(&mut self, now: Timestamp) {
        let horizon = now - TimeDelta::days(1);
        self.codes.retain(|_, code| code.expires_at > horizon);
        self.access_tokens.retain(|_, token| token.expires_at > horizon);
        self.refresh_tokens.retain(|_, token| token.expires_at > horizon);
    }
}

impl Sim {
    /// Records the install and issues its first pair; the same user's earlier tokens end (code 4741).
    pub(crate) fn authorize(
        &self,
        state: &mut State,
        app: &App,
        user: &User,
        declined_scopes: &[String],
    ) -> TokenAnswer {
        let scopes = app.granted(declined_scopes);
        state.end_tokens(&app.client_id, &user.id, Ended::Revoked);
        state
            .grants
            .retain(|it| !(it.client_id == app.client_id && it.user_id == user.id));
        state.grants.push(Grant {
            client_id: app.client_id.clone(),
            user_id: user.id.clone(),
            account_id: user.account_id.clone(),
            scopes: scopes.clone(),
            authorized_at: self.now(),
        });
        self.issue_pair(state, app, user, &scopes)
    }

    /// Issues an access and a refresh token. Earlier access tokens live on until they expire.
    pub(crate) fn issue_pair(
        &self,
        state: &mut State,
        app: &App,
        user: &User,
        scopes: &[String],
    ) -> TokenAnswer {
        let now = self.now();
        state.prune(now);
        let expires_at = now + TimeDelta::seconds(ACCESS_SECONDS);
        let access = self.token_text(state, app, Some(user), TokenKind::Access, expires_at);
        let refresh_until = now + TimeDelta::days(REFRESH_DAYS);
        let refresh = self.token_text(state, app, Some(user), TokenKind::Refresh, refresh_until);
        state.access_tokens.insert(
            access.clone(),
            AccessToken {
                client_id: app.client_id.clone(),
                account_id: Some(user.account_id.clone()),
                user_id: Some(user.id.clone()),
                usage: app.usage,
                scopes: scopes.to_vec(),
                expires_at,
                ended: None,
            },
        );
        state.refresh_tokens.insert(
            refresh.clone(),
            RefreshToken {
                client_id: app.client_id.clone(),
                user_id: user.id.clone(),
                scopes: scopes.to_vec(),
                expires_at: refresh_until,
                ended: None,
            },
        );
        TokenAnswer {
            access_token: access,
            token_type: "bearer",
            refresh_token: Some(refresh),
            expires_in: ACCESS_SECONDS,
            scope: scopes.join(" "),
            api_url: user
                .api_url
                .clone()
                .unwrap_or_else(|| self.0.urls.base_text().to_owned()),
        }
    }

    /// The app's own token (client credentials): the bot and `marketplace:*`, no refresh token.
    pub(crate) fn issue_app_token(&self, state: &mut State, app: &App) -> TokenAnswer {
        let now = self.now();
        state.prune(now);
        let expires_at = now + TimeDelta::seconds(ACCESS_SECONDS);
        let access = self.token_text(state, app, None, TokenKind::App, expires_at);
        let of_app = |scope: &&String| *scope == "imchat:bot" || scope.starts_with("marketplace:");
        let scopes: Vec<String> = app.scopes.iter().filter(of_app).cloned().collect();
        let scope = scopes.join(" ");
        state.access_tokens.insert(
            access.clone(),
            AccessToken {
                client_id: app.client_id.clone(),
                account_id: None,
                user_id: None,
                usage: app.usage,
                scopes,
                expires_at,
                ended: None,
            },
        );
        TokenAnswer {
            access_token: access,
            token_type: "bearer",
            refresh_token: None,
            expires_in: ACCESS_SECONDS,
            scope,
            api_url: self.0.urls.base_text().to_owned(),
        }
    }

    fn token_text(
        &self,
        state: &State,
        app: &App,
        user: Option<&User>,
        kind: TokenKind,
        expires_at: Timestamp,
    ) -> String {
        let now = self.now().timestamp();
        let claims = TokenClaims {
            ver: 9,
            auid: random::hex_text::<16>(self.rng()),
            code: format!("{}{}", random::short_id(self.rng()), random::short_id(self.rng())),
            iss: format!("zm:cid:{}", app.client_id),
            gno: 0,
            kind: kind as u8,
            tid: 0,
            aud: "https://oauth.zoom.us".to_owned(),
            uid: user.map(|it| it.id.clone()).unwrap_or_default(),
            nbf: now,
            exp: expires_at.timestamp(),
            iat: now,
            aid: user.map_or_else(|| random::short_id(self.rng()), |it| it.account_id.clone()),
        };
        signing::jwt(state.key(), &random::uuid_text(self.rng()), &claims)
    }
}
