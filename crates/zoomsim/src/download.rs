//! Downloads: the first host checks the token and redirects, the second serves bytes (platform: download).

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_DISPOSITION, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::api::{ApiError, bearer};
use crate::faults;
use crate::media::Media;
use crate::model::app::Usage;
use crate::model::fault::{About, FaultKind, Target};
use crate::model::meeting::{FileState, Meeting, RecordingFile};
use crate::model::token::DownloadClaims;
use crate::signing;
use crate::sim::Sim;
use crate::webhook::recording_payload::DownloadPath;

/// How long a redirect's URL works.
const SIGNED_URL_MINUTES: i64 = 5;

/// What the query of the second host proves.
#[derive(Serialize, Deserialize)]
struct MediaTicket {
    meeting_uuid: String,
    file_id: String,
    variant: u32,
    expires_at: i64,
}

/// `GET /rec/download/...` and `GET /rec/webhook_download/...`.
pub(crate) async fn first_host(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    if request
        .query_string()
        .split('&')
        .any(|pair| pair.starts_with("access_token="))
    {
        let text = "Invalid access token. The access token is not supported as query parameter string.";
        return ApiError::new(StatusCode::UNAUTHORIZED, 124, text).response();
    }
    let path = request.match_info().query("path");
    let named: Option<DownloadPath> = sim.read(|state| signing::unseal(state.key(), "download", path));
    let Some(path) = named else { return gone() };
    let found = sim.read(|state| {
        state
            .file(&path.meeting_uuid, &path.file_id)
            .map(|(meeting, file)| (meeting.clone(), file.clone()))
    });
    let Some((meeting, file)) = found else {
        return gone();
    };
    if let Err(error) = sim.may_download(bearer(request.headers()), &meeting) {
        return error.response();
    }
    let file_ids = [file.id.clone()];
    let about = About {
        user_id: Some(&meeting.host_id),
        meeting_uuid: Some(&meeting.uuid),
        file_ids: &file_ids,
        ..About::default()
    };
    faults::around(&sim, &request, Target::Download, &about, async || {
        if file.state != FileState::Completed {
            return gone();
        }
        let to = sim.media_url(&meeting, &file, path.variant);
        HttpResponse::Found().insert_header((LOCATION, to)).finish()
    })
    .await
}

fn gone() -> HttpResponse {
    ApiError::new(
        StatusCode::NOT_FOUND,
        3301,
        "There is no recording for this download URL.",
    )
    .response()
}

impl Sim {
    /// A download token of this meeting, or an OAuth token that may see it.
    fn may_download(&self, token: Option<&str>, meeting: &Meeting) -> Result<(), ApiError> {
        let token = token.ok_or_else(ApiError::invalid_token)?;
        let now = self.now().timestamp();
        let claims: Option<DownloadClaims> = self.read(|state| signing::read_jwt(state.key(), token));
        if let Some(claims) = claims {
            let good = claims.mid == meeting.uuid && claims.exp > now;
            return if good {
                Ok(())
            } else {
                Err(ApiError::invalid_token())
            };
        }
        let caller = self.caller(token)?;
        let host = self
            .user(&meeting.host_id)
            .map_err(|_| ApiError::invalid_token())?;
        let good = match caller.usage {
            Usage::UserManaged => host.id == caller.user.id,
            Usage::AdminManaged => host.account_id == caller.user.account_id,
        };
        let forbidden = || {
            ApiError::new(
                StatusCode::FORBIDDEN,
                200,
                "Only the host can download this recording.",
            )
        };
        if good { Ok(()) } else { Err(forbidden()) }
    }

    /// The second host's URL: a path that begins with `replayNN`, and a signed query that expires.
    fn media_url(&self, meeting: &Meeting, file: &RecordingFile, variant: u32) -> String {
        let ticket = MediaTicket {
            meeting_uuid: meeting.uuid.clone(),
            file_id: file.id.clone(),
            variant,
            expires_at: (self.now() + TimeDelta::minutes(SIGNED_URL_MINUTES)).timestamp(),
        };
        let data = self.read(|state| signing::seal(state.key(), "media", &ticket));
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("response-content-type", file.kind.content_type())
            .append_pair("data", &data)
            .finish();
        let day = file.recording_start.format("%Y/%m/%d");
        let extension = file.kind.extension().to_lowercase();
        format!(
            "{}/replay01/{day}/{}/recording.{extension}?{query}",
            self.0.urls.media_text(),
            file.id
        )
    }
}

