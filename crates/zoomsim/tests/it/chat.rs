//! Team Chat: bots over real sockets.

use chrono::TimeDelta;
use domicile_zoomsim::{
    Act, App, Channel, ControlError, DeliveryState, FaultKind, NewApp, NewBot, NewChannel, NewFault, NewUser,
    Place, RetryAfterForm, Role, Say, Target, Usage, User, Welcome,
};
use serde_json::{Value, json};
use url::Url;

use crate::support::{Answer, SECRET, World, read, world};

pub struct Chat {
    pub world: World,
    pub app: App,
    pub user: User,
    pub channel: Channel,
    pub token: String,
}

fn endpoint() -> Url {
    Url::parse("http://127.0.0.1:9/zoom/bot").unwrap()
}

/// A bot that a user's account has, a channel with her in it, and the bot's token.
pub async fn chat() -> Chat {
    chat_with(Usage::AdminManaged, |bot| bot).await
}

pub async fn chat_with(usage: Usage, change: impl FnOnce(NewBot) -> NewBot) -> Chat {
    let world = world().await;
    let user = world
        .sim()
        .create_user(NewUser {
            id: Some("KdYKjnimT4KPd8KKdQt9FQ".into()),
            role: Role::Owner,
            ..NewUser::default()
        })
        .unwrap();
    let bot = NewBot {
        robot_jid: Some("v1abc@xmpp.zoom.us".into()),
        slash_command: Some("minutebook".into()),
        ..NewBot::new(endpoint(), SECRET)
    };
    let app = NewApp {
        name: Some("Minutebook".into()),
        usage,
        redirect_uris: vec![crate::support::REDIRECT.into()],
        bot: Some(change(bot)),
        ..NewApp::default()
    };
    let app = world.sim().create_app(app).await.unwrap();
    world.sim().install_bot(&app.client_id, &user.id).await.unwrap();
    let channel = world
        .sim()
        .create_channel(NewChannel {
            name: Some("Photos".into()),
            member_ids: vec![user.id.clone()],
            ..NewChannel::default()
        })
        .unwrap();
    let answer = world.token(&app, &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.json["scope"], "imchat:bot");
    let token = answer.json["access_token"].as_str().unwrap().to_owned();
    Chat {
        world,
        app,
        user,
        channel,
        token,
    }
}

impl Chat {
    pub fn message(&self, to_jid: &str, content: &Value) -> Value {
        json!({
            "robot_jid": "v1abc@xmpp.zoom.us", "to_jid": to_jid, "account_id": self.user.account_id,
            "user_jid": self.user_jid(), "content": content,
        })
    }

    pub fn user_jid(&self) -> String {
        format!("{}@xmpp.zoom.us", self.user.id.to_lowercase())
    }

    pub fn bot(&self) -> Place {
        Place::Bot(self.app.client_id.clone())
    }

    pub fn in_channel(&self) -> Place {
        Place::Channel(self.channel.id.clone())
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            self.world.url(&format!("v2/im/chat/{path}"))
        };
        let request = match method {
            "PUT" => self.world.http.put(url),
            "DELETE" => self.world.http.delete(url),
            _ => self.world.http.post(url),
        };
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        read(match body {
            Some(body) => request.send_json(body).await.unwrap(),
            None => request.send().await.unwrap(),
        })
        .await
    }

    pub async fn send(&self, to_jid: &str, content: &Value) -> Answer {
        let body = self.message(to_jid, content);
        self.call("POST", "messages", Some(&self.token), Some(&body))
            .await
    }

    pub async fn sent(&self, to_jid: &str, content: &Value) -> String {
        let answer = self.send(to_jid, content).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.json["message_id"].as_str().unwrap().to_owned()
    }

    /// The body of the last event.
    pub fn last(&self) -> Value {
        let got = self.world.receiver.events().pop().unwrap();
        assert!(got.is_signed(SECRET));
        got.json()
    }

    pub async fn acted(&self, message_id: &str, act: Act) -> Value {
        let told = self
            .world
            .sim()
            .act(&self.user.id, message_id, act)
            .await
            .unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].state, DeliveryState::Delivered);
        self.last()
    }
}

