//! Who did what to links, for the app's backend.

use actix_web::{HttpResponse, web};
use domicile_kernel::state::TextState;
use domicile_kernel::{AuditId, ConnectSessionId, LinkId, Timestamp};
use domicile_store::audit::{AuditQuery, WrittenEntry};
use domicile_web::extract::AppKey;
use domicile_web::list::{Page, PageQuery};
use domicile_web::problem::ProblemError;
use serde::{Deserialize, Serialize};

use super::app::parse_subject;
use crate::linking::Linking;

/// `/v1/audit-entries`.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/v1/audit-entries")
            .name("audit_entries")
            .route(web::get().to(list)),
    );
}

#[derive(Deserialize)]
struct Query {
    subject: Option<String>,
    link_id: Option<LinkId>,
    #[serde(flatten)]
    page: PageQuery,
}

#[derive(Serialize)]
struct EntryView<'a> {
    id: AuditId,
    occurred_at: Timestamp,
    actor: &'a str,
    action: &'a str,
    outcome: &'static str,
    reason: Option<&'a str>,
    subject: Option<&'a str>,
    connect_session_id: Option<ConnectSessionId>,
    link_id: Option<LinkId>,
    zoom: ZoomView<'a>,
}

#[derive(Serialize)]
struct ZoomView<'a> {
    account_id: Option<&'a str>,
    user_id: Option<&'a str>,
}

impl<'a> From<&'a WrittenEntry> for EntryView<'a> {
    fn from(entry: &'a WrittenEntry) -> Self {
        Self {
            id: entry.id,
            occurred_at: entry.occurred_at,
            actor: &entry.actor,
            action: &entry.action,
            outcome: entry.outcome.as_str(),
            reason: entry.reason.as_deref(),
            subject: entry.subject.as_deref(),
            connect_session_id: entry.connect_session_id,
            link_id: entry.link_id,
            zoom: ZoomView {
                account_id: entry.zoom_account_id.as_deref(),
                user_id: entry.zoom_user_id.as_deref(),
            },
        }
    }
}

async fn list(
    _key: AppKey,
    linking: web::Data<Linking>,
    query: web::Query<Query>,
) -> Result<HttpResponse, ProblemError> {
    let subject = query
        .subject
        .as_deref()
        .map(|text| parse_subject("subject", text))
        .transpose()?;
    let limit = query.page.limit()?;
    let wanted = AuditQuery {
        subject,
        link_id: query.link_id,
        before: query.page.after()?,
    };
    let entries = linking.audit_entries(&wanted, i64::from(limit) + 1).await?;
    let page = Page::of(entries, limit, |entry| entry.sequence)?;
    Ok(HttpResponse::Ok().json(Page {
        data: page.data.iter().map(EntryView::from).collect(),
        next_cursor: page.next_cursor,
    }))
}
