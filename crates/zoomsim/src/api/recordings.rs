//! Recordings of a meeting and of a user, and what may be done with them (platform: API).

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{Months, NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::call::{ApiError, Caller, Category, Endpoint};
use crate::api::path;
use crate::control::FileSelection;
use crate::model::app::Usage;
use crate::model::fault::Target;
use crate::model::meeting::{FileKind, FileState, Meeting, RecordingFile};
use crate::signing;
use crate::sim::Sim;
use crate::webhook::recording_payload::{Reader, RecordingObject, zoom_time};

type Query = web::Query<HashMap<String, String>>;

const LIST_PAGE: usize = 30;
const LARGEST_PAGE: usize = 300;
const PAGE_TOKEN_MINUTES: i64 = 15;
/// `ttl` of a `download_access_token` where none is asked for, and the longest.
const TOKEN_SECONDS: i64 = 86_400;
const LONGEST_TOKEN_SECONDS: i64 = 604_800;

const READ_ONE: &[&str] = &["cloud_recording:read:list_recording_files", "recording:read"];
const READ_LIST: &[&str] = &["cloud_recording:read:list_user_recordings", "recording:read"];
const READ_TRANSCRIPT: &[&str] = &["cloud_recording:read:meeting_transcript", "recording:read"];
const CHANGE: &[&str] = &[
    "cloud_recording:delete:meeting_recording",
    "cloud_recording:delete:recording_file",
    "recording:write",
];

/// A uuid or number in the path, and the instance it means.
fn named(sim: &Sim, request: &HttpRequest) -> Option<Meeting> {
    let (text, times) = path::decoded(request.match_info().query("meeting"));
    if let Ok(number) = text.parse::<i64>() {
        // A number means the latest instance only.
        let all = sim.meetings().into_iter().filter(|it| it.id == number);
        return all.max_by_key(|meeting| meeting.start_time);
    }
    sim.meeting(&text).ok().filter(|_| path::is_found(&text, times))
}

/// The instance, if the caller may see it.
fn visible(sim: &Sim, caller: &Caller, meeting: Option<Meeting>) -> Result<Meeting, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, 3001, "Meeting does not exist.");
    let meeting = meeting.ok_or_else(missing)?;
    let host = sim.user(&meeting.host_id).map_err(|_| missing())?;
    match caller.usage {
        Usage::UserManaged if host.id == caller.user.id => Ok(meeting),
        Usage::AdminManaged if host.account_id == caller.user.account_id => Ok(meeting),
        Usage::UserManaged => Err(ApiError::no_recording()),
        Usage::AdminManaged => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            1010,
            "User does not belong to this account.",
        )),
    }
}

/// `GET /meetings/{meetingId}/recordings`.
pub(crate) async fn of_meeting(sim: web::Data<Sim>, request: HttpRequest, query: Query) -> HttpResponse {
    let endpoint = Endpoint {
        target: Target::MeetingRecordings,
        category: Category::Light,
        scopes: READ_ONE,
    };
    let meeting = named(&sim, &request);
    let uuid = meeting.as_ref().map(|it| it.uuid.clone());
    sim.call(&request, endpoint, uuid.as_deref(), async |caller| {
        let meeting = visible(&sim, caller, meeting)?;
        let lives = token_life(&query)?;
        let body = sim.read(|state| {
            let files: Vec<&RecordingFile> = meeting.files_in(FileState::Completed).collect();
            if files.is_empty() {
                return Err(ApiError::no_recording());
            }
            let mut object = sim.recording_object(state, &meeting, &files, Reader::Api);
            object.download_access_token =
                lives.map(|lives| sim.download_token(state, &meeting, sim.now(), lives));
            Ok(object)
        })?;
        Ok(HttpResponse::Ok().json(body))
    })
    .await
}

fn token_life(query: &HashMap<String, String>) -> Result<Option<TimeDelta>, ApiError> {
    let wanted = query.get("include_fields").is_some_and(|fields| {
        fields
            .split(',')
            .any(|field| field.trim() == "download_access_token")
    });
    let seconds = match query.get("ttl") {
        None => TOKEN_SECONDS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| (0..=LONGEST_TOKEN_SECONDS).contains(seconds))
            .ok_or_else(|| ApiError::invalid_field("ttl", "must be 0 to 604800"))?,
    };
    Ok(wanted.then(|| TimeDelta::seconds(seconds)))
}