fn hello() -> Value {
    json!({ "head": { "text": "Hello" } })
}

#[actix_web::test]
async fn the_bots_endpoint_is_challenged_before_it_is_saved_and_later_too() {
    let chat = chat().await;
    assert_eq!(chat.world.receiver.challenges().len(), 1);
    let again = chat.app.bot.as_ref().unwrap().endpoint.id.clone();
    chat.world.sim().validate_subscription(&again).await.unwrap();
    chat.world.sim().advance(TimeDelta::hours(73)).await;
    assert_eq!(chat.world.receiver.challenges().len(), 3);
    chat.world.receiver.fail_challenges(true);
    let refused = chat
        .world
        .sim()
        .set_bot(&chat.app.client_id, NewBot::new(endpoint(), SECRET))
        .await;
    assert!(matches!(refused, Err(ControlError::Challenge(_))));
}

#[actix_web::test]
async fn only_a_bot_that_greets_itself_hears_of_an_install() {
    let chat = chat().await;
    let told = chat.last();
    assert_eq!(told["event"], "bot_installed");
    assert!(told.get("event_ts").is_none());
    assert_eq!(told["payload"]["userJid"], chat.user_jid());
    assert_eq!(told["payload"]["timestamp"], 1_795_341_600_000_i64);
    let quiet = chat_with(Usage::AdminManaged, |bot| NewBot {
        welcome: Welcome::Zoom,
        ..bot
    })
    .await;
    assert!(quiet.world.receiver.events().is_empty());
    let member = quiet.world.user();
    let member = quiet
        .world
        .sim()
        .create_user(NewUser {
            role: Role::Member,
            account_id: Some(member.account_id),
            ..NewUser::default()
        })
        .unwrap();
    let refused = quiet
        .world
        .sim()
        .install_bot(&quiet.app.client_id, &member.id)
        .await;
    assert!(matches!(refused, Err(ControlError::Invalid(_))), "admin-managed");
}

#[actix_web::test]
async fn consent_in_a_browser_adds_the_bot_too() {
    let chat = chat_with(Usage::UserManaged, |bot| bot).await;
    let other = chat.world.user();
    chat.world.install(&chat.app, &other).await;
    for _ in 0..1_000 {
        if chat.world.receiver.events().len() > 1 {
            break;
        }
        tokio::task::yield_now().await;
        chat.world.sim().run_due().await;
    }
    assert_eq!(chat.last()["payload"]["userId"], other.id);
}

#[actix_web::test]
async fn a_slash_command_and_the_text_of_a_one_to_one_are_notifications() {
    let chat = chat().await;
    let sim = chat.world.sim();
    let order = Say::new(
        &chat.user.id,
        chat.in_channel(),
        "/minutebook  recordings last week",
    );
    let said = sim.say(order).await.unwrap();
    assert!(said.message.is_none(), "nobody else sees a slash command");
    let payload = chat.last()["payload"].clone();
    assert_eq!(payload["cmd"], "recordings last week");
    assert_eq!(payload["toJid"], chat.channel.jid);
    assert_eq!(payload["channelName"], "Photos");
    assert_eq!(payload["name"], "Minutebook");

    sim.say(Say::new(&chat.user.id, chat.bot(), "help"))
        .await
        .unwrap();
    let told = chat.last();
    assert_eq!(told["event"], "bot_notification");
    assert!(told["event_ts"].is_i64());
    assert_eq!(
        (&told["payload"]["cmd"], &told["payload"]["toJid"]),
        (&json!("help"), &json!(chat.user_jid()))
    );
    assert_eq!(sim.chat_messages(&chat.bot(), Some(&chat.user.id)).len(), 1);

    let before = chat.world.receiver.events().len();
    sim.say(Say::new(&chat.user.id, chat.in_channel(), "/other help"))
        .await
        .unwrap();
    sim.say(Say::new(&chat.user.id, chat.in_channel(), "plain talk"))
        .await
        .unwrap();
    assert_eq!(chat.world.receiver.events().len(), before, "not the bot's");
}

