//! The chat page: somebody, a place, what was said there, and what she may do.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use crate::control::{Act, ControlError, Say};
use crate::model::chat::{Author, ChatMessage, NewChannel, Place};
use crate::model::user::{User, UserStatus};
use crate::pages::{chat_card, frame};
use crate::sim::Sim;
use crate::webhook::recording_payload::zoom_time;

const SCRIPT: &str = include_str!("chat.js");

/// The routes of the page.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/chat", web::get().to(show))
        .route("/chat.js", web::get().to(script))
        .route("/chat/messages", web::get().to(messages))
        .route("/chat/say", web::post().to(say))
        .route("/chat/act", web::post().to(act))
        .route("/chat/submit", web::post().to(submit))
        .route("/chat/install", web::post().to(install))
        .route("/chat/uninstall", web::post().to(uninstall))
        .route("/chat/channels", web::post().to(create_channel));
}

/// Whose view of which place.
#[derive(Deserialize, Clone, Default)]
pub(crate) struct View {
    #[serde(default)]
    user: String,
    #[serde(default)]
    place: String,
    #[serde(default)]
    note: String,
}

impl View {
    fn place(&self) -> Option<Place> {
        let (kind, id) = self.place.split_once(':')?;
        let id = id.to_owned();
        match kind {
            "channel" => Some(Place::Channel(id)),
            "bot" => Some(Place::Bot(id)),
            "user" => Some(Place::User(id)),
            _ => None,
        }
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("user", &self.user)
            .append_pair("place", &self.place);
        if !self.note.is_empty() {
            query.append_pair("note", &self.note);
        }
        query.finish()
    }

    /// The hidden fields that keep the view through a form.
    pub(crate) fn fields(&self) -> Markup {
        html! {
            input type="hidden" name="user" value=(self.user);
            input type="hidden" name="place" value=(self.place);
        }
    }
}

/// A place that the user may choose.
struct Choice {
    value: String,
    name: String,
    place: Place,
}

async fn show(sim: web::Data<Sim>, view: web::Query<View>) -> HttpResponse {
    let mut view = view.into_inner();
    let users: Vec<User> = sim
        .users()
        .into_iter()
        .filter(|user| user.status == UserStatus::Active)
        .collect();
    if !users.iter().any(|user| user.id == view.user) {
        view.user = users.first().map(|user| user.id.clone()).unwrap_or_default();
    }
    let places = sim
        .user(&view.user)
        .map_or_else(|_| Vec::new(), |user| choices(&sim, &user));
    let chosen = places.iter().find(|choice| choice.value == view.place);
    let chosen = chosen.or(places.first());
    view.place = chosen.map(|choice| choice.value.clone()).unwrap_or_default();
    let content = html! {
        header {
            h1 { "Team Chat" }
            p { a href="/" { "Back to the desk" } " · " a href="/log" { "Webhook log" } }
        }
        main.chat {
            @if !view.note.is_empty() { section { p.notice role="status" { (view.note) } } }
            section {
                @if users.is_empty() { p.faint { "Make a user first, " a href="/" { "on the desk" } "." } } @else {
                    form.row method="get" action="/chat" {
                        label { "You are" select name="user" {
                            @for user in &users {
                                option value=(user.id) selected[user.id == view.user] { (user.display_name()) }
                            }
                        } }
                        label { "You are in" select name="place" {
                            @for choice in &places {
                                option value=(choice.value) selected[choice.value == view.place] { (choice.name) }
                            }
                        } }
                        button { "Go there" }
                    }
                    (bots(&sim, &view))
                    (new_channel(&view, &users))
                }
            }
            @if let Some(choice) = chosen {
                section {
                    h2 { (choice.name) }
                    div #messages role="log" aria-label="Messages" tabindex="0" data-query=(View { note: String::new(), ..view.clone() }.query()) {
                        (list(&sim, &view, &choice.place))
                    }
                    form.say method="post" action="/chat/say" {
                        (view.fields())
                        label { (hint(&sim, &choice.place)) input name="text" autocomplete="off" required autofocus; }
                        button.main { "Send" }
                    }
                }
            }
        }
    };
    frame::scripted_page("Team Chat", "/chat.js", &content)
}