/// `GET /replay01/...` of the second host.
pub(crate) async fn second_host(
    sim: web::Data<Sim>,
    request: HttpRequest,
    query: web::Query<HashMap<String, String>>,
) -> HttpResponse {
    let data = query.get("data").map(String::as_str).unwrap_or_default();
    let ticket: Option<MediaTicket> = sim.read(|state| signing::unseal(state.key(), "media", data));
    let Some(ticket) = ticket.filter(|it| it.expires_at > sim.now().timestamp()) else {
        return HttpResponse::Forbidden()
            .content_type("application/xml")
            .body(DENIED);
    };
    let found = sim.read(|state| {
        let (meeting, file) = state.file(&ticket.meeting_uuid, &ticket.file_id)?;
        (file.state == FileState::Completed).then(|| (meeting.host_id.clone(), file.clone()))
    });
    let media = found
        .as_ref()
        .and_then(|(_, file)| Media::of(file, ticket.variant));
    let (Some((host_id, file)), Some(media)) = (found, media) else {
        return HttpResponse::NotFound()
            .content_type("application/xml")
            .body(DENIED);
    };
    let file_ids = [file.id.clone()];
    let about = About {
        user_id: Some(&host_id),
        meeting_uuid: Some(&ticket.meeting_uuid),
        file_ids: &file_ids,
        ..About::default()
    };
    let of_body = |fault: &FaultKind| {
        matches!(
            fault,
            FaultKind::Truncated { .. }
                | FaultKind::Stalled { .. }
                | FaultKind::NoContentLength
                | FaultKind::BearerDemanded
                | FaultKind::BearerRefused
        )
    };
    let fault = sim.take_fault(Target::Media, &about);
    match fault {
        Some(fault) if of_body(&fault) => with_fault(&sim, &request, &file, &media, &fault),
        fault => {
            faults::with(&sim, &request, Target::Media, fault, async || {
                whole(&file, &media)
            })
            .await
        }
    }
}

const DENIED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code></Error>";

fn whole(file: &RecordingFile, media: &Media) -> HttpResponse {
    send(file, stream::iter(media.chunks().map(Ok)), file.content_length)
}

fn with_fault(
    sim: &Sim,
    request: &HttpRequest,
    file: &RecordingFile,
    media: &Media,
    fault: &FaultKind,
) -> HttpResponse {
    tracing::info!(?fault, "an ordered fault strikes a download");
    let has_bearer = request.headers().contains_key(AUTHORIZATION);
    match fault {
        FaultKind::BearerDemanded if !has_bearer => HttpResponse::Forbidden().body(DENIED),
        FaultKind::BearerRefused if has_bearer => HttpResponse::Forbidden().body(DENIED),
        FaultKind::NoContentLength => send(file, stream::iter(media.chunks().map(Ok)), false),
        FaultKind::Truncated {
            at_bytes,
            content_length,
        } => send(
            file,
            stream::iter(first(media.chunks(), *at_bytes).map(Ok)),
            *content_length,
        ),
        FaultKind::Stalled { at_bytes, millis } => {
            let (sim, pause) = (sim.clone(), Duration::from_millis(*millis));
            let wait =
                stream::once(async move { sim.wait(pause).await }).filter_map(async |()| None::<Bytes>);
            let before = stream::iter(first(media.chunks(), *at_bytes));
            let after = stream::iter(after(media.chunks(), *at_bytes));
            send(file, before.chain(wait).chain(after).map(Ok), file.content_length)
        }
        _ => whole(file, media),
    }
}

fn send(
    file: &RecordingFile,
    body: impl Stream<Item = Result<Bytes, Infallible>> + 'static,
    content_length: bool,
) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.content_type(file.kind.content_type());
    let name = format!(
        "attachment; filename=\"recording.{}\"",
        file.kind.extension().to_lowercase()
    );
    answer.insert_header((CONTENT_DISPOSITION, name));
    if content_length {
        answer.body(SizedStream::new(file.size_bytes, body))
    } else {
        answer.streaming(Box::pin(body))
    }
}

/// The chunks up to so many bytes.
fn first(chunks: impl Iterator<Item = Bytes>, bytes: u64) -> impl Iterator<Item = Bytes> {
    let mut left = bytes;
    chunks.map_while(move |chunk| {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        left -= take as u64;
        (take > 0).then(|| chunk.slice(..take))
    })
}

/// The chunks after so many bytes.
fn after(chunks: impl Iterator<Item = Bytes>, bytes: u64) -> impl Iterator<Item = Bytes> {
    let mut left = bytes;
    chunks.filter_map(move |chunk| {
        let skip = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        left -= skip as u64;
        (skip < chunk.len()).then(|| chunk.slice(skip..))
    })
}

/// `/rec/play` and `/rec/share`: pages that the simulator does not have.
pub(crate) async fn watch_page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(
        "<!DOCTYPE html><html lang=\"en\"><title>Recording</title><p>At Zoom, the recording would play here.</p></html>",
    )
}
