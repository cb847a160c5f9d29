//! A meeting and a user's meetings (Zoom: Meetings API, "Get a meeting" and "List meetings").

use std::collections::{BTreeMap, HashMap};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::call::{ApiError, Caller, Category, Endpoint};
use crate::api::path;
use crate::model::app::Usage;
use crate::model::fault::Target;
use crate::model::meeting::Meeting;
use crate::model::user::User;
use crate::signing;
use crate::sim::Sim;
use crate::webhook::recording_payload::zoom_time;

type Query = web::Query<HashMap<String, String>>;

const LIST_PAGE: usize = 30;
const LARGEST_PAGE: usize = 300;
const PAGE_TOKEN_MINUTES: i64 = 15;

/// The lists that `type` may name. Meetings of the simulator have been held, so only the last two of them differ.
const LIST_TYPES: [&str; 5] = [
    "scheduled",
    "live",
    "upcoming",
    "upcoming_meetings",
    "previous_meetings",
];

/// `GET /meetings/{meetingId}`: by its number alone, not by the uuid of an instance.
pub(crate) async fn one(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    let endpoint = Endpoint {
        target: Target::Meetings,
        category: Category::Light,
        scopes: &["meeting:read:meeting", "meeting:read"],
    };
    let (text, _) = path::decoded(request.match_info().query("meeting"));
    let meeting = text.parse::<i64>().ok().and_then(|number| latest(&sim, number));
    let uuid = meeting.as_ref().map(|it| it.uuid.clone());
    sim.call(&request, endpoint, uuid.as_deref(), async |caller| {
        let missing = || {
            let words = format!("Meeting does not exist: {text}.");
            ApiError::new(StatusCode::NOT_FOUND, 3001, words)
        };
        let meeting = meeting.as_ref().ok_or_else(missing)?;
        let host = sim.user(&meeting.host_id).map_err(|_| missing())?;
        if !is_visible(caller, &host) {
            return Err(missing());
        }
        Ok(HttpResponse::Ok().json(detail(&sim, meeting, &host)))
    })
    .await
}

fn is_visible(caller: &Caller, host: &User) -> bool {
    match caller.usage {
        Usage::UserManaged => host.id == caller.user.id,
        Usage::AdminManaged => host.account_id == caller.user.account_id,
    }
}

/// A number means the latest instance.
fn latest(sim: &Sim, number: i64) -> Option<Meeting> {
    let all = sim.meetings().into_iter().filter(|meeting| meeting.id == number);
    all.max_by_key(|meeting| meeting.start_time)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PageToken {
    user_id: String,
    offset: usize,
    expires_at: i64,
}

/// `GET /users/{userId}/meetings`.
pub(crate) async fn of_user(sim: web::Data<Sim>, request: HttpRequest, query: Query) -> HttpResponse {
    let endpoint = Endpoint {
        target: Target::Meetings,
        category: Category::Medium,
        scopes: &["meeting:read:list_meetings", "meeting:read"],
    };
    sim.call(&request, endpoint, None, async |caller| {
        let user = sim.user_in_path(caller, request.match_info().query("user"))?;
        let size = match query.get("page_size") {
            None => LIST_PAGE,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=LARGEST_PAGE).contains(size))
                .ok_or_else(|| ApiError::invalid_field("page_size", "must be 1 to 300"))?,
        };
        let list_type = query.get("type").map_or("scheduled", String::as_str);
        if !LIST_TYPES.contains(&list_type) {
            return Err(ApiError::invalid_field("type", "is not a list of meetings"));
        }
        let offset = offset(&sim, &query, &user)?;
        let held = matches!(list_type, "scheduled" | "previous_meetings");
        Ok(HttpResponse::Ok().json(list(&sim, &user, held, offset, size)))
    })
    .await
}

fn offset(sim: &Sim, query: &HashMap<String, String>, user: &User) -> Result<usize, ApiError> {
    let Some(token) = query.get("next_page_token").filter(|text| !text.is_empty()) else {
        return Ok(0);
    };
    let page: Option<PageToken> = sim.read(|state| signing::unseal(state.key(), "meetings", token));
    page.filter(|page| page.user_id == user.id && page.expires_at > sim.now().timestamp())
        .map(|page| page.offset)
        .ok_or_else(|| {
            let text = "The next page token is invalid or expired.";
            ApiError::new(StatusCode::BAD_REQUEST, 300, text)
        })
}

/// A page of the user's meetings, one row for all instances of a number.
fn list(sim: &Sim, user: &User, held: bool, offset: usize, size: usize) -> Value {
    let mut by_number: BTreeMap<i64, Meeting> = BTreeMap::new();
    let own = sim.meetings().into_iter();
    for meeting in own.filter(|meeting| held && meeting.host_id == user.id) {
        match by_number.get(&meeting.id) {
            Some(other) if other.start_time >= meeting.start_time => {}
            _ => {
                by_number.insert(meeting.id, meeting);
            }
        }
    }
    let mut found: Vec<&Meeting> = by_number.values().collect();
    found.sort_by_key(|meeting| (meeting.start_time, meeting.id));
    let (total, end) = (found.len(), offset.saturating_add(size).min(found.len()));
    let next = (end < total).then(|| PageToken {
        user_id: user.id.clone(),
        offset: end,
        expires_at: (sim.now() + TimeDelta::minutes(PAGE_TOKEN_MINUTES)).timestamp(),
    });
    let next = next.map(|next| sim.read(|state| signing::seal(state.key(), "meetings", &next)));
    let rows: Vec<Value> = found
        .iter()
        .skip(offset)
        .take(size)
        .map(|meeting| row(sim, meeting))
        .collect();
    json!({
        "page_count": total.div_ceil(size),
        "page_number": offset / size + 1,
        "page_size": size,
        "total_records": total,
        "next_page_token": next.unwrap_or_default(),
        "meetings": rows,
    })
}

fn row(sim: &Sim, meeting: &Meeting) -> Value {
    json!({
        "uuid": meeting.uuid,
        "id": meeting.id,
        "host_id": meeting.host_id,
        "topic": meeting.topic,
        "type": meeting.kind,
        "start_time": zoom_time(meeting.start_time),
        "duration": meeting.duration_minutes,
        "timezone": meeting.timezone,
        "created_at": zoom_time(meeting.start_time),
        "join_url": join_url(sim, meeting),
    })
}

fn detail(sim: &Sim, meeting: &Meeting, host: &User) -> Value {
    let mut body = row(sim, meeting);
    body["host_email"] = host.email.clone().into();
    body["status"] = "waiting".into();
    body["agenda"] = "".into();
    body["password"] = meeting.password.clone().into();
    body["start_url"] = format!("{}/s/{}", sim.0.urls.base_text(), meeting.id).into();
    body["settings"] = json!({ "auto_recording": "cloud", "waiting_room": false });
    body
}

fn join_url(sim: &Sim, meeting: &Meeting) -> String {
    format!("{}/j/{}", sim.0.urls.base_text(), meeting.id)
}
