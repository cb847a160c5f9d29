//! Apps and their event subscriptions.

use url::{Host, Url};

use crate::control::ControlError;
use crate::model::app::{App, EVENTS, NewApp, NewSubscription, Subscription, default_scopes};
use crate::model::token::{Ended, Grant};
use crate::random;
use crate::sim::Sim;
use crate::webhook::payload::Occasion;
use crate::webhook::publish::Manner;

impl Sim {
    /// Registers an app. Its subscriptions are challenged first; if one fails, nothing is saved.
    pub async fn create_app(&self, mut new: NewApp) -> Result<App, ControlError> {
        let subscriptions = std::mem::take(&mut new.subscriptions);
        let bot = new.bot.take();
        let mut app = self.draft_app(new)?;
        for subscription in subscriptions {
            let saved = self.checked(subscription).await?;
            app.subscriptions.push(saved);
        }
        if let Some(bot) = bot {
            app.bot = Some(self.checked_bot(&app, bot).await?);
        }
        if self.read(|state| state.apps.contains_key(&app.client_id)) {
            return Err(ControlError::Taken("client_id"));
        }
        Ok(self.save_app(app))
    }

    /// An app without subscriptions that is not saved yet.
    pub(crate) fn draft_app(&self, new: NewApp) -> Result<App, ControlError> {
        let rng = self.rng();
        let client_id = new.client_id.unwrap_or_else(|| random::short_id(rng));
        if self.read(|state| state.apps.contains_key(&client_id)) {
            return Err(ControlError::Taken("client_id"));
        }
        for uri in &new.redirect_uris {
            Url::parse(uri).map_err(|_| ControlError::Invalid("a redirect URI is not a URL".to_owned()))?;
        }
        Ok(App {
            client_secret: new.client_secret.unwrap_or_else(|| random::hex_text::<16>(rng)),
            name: new.name.unwrap_or_else(|| "Test app".to_owned()),
            usage: new.usage,
            redirect_uris: new.redirect_uris,
            scopes: if new.scopes.is_empty() {
                default_scopes(new.usage)
            } else {
                new.scopes
            },
            optional_scopes: new.optional_scopes,
            subscriptions: Vec::new(),
            app_id: new.app_id.unwrap_or_else(|| random::short_id(rng)),
            account_id: new.account_id,
            published: false,
            secret_token: new.secret_token.unwrap_or_else(|| random::short_id(rng)),
            manifest: None,
            bot: None,
            client_id,
        })
    }

    /// All apps.
    pub fn apps(&self) -> Vec<App> {
        self.read(|state| state.apps.values().cloned().collect())
    }

    /// One app.
    pub fn app(&self, client_id: &str) -> Result<App, ControlError> {
        self.read(|state| state.apps.get(client_id).cloned())
            .ok_or(ControlError::UnknownApp)
    }

    /// Removes an app with its subscriptions and grants; no event is sent.
    pub fn delete_app(&self, client_id: &str) -> Result<(), ControlError> {
        self.update(|state| {
            state.apps.remove(client_id).ok_or(ControlError::UnknownApp)?;
            state.grants.retain(|grant| grant.client_id != client_id);
            Ok(())
        })
    }

    /// Adds an event subscription, after the challenge unless the order says otherwise.
    pub async fn add_subscription(
        &self,
        client_id: &str,
        new: NewSubscription,
    ) -> Result<Subscription, ControlError> {
        self.app(client_id)?;
        let saved = self.checked(new).await?;
        self.update(|state| {
            let app = state.apps.get_mut(client_id).ok_or(ControlError::UnknownApp)?;
            app.subscriptions.push(saved.clone());
            Ok(saved)
        })
    }

    /// Challenges a saved subscription now; success enables a disabled one again.
    pub async fn validate_subscription(&self, id: &str) -> Result<Subscription, ControlError> {
        self.challenge_saved(id)
            .await
            .ok_or(ControlError::UnknownSubscription)??;
        let next = self.next_challenge(self.now());
        self.update(|state| {
            let it = state
                .subscription_mut(id)
                .ok_or(ControlError::UnknownSubscription)?;
            it.enabled = true;
            it.next_challenge_at = next;
            Ok(it.clone())
        })
    }

    /// Removes an event subscription.
    pub fn delete_subscription(&self, id: &str) -> Result<(), ControlError> {
        self.update(|state| {
            let app = state
                .apps
                .values_mut()
                .find(|app| app.subscriptions.iter().any(|it| it.id == id));
            app.ok_or(ControlError::UnknownSubscription)?
                .subscriptions
                .retain(|it| it.id != id);
            Ok(())
        })
    }

    /// The installs: who authorised what.
    pub fn grants(&self) -> Vec<Grant> {
        self.read(|state| state.grants.clone())
    }

    /// How many tokens of this user's still work or can be refreshed.
    pub fn live_tokens(&self, user_id: &str) -> usize {
        let now = self.now();
        self.read(|state| {
            let access = state.access_tokens.values().filter(|token| {
                token.user_id.as_deref() == Some(user_id) && token.ended.is_none() && token.expires_at > now
            });
            let refresh = state
                .refresh_tokens
                .values()
                .filter(|token| token.user_id == user_id && token.ended.is_none() && token.expires_at > now);
            access.count() + refresh.count()
        })
    }

    /// A user removes the app: her tokens end at once and `app_deauthorized` is sent to its subscriptions.
    pub async fn deauthorize(
        &self,
        client_id: &str,
        user_id: &str,
    ) -> Result<Vec<crate::WebhookDelivery>, ControlError> {
        let account_id = self.user(user_id)?.account_id;
        self.app(client_id)?;
        self.end_grant(client_id, user_id);
        self.forget_callbacks(client_id, user_id);
        let occasion = Occasion::Deauthorized {
            client_id: client_id.to_owned(),
            user_id: user_id.to_owned(),
            account_id,
            at: self.now(),
        };
        Ok(self.publish(occasion, Manner::default()).await)
    }

    /// Ends the install and every token of it.
    pub(crate) fn end_grant(&self, client_id: &str, user_id: &str) {
        self.update(|state| {
            state
                .grants
                .retain(|grant| !(grant.client_id == client_id && grant.user_id == user_id));
            state.end_tokens(client_id, user_id, Ended::Revoked);
        });
    }

    pub(crate) async fn checked(&self, new: NewSubscription) -> Result<Subscription, ControlError> {
        if !is_loopback(&new.url) {
            let text = "a subscription's URL must be http(s) on a loopback host";
            return Err(ControlError::Invalid(text.to_owned()));
        }
        let secret_token = new.secret_token.unwrap_or_else(|| random::short_id(self.rng()));
        if new.validate {
            self.challenge(&new.url, &secret_token).await?;
        }
        let events = if new.events.is_empty() {
            EVENTS.iter().map(|name| (*name).to_owned()).collect()
        } else {
            new.events
        };
        Ok(Subscription {
            id: random::short_id(self.rng()),
            url: new.url,
            secret_token,
            events,
            enabled: true,
            failed_challenges: 0,
            next_challenge_at: self.next_challenge(self.now()),
            owner_mails: Vec::new(),
        })
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}