#[actix_web::test]
async fn the_newer_members_come_where_they_are_wanted() {
    let chat = chat_with(Usage::UserManaged, |bot| NewBot {
        newer_members: true,
        ..bot
    })
    .await;
    let colleague = chat
        .world
        .sim()
        .create_user(NewUser {
            account_id: Some(chat.user.account_id.clone()),
            ..NewUser::default()
        })
        .unwrap();
    chat.world
        .sim()
        .add_members(&chat.channel.id, std::slice::from_ref(&colleague.id))
        .unwrap();
    for (user, status) in [(&chat.user, "authorized"), (&colleague, "unauthorized")] {
        let order = Say::new(&user.id, chat.in_channel(), "/minutebook status");
        chat.world.sim().say(order).await.unwrap();
        let payload = chat.last()["payload"].clone();
        assert_eq!(payload["userStatus"], status);
        assert!(payload["userMemberId"].is_string() && payload["triggerId"].is_string());
    }
    let refused = chat
        .world
        .sim()
        .say(Say::new(&colleague.id, chat.bot(), "hi"))
        .await;
    assert!(matches!(refused, Err(ControlError::Invalid(_))), "it is not hers");
}

#[actix_web::test]
async fn a_card_is_sent_edited_and_deleted() {
    let chat = chat().await;
    let answer = chat.send(&chat.channel.jid, &hello()).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_eq!(answer.header("x-ratelimit-category"), "Medium");
    assert!(answer.header("x-zm-trackingid").starts_with("WEB_"));
    assert_eq!(answer.json["sent_time"], "2026-11-22 10:00:00");
    assert_eq!(answer.json["to_jid"], chat.channel.jid);
    assert_eq!(answer.json["user_jid"], chat.user_jid());
    let id = answer.json["message_id"].as_str().unwrap();
    assert!(id.starts_with("20261122100000000_"), "{id}");

    let mut edit = chat.message("", &json!({ "head": { "text": "Bye" } }));
    edit.as_object_mut().unwrap().remove("to_jid");
    let path = format!("messages/{id}");
    let answer = chat.call("PUT", &path, Some(&chat.token), Some(&edit)).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(answer.json["sent_time"], "2026-11-22 10:00:00 +0000");
    assert_eq!(answer.json["to_jid"], chat.channel.jid);
    let stored = chat.world.sim().chat_messages(&chat.in_channel(), None).remove(0);
    assert_eq!(stored.content.unwrap()["head"]["text"], "Bye");
    assert_eq!(stored.edits, 1);

    let gone = format!(
        "{path}?account_id={}&robot_jid=v1abc%40xmpp.zoom.us",
        chat.user.account_id
    );
    assert_eq!(
        chat.call("DELETE", &path, Some(&chat.token), None).await.code(),
        7001
    );
    let answer = chat.call("DELETE", &gone, Some(&chat.token), None).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert!(
        chat.world
            .sim()
            .chat_messages(&chat.in_channel(), None)
            .is_empty()
    );
    for answer in [
        chat.call("DELETE", &gone, Some(&chat.token), None).await,
        chat.call("PUT", &path, Some(&chat.token), Some(&edit)).await,
    ] {
        assert_eq!((answer.status, answer.code()), (404, 8001));
        assert_eq!(answer.json["result"], false);
    }
}