/// What a page of a list continues.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PageToken {
    user_id: String,
    from: NaiveDate,
    to: NaiveDate,
    trash: bool,
    offset: usize,
    expires_at: i64,
}

#[derive(Serialize)]
struct RecordingList {
    from: NaiveDate,
    to: NaiveDate,
    page_count: usize,
    page_size: usize,
    total_records: usize,
    next_page_token: String,
    meetings: Vec<RecordingObject>,
}

/// `GET /users/{userId}/recordings`.
pub(crate) async fn of_user(sim: web::Data<Sim>, request: HttpRequest, query: Query) -> HttpResponse {
    let endpoint = Endpoint {
        target: Target::UserRecordings,
        category: Category::Medium,
        scopes: READ_LIST,
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
        let page = page(&sim, &query, &user.id)?;
        let meeting_id = query.get("meeting_id").and_then(|text| text.parse::<i64>().ok());
        Ok(HttpResponse::Ok().json(list(&sim, &page, size, meeting_id)))
    })
    .await
}

/// The page that is asked for: the one a token continues, or the first of a range.
fn page(sim: &Sim, query: &HashMap<String, String>, user_id: &str) -> Result<PageToken, ApiError> {
    let now = sim.now();
    let today = now.date_naive();
    if let Some(token) = query.get("next_page_token").filter(|text| !text.is_empty()) {
        let invalid = || {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                300,
                "The next page token is invalid or expired.",
            )
        };
        let page: PageToken = sim
            .read(|state| signing::unseal(state.key(), "page", token))
            .ok_or_else(invalid)?;
        let good = page.user_id == user_id && page.expires_at > now.timestamp();
        return if good { Ok(page) } else { Err(invalid()) };
    }
    let date = |name: &str| match query.get(name) {
        None => Ok(today),
        Some(text) => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map_err(|_| ApiError::invalid_field(name, "must be yyyy-mm-dd")),
    };
    let (from, to) = (date("from")?, date("to")?);
    let trash = query.get("trash").is_some_and(|text| text == "true");
    if !trash && (from > to || from + Months::new(1) < to) {
        return Err(ApiError::invalid_field(
            "from",
            "the range from..to must be in order and at most one month",
        ));
    }
    Ok(PageToken {
        user_id: user_id.to_owned(),
        from,
        to,
        trash,
        offset: 0,
        expires_at: 0,
    })
}

fn list(sim: &Sim, page: &PageToken, size: usize, meeting_id: Option<i64>) -> RecordingList {
    let wanted = if page.trash {
        FileState::Trashed
    } else {
        FileState::Completed
    };
    sim.read(|state| {
        let mut found: Vec<&Meeting> = state
            .meetings
            .values()
            .filter(|meeting| {
                let day = meeting.start_time.date_naive();
                meeting.host_id == page.user_id
                    && meeting.files_in(wanted).next().is_some()
                    // The trash has no date filter.
                    && (page.trash || (page.from..=page.to).contains(&day))
                    && meeting_id.is_none_or(|id| meeting.id == id)
            })
            .collect();
        found.sort_by(|a, b| (b.start_time, &b.uuid).cmp(&(a.start_time, &a.uuid)));
        let total = found.len();
        let end = page.offset.saturating_add(size).min(total);
        let next = (end < total).then(|| PageToken {
            offset: end,
            expires_at: (sim.now() + TimeDelta::minutes(PAGE_TOKEN_MINUTES)).timestamp(),
            ..page.clone()
        });
        let meetings = found.iter().skip(page.offset).take(size).map(|meeting| {
            let files: Vec<&RecordingFile> = meeting.files_in(wanted).collect();
            sim.recording_object(state, meeting, &files, Reader::Api)
        });
        RecordingList {
            from: page.from,
            to: page.to,
            page_count: total.div_ceil(size),
            page_size: size,
            total_records: total,
            next_page_token: next
                .map(|next| signing::seal(state.key(), "page", &next))
                .unwrap_or_default(),
            meetings: meetings.collect(),
        }
    })
}