fn choices(sim: &Sim, user: &User) -> Vec<Choice> {
    let channels = sim.channels().into_iter();
    let channels = channels
        .filter(|channel| channel.member_ids.contains(&user.id))
        .map(|channel| Choice {
            value: format!("channel:{}", channel.id),
            name: format!("Channel {}", channel.name),
            place: Place::Channel(channel.id),
        });
    let bots = sim
        .apps()
        .into_iter()
        .filter(|app| app.bot.is_some() && sim.read(|state| state.has_bot_herself(app, &user.id)))
        .map(|app| Choice {
            value: format!("bot:{}", app.client_id),
            name: format!("{} (bot)", app.name),
            place: Place::Bot(app.client_id),
        });
    let people = sim.users().into_iter();
    let people = people
        .filter(|other| other.id != user.id && other.status == UserStatus::Active)
        .map(|other| Choice {
            value: format!("user:{}", other.id),
            name: other.display_name(),
            place: Place::User(other.id),
        });
    bots.chain(channels).chain(people).collect()
}

/// What may be typed there.
fn hint(sim: &Sim, place: &Place) -> String {
    let commands: Vec<String> = sim
        .apps()
        .into_iter()
        .filter_map(|app| Some(format!("/{} help", app.bot?.slash_command)))
        .collect();
    match place {
        Place::Bot(_) => "Your message: help".to_owned(),
        _ if commands.is_empty() => "Your message".to_owned(),
        _ => format!("Your message, or {}", commands.join(", ")),
    }
}

/// The bots, to add and to remove.
fn bots(sim: &Sim, view: &View) -> Markup {
    let grants = sim.grants();
    let apps: Vec<_> = sim.apps().into_iter().filter(|app| app.bot.is_some()).collect();
    html! {
        details open[apps.is_empty()] {
            summary { "Bots" }
            @if apps.is_empty() { p.faint { "No app has a bot. Give it one with " code { "POST /control/apps/{client_id}/bot" } "." } }
            @for app in &apps {
                @let mine = grants.iter().any(|it| it.client_id == app.client_id && it.user_id == view.user);
                div.item {
                    h3 { (app.name) }
                    @if let Some(bot) = &app.bot {
                        p.faint { "command " code { "/" (bot.slash_command) } " · " code { (bot.robot_jid) } }
                    }
                    form.row method="post" action=(if mine { "/chat/uninstall" } else { "/chat/install" }) {
                        (view.fields())
                        input type="hidden" name="client_id" value=(app.client_id);
                        button { @if mine { "Remove " (app.name) } @else { "Add " (app.name) } }
                    }
                }
            }
        }
    }
}

fn new_channel(view: &View, users: &[User]) -> Markup {
    html! {
        details {
            summary { "New channel" }
            form method="post" action="/chat/channels" {
                (view.fields())
                label { "Name" input name="name" value="General" required; }
                fieldset {
                    legend { "Members beside you" }
                    @for user in users.iter().filter(|user| user.id != view.user) {
                        label.tick { input type="checkbox" name="member" value=(user.id) checked; (user.display_name()) }
                    }
                }
                div.row { button { "Make channel" } }
            }
        }
    }
}

fn list(sim: &Sim, view: &View, place: &Place) -> Markup {
    let messages = sim.chat_messages(place, Some(&view.user));
    html! {
        @if messages.is_empty() { p.faint { "Nothing was said here yet." } }
        @for message in &messages { (one(sim, view, &messages, message)) }
    }
}

fn one(sim: &Sim, view: &View, all: &[ChatMessage], message: &ChatMessage) -> Markup {
    let (name, kind) = match &message.author {
        Author::User(id) => (sim.user(id).map(|user| user.display_name()).ok(), "person"),
        Author::Bot(id) => (sim.app(id).map(|app| app.name).ok(), "bot"),
    };
    let mine = message.author == Author::User(view.user.clone());
    let parent = message.reply_to.as_ref().and_then(|id| {
        let parent = all.iter().find(|it| it.id == *id)?;
        Some(chat_card::first_words(parent))
    });
    html! {
        article.message.mine[mine].(kind) {
            p.faint {
                b { (name.unwrap_or_else(|| "somebody who is gone".to_owned())) } " "
                time datetime=(zoom_time(message.sent_at)) { (message.sent_at.format("%H:%M:%S")) }
                @if message.edits > 0 { " · edited" }
                @if message.visible_to.is_some() { " · only you see this" }
            }
            @if let Some(parent) = parent { p.faint.reply { "in reply to “" (parent) "”" } }
            @if let Some(content) = &message.content {
                (chat_card::card(view, &message.id, content))
            } @else {
                p.text { (chat_card::with_links(&message.text)) }
            }
            @for unfurl in &message.unfurls {
                @if let Some(content) = &unfurl.content {
                    div.unfurl { p.faint { "Preview of " (unfurl.link) } (chat_card::preview(content)) }
                }
            }
        }
    }
}