#[actix_web::test]
async fn bad_messages_get_their_documented_errors() {
    let chat = chat().await;
    let good = chat.message(&chat.channel.jid, &hello());
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    for (body, status, code) in [
        (without("robot_jid"), 400, 7001),
        (without("to_jid"), 400, 7001),
        (without("account_id"), 400, 7001),
        (without("content"), 400, 7001),
        (with("content", json!("{}")), 400, 7001),
        (with("content", json!({})), 400, 7001),
        (
            with("content", json!({ "body": [{ "type": "message" }] })),
            400,
            7001,
        ),
        (with("is_markdown_support", json!("true")), 400, 7001),
        (with("reply_to", json!("no-such-message")), 400, 7001),
        (with("visible_to_user", json!("nobody")), 400, 7001),
        (with("robot_jid", json!("not a jid")), 404, 7002),
        (with("robot_jid", json!("v1other@xmpp.zoom.us")), 403, 7003),
        (with("account_id", json!("somewhere-else")), 403, 7004),
        (with("user_jid", json!("nobody@xmpp.zoom.us")), 403, 7004),
        (with("to_jid", json!("nobody@xmpp.zoom.us")), 403, 7004),
        (
            with("to_jid", json!("nothing@conference.xmpp.zoom.us")),
            403,
            7004,
        ),
    ] {
        let answer = chat
            .call("POST", "messages", Some(&chat.token), Some(&body))
            .await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}");
        assert_eq!(answer.json["result"], false);
        assert!(answer.json["message"].is_string());
    }
    for token in [None, Some("nonsense")] {
        let answer = chat.call("POST", "messages", token, Some(&good)).await;
        assert_eq!((answer.status, answer.code()), (401, 7010));
    }
    let user_token = chat.world.install(&chat.app, &chat.user).await;
    let token = user_token["access_token"].as_str();
    assert_eq!(
        chat.call("POST", "messages", token, Some(&good)).await.code(),
        7010
    );
    let no_user = without("user_jid");
    let answer = chat
        .call("POST", "messages", Some(&chat.token), Some(&no_user))
        .await;
    assert_eq!(answer.status, 201, "an admin-managed bot may leave it out");
    assert!(answer.json.get("user_jid").is_none());
    chat.world.clock.forward(TimeDelta::seconds(3_600));
    let answer = chat
        .call("POST", "messages", Some(&chat.token), Some(&good))
        .await;
    assert_eq!((answer.status, answer.code()), (401, 7010), "expired");
}

#[actix_web::test]
async fn a_user_managed_bot_says_on_whose_behalf_and_shows_nobody_alone() {
    let chat = chat_with(Usage::UserManaged, |bot| bot).await;
    let mut body = chat.message(&chat.channel.jid, &hello());
    body["visible_to_user"] = json!(chat.user.id);
    let answer = chat
        .call("POST", "messages", Some(&chat.token), Some(&body))
        .await;
    assert_eq!(answer.code(), 7001);
    let body = body.as_object_mut().unwrap();
    body.remove("visible_to_user");
    body.remove("user_jid");
    let answer = chat
        .call("POST", "messages", Some(&chat.token), Some(&json!(body)))
        .await;
    assert_eq!(answer.code(), 7001);
    let stranger = chat
        .world
        .sim()
        .create_user(NewUser {
            account_id: Some(chat.user.account_id.clone()),
            ..NewUser::default()
        })
        .unwrap();
    let jid = format!("{}@xmpp.zoom.us", stranger.id.to_lowercase());
    assert_eq!(chat.send(&jid, &hello()).await.code(), 7004, "she did not add it");
}

#[actix_web::test]
async fn a_message_may_be_for_one_alone_and_may_answer_another() {
    let chat = chat().await;
    let sim = chat.world.sim();
    let colleague = sim
        .create_user(NewUser {
            account_id: Some(chat.user.account_id.clone()),
            ..NewUser::default()
        })
        .unwrap();
    sim.add_members(&chat.channel.id, std::slice::from_ref(&colleague.id))
        .unwrap();
    let parent = chat.sent(&chat.channel.jid, &hello()).await;
    let mut body = chat.message(&chat.channel.jid, &hello());
    body["visible_to_user"] = json!(chat.user.id);
    body["reply_to"] = json!(parent);
    let answer = chat
        .call("POST", "messages", Some(&chat.token), Some(&body))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    let count = |user: &User| sim.chat_messages(&chat.in_channel(), Some(&user.id)).len();
    assert_eq!((count(&chat.user), count(&colleague)), (2, 1));
    let id = answer.json["message_id"].as_str().unwrap().to_owned();
    let click = Act::Click { value: "x".into() };
    let refused = sim.act(&colleague.id, &id, click).await;
    assert!(matches!(refused, Err(ControlError::UnknownMessage)));
}