/// `GET /meetings/{meetingId}/transcript`.
pub(crate) async fn transcript(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    let endpoint = Endpoint {
        target: Target::Transcript,
        category: Category::Light,
        scopes: READ_TRANSCRIPT,
    };
    let meeting = named(&sim, &request);
    let uuid = meeting.as_ref().map(|it| it.uuid.clone());
    sim.call(&request, endpoint, uuid.as_deref(), async |caller| {
        let meeting = visible(&sim, caller, meeting)?;
        let file = meeting
            .files_in(FileState::Completed)
            .find(|file| file.kind == FileKind::Transcript);
        let none = || {
            ApiError::new(
                StatusCode::NOT_FOUND,
                3322,
                "This meeting transcript does not exist.",
            )
        };
        let file = file.ok_or_else(none)?;
        let url = sim.read(|state| sim.download_url(state, &meeting, file, Reader::Api));
        Ok(HttpResponse::Ok().json(json!({
            "meeting_id": meeting.uuid,
            "account_id": caller.user.account_id,
            "meeting_topic": meeting.topic,
            "host_id": meeting.host_id,
            "transcript_created_time": zoom_time(file.recording_end),
            "can_download": true,
            "download_url": url,
        })))
    })
    .await
}

/// `DELETE /meetings/{meetingId}/recordings?action=trash|delete`.
pub(crate) async fn delete_all(sim: web::Data<Sim>, request: HttpRequest, query: Query) -> HttpResponse {
    change(&sim, &request, Vec::new(), action(&query)).await
}

/// `DELETE /meetings/{meetingId}/recordings/{recordingId}?action=trash|delete`.
pub(crate) async fn delete_one(sim: web::Data<Sim>, request: HttpRequest, query: Query) -> HttpResponse {
    let (file, _) = path::decoded(request.match_info().query("file"));
    change(&sim, &request, vec![file], action(&query)).await
}

#[derive(Deserialize)]
pub(crate) struct StatusChange {
    action: String,
}

/// `PUT /meetings/{meetingId}/recordings/status` with `{"action":"recover"}`.
pub(crate) async fn recover(
    sim: web::Data<Sim>,
    request: HttpRequest,
    body: web::Json<StatusChange>,
) -> HttpResponse {
    let action = if body.action == "recover" {
        Some(Action::Recover)
    } else {
        None
    };
    change(&sim, &request, Vec::new(), action).await
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Trash,
    Delete,
    Recover,
}

fn action(query: &HashMap<String, String>) -> Option<Action> {
    match query.get("action").map(String::as_str) {
        None | Some("trash") => Some(Action::Trash),
        Some("delete") => Some(Action::Delete),
        Some(_) => None,
    }
}

async fn change(
    sim: &Sim,
    request: &HttpRequest,
    file_ids: Vec<String>,
    action: Option<Action>,
) -> HttpResponse {
    let endpoint = Endpoint {
        target: Target::ChangeRecordings,
        category: Category::Light,
        scopes: CHANGE,
    };
    let meeting = named(sim, request);
    let uuid = meeting.as_ref().map(|it| it.uuid.clone());
    sim.call(request, endpoint, uuid.as_deref(), async |caller| {
        let uuid = visible(sim, caller, meeting)?.uuid;
        let selection = FileSelection {
            file_ids,
            ..FileSelection::default()
        };
        let done = match action {
            Some(Action::Trash) => sim.trash_files(&uuid, &selection).await,
            Some(Action::Delete) => sim.delete_files(&uuid, &selection).await,
            Some(Action::Recover) => sim.recover_files(&uuid, &selection).await,
            None => {
                return Err(ApiError::invalid_field(
                    "action",
                    "must be trash, delete or recover",
                ));
            }
        };
        done.map(|_| HttpResponse::NoContent().finish())
            .map_err(|_| ApiError::no_recording())
    })
    .await
}