/// `GET /chat/messages`: the list alone, for the page's own refresh.
async fn messages(sim: web::Data<Sim>, view: web::Query<View>) -> HttpResponse {
    let Some(place) = view.place() else {
        return HttpResponse::BadRequest().body("There is no such place.");
    };
    frame::fragment(&list(&sim, &view, &place))
}

async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(SCRIPT)
}

fn back<T>(mut view: View, done: Result<T, ControlError>) -> HttpResponse {
    view.note = done
        .err()
        .map(|error| format!("That did not work: {error}."))
        .unwrap_or_default();
    HttpResponse::SeeOther()
        .insert_header((LOCATION, format!("/chat?{}#messages", view.query())))
        .finish()
}

#[derive(Deserialize)]
struct SayForm {
    #[serde(flatten)]
    view: View,
    text: String,
}

async fn say(sim: web::Data<Sim>, form: web::Form<SayForm>) -> HttpResponse {
    let form = form.into_inner();
    let Some(place) = form.view.place() else {
        return HttpResponse::BadRequest().body("There is no such place.");
    };
    let said = sim.say(Say::new(&form.view.user, place, &form.text)).await;
    back(form.view, said)
}

#[derive(Deserialize)]
struct ActForm {
    #[serde(flatten)]
    view: View,
    message: String,
    #[serde(flatten)]
    act: Act,
}

async fn act(sim: web::Data<Sim>, form: web::Form<ActForm>) -> HttpResponse {
    let form = form.into_inner();
    let told = sim.act(&form.view.user, &form.message, form.act).await;
    back(form.view, told)
}

/// A form of several elements: `item.<action_id>` stands once for each answer.
async fn submit(sim: web::Data<Sim>, body: String) -> HttpResponse {
    let mut view = View::default();
    let mut message = String::new();
    let mut items = Vec::new();
    for (name, value) in form_urlencoded::parse(body.as_bytes()) {
        match name.as_ref() {
            "user" => view.user = value.into_owned(),
            "place" => view.place = value.into_owned(),
            "message" => message = value.into_owned(),
            name => {
                if let Some(action_id) = name.strip_prefix("item.") {
                    items.push(serde_json::json!({ "action_id": action_id, "value": value }));
                }
            }
        }
    }
    let told = sim.act(&view.user, &message, Act::Submit { items }).await;
    back(view, told)
}

#[derive(Deserialize)]
struct BotForm {
    #[serde(flatten)]
    view: View,
    client_id: String,
}

async fn install(sim: web::Data<Sim>, form: web::Form<BotForm>) -> HttpResponse {
    let mut form = form.into_inner();
    let done = sim.install_bot(&form.client_id, &form.view.user).await;
    if done.is_ok() {
        form.view.place = format!("bot:{}", form.client_id);
    }
    back(form.view, done)
}

async fn uninstall(sim: web::Data<Sim>, form: web::Form<BotForm>) -> HttpResponse {
    let form = form.into_inner();
    let done = sim.deauthorize(&form.client_id, &form.view.user).await;
    back(form.view, done)
}

async fn create_channel(sim: web::Data<Sim>, body: String) -> HttpResponse {
    let (mut view, mut name) = (View::default(), None);
    let mut others = Vec::new();
    for (field, value) in form_urlencoded::parse(body.as_bytes()) {
        match field.as_ref() {
            "user" => view.user = value.into_owned(),
            "place" => view.place = value.into_owned(),
            "name" => name = Some(value.into_owned()),
            "member" => others.push(value.into_owned()),
            _ => {}
        }
    }
    others.insert(0, view.user.clone());
    let made = sim.create_channel(NewChannel {
        name,
        member_ids: others,
        ..NewChannel::default()
    });
    if let Ok(channel) = &made {
        view.place = format!("channel:{}", channel.id);
    }
    back(view, made)
}