#[actix_web::test]
async fn after_an_uninstall_nothing_can_be_written() {
    let chat = chat().await;
    let id = chat.sent(&chat.user_jid(), &hello()).await;
    let told = chat
        .world
        .sim()
        .deauthorize(&chat.app.client_id, &chat.user.id)
        .await
        .unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(chat.last()["event"], "app_deauthorized");
    assert_eq!(chat.last()["payload"]["account_id"], chat.user.account_id);
    let answer = chat.send(&chat.channel.jid, &hello()).await;
    assert_eq!((answer.status, answer.code()), (403, 7004));
    assert_eq!(answer.json["message"], "Not authorized.");
    let edit = chat.message("", &hello());
    let path = format!("messages/{id}");
    let answer = chat.call("PUT", &path, Some(&chat.token), Some(&edit)).await;
    assert_eq!((answer.status, answer.code()), (403, 7004));
}

#[actix_web::test]
async fn faults_strike_the_calls_of_bots_as_all_others() {
    let chat = chat().await;
    let sim = chat.world.sim();
    let order = |target, fault| {
        sim.order_fault(NewFault::once(target, fault)).unwrap();
    };
    order(
        Target::ChatSend,
        FaultKind::RateLimited {
            retry_after: RetryAfterForm::Seconds,
            seconds: 7,
        },
    );
    let answer = chat.send(&chat.channel.jid, &hello()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
    order(Target::ChatSend, FaultKind::Unauthorized);
    assert_eq!(chat.send(&chat.channel.jid, &hello()).await.code(), 7010);
    order(Target::ChatSend, FaultKind::ServerError { status: 503 });
    assert_eq!(chat.send(&chat.channel.jid, &hello()).await.status, 503);
    assert!(sim.chat_messages(&chat.in_channel(), None).is_empty());

    order(Target::ChatSend, FaultKind::LostAnswer);
    let body = chat.message(&chat.channel.jid, &hello());
    let url = chat.world.url("v2/im/chat/messages");
    let lost = chat
        .world
        .http
        .post(url)
        .bearer_auth(&chat.token)
        .send_json(&body)
        .await;
    assert!(lost.is_err(), "the connection broke");
    let id = sim.chat_messages(&chat.in_channel(), None).remove(0).id;

    order(Target::ChatChange, FaultKind::NotFound);
    let path = format!("messages/{id}");
    assert_eq!(
        chat.call("PUT", &path, Some(&chat.token), Some(&body))
            .await
            .code(),
        8001
    );
    assert_eq!(
        chat.call("PUT", &path, Some(&chat.token), Some(&body))
            .await
            .status,
        200
    );
}

#[actix_web::test]
async fn a_callback_answers_once_within_its_time() {
    let chat = chat().await;
    let card = json!({ "body": [{ "type": "actions", "items": [{ "text": "Add", "value": "add" }] }] });
    let id = chat.sent(&chat.user_jid(), &card).await;
    let click = || Act::Click { value: "add".into() };
    let told = chat.acted(&id, click()).await;
    let (url, token) = (&told["callback_url"], &told["callback_token"]);
    let (url, token) = (url.as_str().unwrap(), token.as_str().unwrap());
    assert_eq!(token.split('.').count(), 3);
    let jid = told["payload"]["toJid"].as_str().unwrap();
    assert_eq!(jid, format!("{}/robot_v1abc@xmpp.zoom.us", chat.user_jid()));
    let body = json!({ "content": hello() });
    assert_eq!(chat.call("POST", url, None, Some(&body)).await.code(), 7010);
    let other = Some(chat.token.as_str());
    assert_eq!(chat.call("POST", url, other, Some(&body)).await.code(), 7010);
    let bad = json!({ "content": {} });
    assert_eq!(chat.call("POST", url, Some(token), Some(&bad)).await.code(), 7001);
    let answer = chat.call("POST", url, Some(token), Some(&body)).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_eq!(
        chat.call("POST", url, Some(token), Some(&body)).await.code(),
        7010
    );
    assert_eq!(chat.world.sim().chat_messages(&chat.bot(), None).len(), 2);

    let told = chat.acted(&id, click()).await;
    chat.world.clock.forward(TimeDelta::minutes(31));
    let (url, token) = (told["callback_url"].as_str(), told["callback_token"].as_str());
    let answer = chat.call("POST", url.unwrap(), token, Some(&body)).await;
    assert_eq!((answer.status, answer.code()), (401, 7010), "too late");
    let later = chat.send(jid, &hello()).await;
    assert_eq!(later.status, 201, "the chatbot token still answers there");
}

#[actix_web::test]
async fn a_link_is_shared_and_its_preview_shown() {
    let chat = chat_with(Usage::AdminManaged, |bot| NewBot {
        unfurl_domains: vec!["minutebook.example".into()],
        ..bot
    })
    .await;
    let sim = chat.world.sim();
    let text = "see https://www.minutebook.example/r/1 and https://other.example/";
    let said = sim
        .say(Say::new(&chat.user.id, chat.in_channel(), text))
        .await
        .unwrap();
    assert_eq!(said.deliveries.len(), 1, "the other host is not the bot's");
    let told = chat.last();
    let object = &told["payload"]["object"];
    assert_eq!(object["link"], "https://www.minutebook.example/r/1");
    let trigger = object["trigger_id"].as_str().unwrap();
    let path = format!("users/{}/unfurls/{trigger}", chat.user.id);
    assert_eq!(
        told["response_url"],
        chat.world.url(&format!("v2/im/chat/{path}"))
    );
    let token = Some(chat.token.as_str());
    let object_body = json!({ "content": hello() });
    assert_eq!(
        chat.call("POST", &path, token, Some(&object_body)).await.code(),
        7001
    );
    let body = json!({ "content": hello().to_string() });
    let elsewhere = format!("users/somebody/unfurls/{trigger}");
    for wrong in [elsewhere, format!("users/{}/unfurls/no-such", chat.user.id)] {
        let answer = chat.call("POST", &wrong, token, Some(&body)).await;
        assert_eq!((answer.status, answer.code()), (404, 8002), "{wrong}");
    }
    assert_eq!(chat.call("POST", &path, None, Some(&body)).await.code(), 7010);
    assert_eq!(chat.call("POST", &path, token, Some(&body)).await.status, 204);
    let message = sim.chat_messages(&chat.in_channel(), None).remove(0);
    assert_eq!(message.unfurls[0].content, Some(hello()));
}

#[actix_web::test]
async fn bots_that_listen_hear_plain_messages_and_mentions_are_heard_by_all() {
    let chat = chat_with(Usage::AdminManaged, |bot| NewBot {
        hears_messages: true,
        ..bot
    })
    .await;
    let sim = chat.world.sim();
    let external = chat.world.user();
    sim.add_members(&chat.channel.id, std::slice::from_ref(&external.id))
        .unwrap();
    sim.say(Say::new(&chat.user.id, chat.in_channel(), "good morning"))
        .await
        .unwrap();
    let told = chat.last();
    assert_eq!(told["event"], "team_chat.channel_message_posted");
    assert_eq!(told["payload"]["object"]["message"], "good morning");
    assert_eq!(
        told["payload"]["object"]["channel_owner_account_id"],
        chat.user.account_id
    );
    let to = Place::User(external.id.clone());
    sim.say(Say::new(&chat.user.id, to, "between us")).await.unwrap();
    let told = chat.last();
    assert_eq!(told["event"], "team_chat.dm_message_posted");
    assert_eq!(told["payload"]["object"]["contact_email"], external.email);
    let said = sim
        .mention(
            &chat.app.client_id,
            &external.id,
            &chat.channel.id,
            "are you there?",
        )
        .await
        .unwrap();
    let told: Value = serde_json::from_str(&said.deliveries[0].body).unwrap();
    assert_eq!(told["event"], "team_chat.app_mention");
    assert_eq!(told["payload"]["by_external_user"], true);
    assert_eq!(told["payload"]["operator_id"], "", "of another account");
}
