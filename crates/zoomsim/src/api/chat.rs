//! The calls of bots: messages, edits, deletions, unfurls and callbacks (Chatbot specification).

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::call::{Category, bearer};
use super::chat_body::{CallbackBody, DeleteQuery, EditBody, SendBody, UnfurlBody, check_content, read};
use super::chat_error::ChatError;
use crate::api::decoded;
use crate::faults;
use crate::model::app::{App, Usage};
use crate::model::chat::{Author, ChatMessage, Conversation, user_jid};
use crate::model::fault::{About, Target};
use crate::model::user::UserStatus;
use crate::random;
use crate::signing;
use crate::sim::Sim;
use crate::state::State;

type Done = Result<HttpResponse, ChatError>;

/// `POST /im/chat/messages`.
pub(crate) async fn send(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> HttpResponse {
    let account_id = text_of(&bytes, "account_id");
    sim.bot_call(&request, Target::ChatSend, &account_id, &bytes, async |app| {
        let body: SendBody = read(&bytes)?;
        let message = sim.send_card(app, &body)?;
        Ok(sent(
            StatusCode::CREATED,
            &message,
            &body.robot_jid,
            &body.to_jid,
            "",
        ))
    })
    .await
}

/// `PUT /im/chat/messages/{id}`.
pub(crate) async fn edit(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> HttpResponse {
    let account_id = text_of(&bytes, "account_id");
    let id = segment(&request, "message");
    sim.bot_call(&request, Target::ChatChange, &account_id, &bytes, async |app| {
        let body: EditBody = read(&bytes)?;
        check_content(&body.content)?;
        let now = sim.now();
        sim.update(|state| {
            of_bot(app, &body.robot_jid)?;
            may_write(state, app, &body.account_id, body.user_jid.as_deref())?;
            let to_jid = own_message(state, app, &id)?;
            let message = state.chat.message_mut(&id).ok_or(ChatError::NO_MESSAGE)?;
            message.content = Some(Value::Object(body.content));
            message.edited_at = Some(now);
            message.edits += 1;
            if let Some(markdown) = body.is_markdown_support {
                message.is_markdown_support = markdown;
            }
            let mut message = message.clone();
            message.sent_at = now;
            message.user_jid = body.user_jid;
            Ok(sent(StatusCode::OK, &message, &body.robot_jid, &to_jid, " +0000"))
        })
    })
    .await
}

/// `DELETE /im/chat/messages/{id}`.
pub(crate) async fn delete(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    let id = segment(&request, "message");
    let query = web::Query::<DeleteQuery>::from_query(request.query_string()).map(web::Query::into_inner);
    let account_id = query
        .as_ref()
        .map(|query| query.account_id.clone())
        .unwrap_or_default();
    sim.bot_call(&request, Target::ChatChange, &account_id, b"", async |app| {
        let query = query.map_err(|_| ChatError::BAD_BODY)?;
        let now = sim.now();
        sim.update(|state| {
            of_bot(app, &query.robot_jid)?;
            may_write(state, app, &query.account_id, query.user_jid.as_deref())?;
            let to_jid = own_message(state, app, &id)?;
            let mut message = state.chat.message(&id).cloned().ok_or(ChatError::NO_MESSAGE)?;
            state.chat.messages.retain(|it| it.id != id);
            message.sent_at = now;
            message.user_jid = query.user_jid;
            Ok(sent(
                StatusCode::OK,
                &message,
                &query.robot_jid,
                &to_jid,
                " +0000",
            ))
        })
    })
    .await
}

/// `POST /im/chat/users/{user}/unfurls/{trigger}`.
pub(crate) async fn unfurl(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> HttpResponse {
    let (user_id, trigger_id) = (segment(&request, "user"), segment(&request, "trigger"));
    let account_id = sim.user(&user_id).map(|user| user.account_id).unwrap_or_default();
    sim.bot_call(&request, Target::ChatUnfurl, &account_id, &bytes, async |app| {
        let body: UnfurlBody = read(&bytes)?;
        let content: Map<String, Value> = read(body.content.as_bytes())?;
        check_content(&content)?;
        sim.update(|state| {
            let messages = state.chat.messages.iter_mut();
            let mut mine = messages.filter(|it| it.author == Author::User(user_id.clone()));
            let unfurl = mine.find_map(|message| {
                message
                    .unfurls
                    .iter_mut()
                    .find(|it| it.trigger_id == trigger_id && it.client_id == app.client_id)
            });
            unfurl.ok_or(ChatError::NO_UNFURL)?.content = Some(Value::Object(content));
            Ok(HttpResponse::NoContent().finish())
        })
    })
    .await
}

/// `POST /im/chat/callback/{id}`: one answer, within 30 minutes, by the token of the event.
pub(crate) async fn callback(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> HttpResponse {
    let id = segment(&request, "callback");
    let token = bearer(request.headers()).map(str::to_owned);
    let known = sim.read(|state| state.chat.callbacks.get(&id).cloned());
    let app = known
        .as_ref()
        .and_then(|callback| sim.app(&callback.client_id).ok());
    let (Some(callback), Some(app)) = (known, app) else {
        return ChatError::INVALID_TOKEN.response();
    };
    let about = About {
        client_id: Some(&app.client_id),
        user_id: Some(&callback.user_id),
        ..About::default()
    };
    let answer = faults::around(&sim, &request, Target::ChatCallback, &about, async || {
        let done = || -> Done {
            let body: CallbackBody = match (&token, read(&bytes)) {
                (None, _) => return Err(ChatError::NO_HEADER),
                (Some(token), _) if !signing::same(token, &callback.token) => {
                    return Err(ChatError::INVALID_TOKEN);
                }
                (_, body) => body?,
            };
            let robot_jid = app.bot.as_ref().map(|bot| bot.robot_jid.clone());
            let robot_jid = robot_jid.ok_or(ChatError::NO_BOT)?;
            let user = sim
                .user(&callback.user_id)
                .map_err(|_| ChatError::INVALID_TOKEN)?;
            let order = SendBody {
                robot_jid: robot_jid.clone(),
                to_jid: callback.to_jid.clone(),
                account_id: user.account_id,
                content: body.content,
                user_jid: Some(user_jid(&user.id)),
                visible_to_user: body.visible_to_user,
                reply_to: body.reply_to,
                is_markdown_support: body.is_markdown_support,
            };
            let message = sim.send_once(&app, &order, &id)?;
            Ok(sent(
                StatusCode::CREATED,
                &message,
                &robot_jid,
                &callback.to_jid,
                "",
            ))
        };
        done().unwrap_or_else(ChatError::response)
    })
    .await;
    let account_id = sim
        .user(&callback.user_id)
        .map(|user| user.account_id)
        .unwrap_or_default();
    sim.with_limits(sim.with_tracking(answer), &account_id, Category::Medium)
}

impl Sim {
    /// Carries out a bot's call: token, ordered faults, the operation, the headers.
    async fn bot_call(
        &self,
        request: &HttpRequest,
        target: Target,
        account_id: &str,
        bytes: &[u8],
        operate: impl AsyncFnOnce(&App) -> Done,
    ) -> HttpResponse {
        let app = match self.bot_of(request) {
            Ok(app) => app,
            Err(error) => return self.with_tracking(error.response()),
        };
        let user_id = self.read(|state| named_user(state, &text_of(bytes, "user_jid")));
        let about = About {
            client_id: Some(&app.client_id),
            user_id: user_id.as_deref(),
            ..About::default()
        };
        let answer = faults::around(self, request, target, &about, async || {
            operate(&app).await.unwrap_or_else(ChatError::response)
        })
        .await;
        self.with_limits(self.with_tracking(answer), account_id, Category::Medium)
    }

    /// The app whose own token (client credentials, `imchat:bot`) the request carries.
    fn bot_of(&self, request: &HttpRequest) -> Result<App, ChatError> {
        if !request.headers().contains_key(AUTHORIZATION) {
            return Err(ChatError::NO_HEADER);
        }
        let token = bearer(request.headers()).ok_or(ChatError::INVALID_TOKEN)?;
        let now = self.now();
        self.read(|state| {
            let token = state.access_tokens.get(token)?;
            let valid = token.user_id.is_none()
                && token.ended.is_none()
                && token.expires_at > now
                && token.scopes.iter().any(|scope| scope == "imchat:bot");
            valid.then(|| state.apps.get(&token.client_id).cloned()).flatten()
        })
        .ok_or(ChatError::INVALID_TOKEN)
    }

    fn send_card(&self, app: &App, body: &SendBody) -> Result<ChatMessage, ChatError> {
        check_content(&body.content)?;
        self.update(|state| self.post_card(state, app, body))
    }

    /// The same by a callback, which is used up by success alone.
    fn send_once(&self, app: &App, body: &SendBody, callback_id: &str) -> Result<ChatMessage, ChatError> {
        check_content(&body.content)?;
        let now = self.now();
        self.update(|state| {
            let open = state
                .chat
                .callbacks
                .get(callback_id)
                .is_some_and(|callback| !callback.used && callback.expires_at > now);
            if !open {
                return Err(ChatError::INVALID_TOKEN);
            }
            let message = self.post_card(state, app, body)?;
            if let Some(callback) = state.chat.callbacks.get_mut(callback_id) {
                callback.used = true;
            }
            Ok(message)
        })
    }

    fn post_card(&self, state: &mut State, app: &App, body: &SendBody) -> Result<ChatMessage, ChatError> {
        of_bot(app, &body.robot_jid)?;
        let user_managed = app.usage == Usage::UserManaged;
        // The specification wants user_jid; the guide, only for user-managed apps (platform: 5.3).
        if user_managed && body.user_jid.as_deref().is_none_or(str::is_empty) {
            return Err(ChatError::BAD_BODY);
        }
        may_write(state, app, &body.account_id, body.user_jid.as_deref())?;
        let conversation = receiver(state, app, body)?;
        let visible_to = match &body.visible_to_user {
            Some(_) if user_managed => return Err(ChatError::BAD_BODY),
            Some(name) => Some(seen_by(state, &conversation, name)?),
            None => None,
        };
        if let Some(parent) = &body.reply_to
            && state
                .chat
                .message(parent)
                .is_none_or(|it| it.conversation != conversation)
        {
            return Err(ChatError::BAD_BODY);
        }
        let now = self.now();
        let message = ChatMessage {
            id: random::bot_message_id(self.rng(), now),
            conversation,
            author: Author::Bot(app.client_id.clone()),
            text: String::new(),
            content: Some(Value::Object(body.content.clone())),
            is_markdown_support: body.is_markdown_support,
            reply_to: body.reply_to.clone(),
            visible_to,
            user_jid: body.user_jid.clone(),
            sent_at: now,
            edited_at: None,
            edits: 0,
            unfurls: Vec::new(),
        };
        state.chat.add(message.clone());
        Ok(message)
    }
}

impl State {
    /// True while somebody of the account has the app.
    pub(crate) fn has_bot(&self, client_id: &str, account_id: &str) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.client_id == client_id && grant.account_id == account_id)
    }

    /// True if this user may talk with the bot alone: she added it, or somebody added it for her whole account.
    pub(crate) fn has_bot_herself(&self, app: &App, user_id: &str) -> bool {
        let account_id = self.users.get(user_id).map(|user| user.account_id.as_str());
        self.grants
            .iter()
            .filter(|grant| grant.client_id == app.client_id)
            .any(|grant| match app.usage {
                Usage::UserManaged => grant.user_id == user_id,
                Usage::AdminManaged => Some(grant.account_id.as_str()) == account_id,
            })
    }
}

/// 7002 for what is no JID, 7003 for what is not this app's bot.
fn of_bot(app: &App, robot_jid: &str) -> Result<(), ChatError> {
    let is_jid = robot_jid
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    if !is_jid {
        return Err(ChatError::BAD_ROBOT_JID);
    }
    match &app.bot {
        Some(bot) if bot.robot_jid == robot_jid => Ok(()),
        _ => Err(ChatError::NO_BOT),
    }
}

/// 7004 unless the app is installed in the account, and a named user belongs there.
fn may_write(state: &State, app: &App, account_id: &str, user: Option<&str>) -> Result<(), ChatError> {
    let known_user = user.is_none_or(|name| named_user(state, name).is_some());
    if state.has_bot(&app.client_id, account_id) && known_user {
        Ok(())
    } else {
        Err(ChatError::NOT_AUTHORIZED)
    }
}

/// The conversation of a `to_jid`: a channel's, a user's, or one from an interactive event, `user@…/robot_<jid>`.
fn receiver(state: &State, app: &App, body: &SendBody) -> Result<Conversation, ChatError> {
    if let Some(channel) = state
        .chat
        .channels
        .values()
        .find(|channel| channel.jid == body.to_jid)
    {
        let of_account = |id: &String| {
            state
                .users
                .get(id)
                .is_some_and(|user| user.account_id == body.account_id)
        };
        let reachable = channel.account_id == body.account_id || channel.member_ids.iter().any(of_account);
        return if reachable {
            Ok(Conversation::Channel {
                channel_id: channel.id.clone(),
            })
        } else {
            Err(ChatError::NO_RECEIVER)
        };
    }
    let jid = match body.to_jid.split_once('/') {
        Some((jid, robot)) if robot == format!("robot_{}", body.robot_jid) => jid,
        Some(_) => return Err(ChatError::NO_RECEIVER),
        None => &body.to_jid,
    };
    let user = state.users.values().find(|user| {
        user_jid(&user.id) == jid && user.account_id == body.account_id && user.status == UserStatus::Active
    });
    let user = user.ok_or(ChatError::NO_RECEIVER)?;
    if !state.has_bot_herself(app, &user.id) {
        return Err(ChatError::NOT_AUTHORIZED);
    }
    Ok(Conversation::Bot {
        user_id: user.id.clone(),
        client_id: app.client_id.clone(),
    })
}

/// The one member of the channel who sees the message, named by id or JID.
fn seen_by(state: &State, conversation: &Conversation, name: &str) -> Result<String, ChatError> {
    let Conversation::Channel { channel_id } = conversation else {
        return Err(ChatError::BAD_BODY);
    };
    let user_id = named_user(state, name).ok_or(ChatError::BAD_BODY)?;
    state
        .chat
        .channels
        .get(channel_id)
        .filter(|channel| channel.member_ids.contains(&user_id))
        .map(|_| user_id)
        .ok_or(ChatError::BAD_BODY)
}

/// The `to_jid` of the bot's own message.
fn own_message(state: &State, app: &App, id: &str) -> Result<String, ChatError> {
    let message = state
        .chat
        .message(id)
        .filter(|message| message.author == Author::Bot(app.client_id.clone()))
        .ok_or(ChatError::NO_MESSAGE)?;
    Ok(match &message.conversation {
        Conversation::Channel { channel_id } => state
            .chat
            .channels
            .get(channel_id)
            .map(|channel| channel.jid.clone())
            .unwrap_or_default(),
        Conversation::Bot { user_id, .. } => user_jid(user_id),
        Conversation::People { .. } => String::new(),
    })
}

/// A user by JID or, as Zoom's own client library sends it, by id.
fn named_user(state: &State, name: &str) -> Option<String> {
    let user = state
        .users
        .values()
        .find(|user| user.id == name || user_jid(&user.id) == name);
    user.map(|user| user.id.clone())
}

fn sent(
    status: StatusCode,
    message: &ChatMessage,
    robot_jid: &str,
    to_jid: &str,
    zone: &str,
) -> HttpResponse {
    let mut body = json!({
        "message_id": message.id,
        "robot_jid": robot_jid,
        "sent_time": format!("{}{zone}", message.sent_at.format("%Y-%m-%d %H:%M:%S")),
        "to_jid": to_jid,
    });
    if let Some(user_jid) = &message.user_jid {
        body["user_jid"] = json!(user_jid);
    }
    HttpResponse::build(status).json(body)
}

fn segment(request: &HttpRequest, name: &str) -> String {
    decoded(request.match_info().query(name)).0
}

/// A member of a body that may be anything.
fn text_of(bytes: &[u8], name: &str) -> String {
    serde_json::from_slice::<Value>(bytes)
        .ok()
        .and_then(|body| body[name].as_str().map(str::to_owned))
        .unwrap_or_default()
}
