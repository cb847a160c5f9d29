//! Bots and who has them.

use domicile_kernel::Timestamp;

use crate::control::ControlError;
use crate::model::app::{App, NewSubscription, Usage};
use crate::model::chat::{BOT_EVENTS, Bot, NewBot, Welcome};
use crate::model::token::Grant;
use crate::model::webhook::WebhookDelivery;
use crate::random;
use crate::sim::Sim;
use crate::webhook::chat_payload::{BotOccasion, Times, speaker};
use crate::webhook::payload::Occasion;
use crate::webhook::publish::Manner;

impl Sim {
    /// Gives an app a bot, in place of one that it had, after the challenge of its endpoint.
    pub async fn set_bot(&self, client_id: &str, new: NewBot) -> Result<Bot, ControlError> {
        let app = self.app(client_id)?;
        let bot = self.checked_bot(&app, new).await?;
        self.update(|state| {
            let app = state.apps.get_mut(client_id).ok_or(ControlError::UnknownApp)?;
            app.bot = Some(bot.clone());
            Ok(bot)
        })
    }

    /// Takes an app's bot away.
    pub fn remove_bot(&self, client_id: &str) -> Result<(), ControlError> {
        self.update(|state| {
            let app = state.apps.get_mut(client_id).ok_or(ControlError::UnknownApp)?;
            app.bot.take().map(drop).ok_or(ControlError::UnknownBot)
        })
    }

    /// A user adds the bot, for herself or, where it is admin-managed, for her account: without a browser and without
    /// tokens of hers. Consent in a browser adds it too.
    pub async fn install_bot(
        &self,
        client_id: &str,
        user_id: &str,
    ) -> Result<Vec<WebhookDelivery>, ControlError> {
        let (app, user) = (self.app(client_id)?, self.user(user_id)?);
        if app.bot.is_none() {
            return Err(ControlError::UnknownBot);
        }
        if app.usage == Usage::AdminManaged && !user.role.is_admin() {
            let text = "only an owner or administrator adds an admin-managed bot";
            return Err(ControlError::Invalid(text.to_owned()));
        }
        let authorized_at = self.now();
        self.update(|state| {
            let mine = |grant: &Grant| grant.client_id == client_id && grant.user_id == user_id;
            if !state.grants.iter().any(mine) {
                state.grants.push(Grant {
                    client_id: client_id.to_owned(),
                    user_id: user_id.to_owned(),
                    account_id: user.account_id.clone(),
                    scopes: app.scopes.clone(),
                    authorized_at,
                });
            }
        });
        Ok(self.greet(client_id, user_id).await)
    }

    /// Tells the bot that somebody added it, where it is the bot that greets.
    pub(crate) async fn greet(&self, client_id: &str, user_id: &str) -> Vec<WebhookDelivery> {
        let (Ok(app), Ok(user)) = (self.app(client_id), self.user(user_id)) else {
            return Vec::new();
        };
        let Some(bot) = app.bot.filter(|bot| bot.welcome == Welcome::YourApp) else {
            return Vec::new();
        };
        self.tell_bot(BotOccasion {
            event: "bot_installed".to_owned(),
            client_id: app.client_id,
            user_id: user.id.clone(),
            top: serde_json::Map::new(),
            payload: speaker(&user, &bot),
            times: Times::PayloadOnly,
        })
        .await
    }

    pub(crate) async fn tell_bot(&self, occasion: BotOccasion) -> Vec<WebhookDelivery> {
        self.publish(Occasion::Bot(Box::new(occasion)), Manner::default())
            .await
    }

    /// The bot of an app that is not saved yet, or anew.
    pub(crate) async fn checked_bot(&self, app: &App, new: NewBot) -> Result<Bot, ControlError> {
        let command = new
            .slash_command
            .unwrap_or_else(|| app.name.to_lowercase().replace(' ', "-"));
        let of_subscription = || app.subscriptions.first().map(|it| it.secret_token.clone());
        let secret_token = new
            .secret_token
            .or_else(of_subscription)
            .unwrap_or_else(|| app.secret_token.clone());
        let robot_jid = new.robot_jid.unwrap_or_else(|| {
            let name = random::short_id(self.rng()).to_lowercase();
            format!("v1{name}@xmpp.zoom.us")
        });
        let taken = self.read(|state| {
            let others = state.apps.values().filter(|it| it.client_id != app.client_id);
            let mut bots = others.filter_map(|it| it.bot.as_ref());
            bots.find_map(|bot| {
                let jid = (bot.robot_jid == robot_jid).then_some("robot_jid");
                jid.or((bot.slash_command == command).then_some("slash_command"))
            })
        });
        if let Some(what) = taken {
            return Err(ControlError::Taken(what));
        }
        if command.is_empty() || command.contains(|it: char| it.is_whitespace() || it == '/') {
            let text = "a slash command is one word, without the slash";
            return Err(ControlError::Invalid(text.to_owned()));
        }
        let endpoint = NewSubscription {
            url: new.url,
            secret_token: Some(secret_token),
            events: BOT_EVENTS.iter().map(|name| (*name).to_owned()).collect(),
            validate: new.validate,
        };
        Ok(Bot {
            robot_jid,
            slash_command: command,
            endpoint: self.checked(endpoint).await?,
            welcome: new.welcome,
            newer_members: new.newer_members,
            callbacks: new.callbacks,
            hears_messages: new.hears_messages,
            unfurl_domains: new.unfurl_domains,
        })
    }

    /// What an uninstall ends beside tokens: the user's open callbacks.
    pub(crate) fn forget_callbacks(&self, client_id: &str, user_id: &str) {
        self.update(|state| {
            state
                .chat
                .callbacks
                .retain(|_, it| !(it.client_id == client_id && it.user_id == user_id));
        });
    }

    /// Forgets callbacks that ended more than a day ago.
    pub(crate) fn prune_callbacks(&self, now: Timestamp) {
        let horizon = now - chrono::TimeDelta::days(1);
        self.update(|state| {
            state
                .chat
                .callbacks
                .retain(|_, callback| callback.expires_at > horizon);
        });
    }
}
