//! A bot in a region, and what people do with it.

use domicile_testkit::app::ReceivedEvent;
use domicile_zoomsim::{
    Act, Author, ChatMessage, NewApp, NewBot, NewChannel, NewUser, Place, Role, Say, Usage, User,
};
use serde_json::{Value, json};

use super::eventually;
use super::world::World;

pub const BOT_CLIENT_ID: &str = "bot-of-eu";
pub const BOT_CLIENT_SECRET: &str = "the-bots-client-secret";
pub const BOT_SECRET: &str = "the-bots-secret-token";
pub const ROBOT_JID: &str = "v1euteststhebotofeu@xmpp.zoom.us";
pub const COMMAND: &str = "/minutebook";

/// A region with a bot of its own Marketplace app, an administrator and her colleague in one channel.
pub struct Chat {
    pub world: World,
    pub admin: User,
    pub user: User,
    pub channel: String,
}

impl Chat {
    /// Everything registered; the bot is not installed yet.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("DOMICILE_BOT_ROBOT_JID", ROBOT_JID),
            ("DOMICILE_BOT_CLIENT_ID", BOT_CLIENT_ID),
            ("DOMICILE_BOT_CLIENT_SECRET", BOT_CLIENT_SECRET),
            ("DOMICILE_BOT_WEBHOOK_SECRETS", BOT_SECRET),
        ];
        all.extend_from_slice(settings);
        let world = World::start_with(&all).await;
        let sim = world.zoom.sim();
        let app = NewApp {
            name: Some("Minute Book".to_owned()),
            client_id: Some(BOT_CLIENT_ID.to_owned()),
            client_secret: Some(BOT_CLIENT_SECRET.to_owned()),
            usage: Usage::AdminManaged,
            redirect_uris: vec![world.public_url.join("/oauth/callback").unwrap().to_string()],
            ..NewApp::default()
        };
        sim.create_app(app).await.unwrap();
        let bot = NewBot {
            robot_jid: Some(ROBOT_JID.to_owned()),
            slash_command: Some("minutebook".to_owned()),
            unfurl_domains: vec!["app.example.com".to_owned()],
            ..NewBot::new(world.public_url.join("/zoom/bot").unwrap(), BOT_SECRET)
        };
        sim.set_bot(BOT_CLIENT_ID, bot).await.unwrap();
        let new = |role| NewUser {
            account_id: Some("account-of-the-bank".to_owned()),
            role,
            ..NewUser::default()
        };
        let admin = sim.create_user(new(Role::Admin)).unwrap();
        let user = sim.create_user(new(Role::Member)).unwrap();
        let channel = sim.create_channel(NewChannel {
            name: Some("Treasury".to_owned()),
            member_ids: vec![admin.id.clone(), user.id.clone()],
            ..NewChannel::default()
        });
        Self {
            channel: channel.unwrap().id,
            world,
            admin,
            user,
        }
    }

    /// The same with the bot installed by the administrator.
    pub async fn installed(settings: &[(&str, &str)]) -> Self {
        let chat = Self::start(settings).await;
        chat.install().await;
        chat
    }

    pub async fn install(&self) {
        self.world
            .zoom
            .sim()
            .install_bot(BOT_CLIENT_ID, &self.admin.id)
            .await
            .unwrap();
    }

    pub fn in_channel(&self) -> Place {
        Place::Channel(self.channel.clone())
    }

    /// A slash command of the user's.
    pub async fn command(&self, to: Place, text: &str) {
        self.say(to, &format!("{COMMAND} {text}")).await;
    }

    pub async fn say(&self, to: Place, text: &str) {
        let said = self
            .world
            .zoom
            .sim()
            .say(Say::new(&self.user.id, to, text))
            .await
            .unwrap();
        assert!(!said.deliveries.is_empty(), "the bot was told nothing");
    }

    pub async fn act(&self, message: &ChatMessage, act: Act) {
        self.world
            .zoom
            .sim()
            .act(&self.user.id, &message.id, act)
            .await
            .unwrap();
    }

    /// The bot's cards that this user sees there.
    pub fn cards_of(&self, user: &User, place: &Place) -> Vec<ChatMessage> {
        let messages = self.world.zoom.sim().chat_messages(place, Some(&user.id));
        let by_bot = |message: &ChatMessage| matches!(message.author, Author::Bot(_));
        messages.into_iter().filter(by_bot).collect()
    }

    /// Waits until the user sees so many cards of the bot's there, and gives the last.
    pub async fn card(&self, place: &Place, count: usize) -> ChatMessage {
        eventually(&format!("card {count} in {place:?}"), async || {
            let cards = self.cards_of(&self.user, place);
            assert!(cards.len() <= count, "too many cards: {:?}", texts(&cards));
            (cards.len() == count).then(|| cards.last().cloned()).flatten()
        })
        .await
    }

    /// Waits until this message says something.
    pub async fn edited(&self, place: &Place, id: &str, text: &str) -> ChatMessage {
        eventually(&format!("{text} in a message"), async || {
            let message = self
                .cards_of(&self.user, place)
                .into_iter()
                .find(|message| message.id == id)?;
            all_text(&message).contains(text).then_some(message)
        })
        .await
    }

    /// The data of the last event of this type.
    pub async fn told(&self, event_type: &str) -> Value {
        let events = self.world.told(event_type).await;
        let of_type = events.iter().rev().find(|event| event.event_type() == event_type);
        of_type.map(ReceivedEvent::event).unwrap_or_default()
    }
}

/// The user's own conversation with the bot.
pub fn alone() -> Place {
    Place::Bot(BOT_CLIENT_ID.to_owned())
}

/// The whole card as text.
pub fn all_text(message: &ChatMessage) -> String {
    json!(message.content).to_string()
}

fn texts(messages: &[ChatMessage]) -> Vec<String> {
    messages.iter().map(all_text).collect()
}
