//! What the app's backend calls.

use actix_web::{HttpResponse, web};
use domicile_kernel::{ConnectSessionId, LinkId, Subject, Timestamp};
use domicile_store::audit::Actor;
use domicile_web::extract::{AppKey, ProblemJson};
use domicile_web::list::{Page, PageQuery};
use domicile_web::problem::{Problem, ProblemError};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::linking::Linking;
use crate::sessions::NewConnectSession;

/// `/v1/connect-sessions` and `/v1/links`.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/connect-sessions")
                .name("connect_sessions")
                .route(web::post().to(create_session)),
        )
        .service(
            web::resource("/v1/connect-sessions/confirm")
                .name("connect_sessions_confirm")
                .route(web::post().to(confirm)),
        )
        .service(
            web::resource("/v1/links")
                .name("links")
                .route(web::get().to(list_links)),
        )
        .service(
            web::resource("/v1/links/{id}")
                .name("link")
                .route(web::get().to(get_link))
                .route(web::delete().to(unlink)),
        );
}

/// The app, as the audit names it.
pub(super) fn actor(key: &AppKey) -> Actor {
    Actor::App(key.name().to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectSessionBody {
    subject: String,
    return_url: String,
    #[serde(default)]
    replace: bool,
}

#[derive(Serialize)]
struct ConnectSession<'a> {
    id: ConnectSessionId,
    connect_url: &'a str,
    expires_at: Timestamp,
}

async fn create_session(
    key: AppKey,
    linking: web::Data<Linking>,
    ProblemJson(body): ProblemJson<ConnectSessionBody>,
) -> Result<HttpResponse, ProblemError> {
    let subject = parse_subject("subject", &body.subject)?;
    let return_url = Url::parse(&body.return_url)
        .map_err(|error| ProblemError::invalid("return_url", format!("is no absolute URL: {error}")))?;
    let new = NewConnectSession {
        subject: &subject,
        return_url: &return_url,
        replace: body.replace,
    };
    let created = linking.create_session(new, &actor(&key)).await?;
    Ok(HttpResponse::Created()
        .insert_header(("cache-control", "no-store"))
        .json(ConnectSession {
            id: created.id,
            connect_url: created.connect_url.expose(),
            expires_at: created.expires_at,
        }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    ticket: domicile_kernel::Secret<String>,
    subject: String,
}

async fn confirm(
    key: AppKey,
    linking: web::Data<Linking>,
    ProblemJson(body): ProblemJson<Confirmation>,
) -> Result<HttpResponse, ProblemError> {
    let subject = parse_subject("subject", &body.subject)?;
    let link = linking
        .confirm(body.ticket.expose(), &subject, &actor(&key))
        .await?;
    Ok(HttpResponse::Ok().json(link.view()))
}

#[derive(Deserialize)]
struct LinksQuery {
    subject: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

async fn list_links(
    _key: AppKey,
    linking: web::Data<Linking>,
    query: web::Query<LinksQuery>,
) -> Result<HttpResponse, ProblemError> {
    let subject = query
        .subject
        .as_deref()
        .map(|text| parse_subject("subject", text))
        .transpose()?;
    let limit = query.page.limit()?;
    let before: Option<LinkId> = query.page.after()?;
    let links = linking
        .links(subject.as_ref(), before, i64::from(limit) + 1)
        .await?;
    let page = Page::of(links, limit, |link| link.id)?;
    Ok(HttpResponse::Ok().json(Page {
        data: page.data.iter().map(crate::Link::view).collect(),
        next_cursor: page.next_cursor,
    }))
}

async fn get_link(
    _key: AppKey,
    linking: web::Data<Linking>,
    id: web::Path<LinkId>,
) -> Result<HttpResponse, ProblemError> {
    match linking.link(*id).await? {
        Some(link) => Ok(HttpResponse::Ok().json(link.view())),
        None => Err(Problem::NotFound.into_error("There is no link with this id.")),
    }
}

async fn unlink(
    key: AppKey,
    linking: web::Data<Linking>,
    id: web::Path<LinkId>,
) -> Result<HttpResponse, ProblemError> {
    linking.unlink(*id, actor(&key)).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) fn parse_subject(field: &'static str, text: &str) -> Result<Subject, ProblemError> {
    text.parse()
        .map_err(|error: domicile_kernel::subject::InvalidSubject| {
            ProblemError::invalid(field, error.to_string())
        })
}
