//! What the app's backend reads: recordings, and the bytes of their files.

mod content;
mod problems;

use actix_web::{HttpResponse, web};
use domicile_kernel::subject::InvalidSubject;
use domicile_kernel::{RecordingId, Subject};
use domicile_web::extract::AppKey;
use domicile_web::list::{Page, PageQuery};
use domicile_web::problem::{Problem, ProblemError};
use serde::Deserialize;

use crate::library::Library;
use crate::view::RecordingView;

/// `/v1/recordings` and below it, for the app listener. Needs `web::Data<Library>`, and of the `web` crate
/// `web::Data<AppKeys>` and `extract::configure`.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/recordings")
                .name("recordings")
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/v1/recordings/{id}")
                .name("recording")
                .route(web::get().to(get)),
        )
        .service(
            web::resource("/v1/recordings/{id}/files/{file_id}/content")
                .name("recording_file_content")
                .route(web::get().to(content::get))
                .route(web::head().to(content::get)),
        );
}

#[derive(Deserialize)]
struct ListQuery {
    subject: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

async fn list(
    _key: AppKey,
    library: web::Data<Library>,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, ProblemError> {
    let subject = query
        .subject
        .as_deref()
        .map(|text| {
            text.parse::<Subject>()
                .map_err(|error: InvalidSubject| ProblemError::invalid("subject", error.to_string()))
        })
        .transpose()?;
    let limit = query.page.limit()?;
    let after: Option<RecordingId> = query.page.after()?;
    let found = library
        .list(subject.as_ref(), after, i64::from(limit) + 1)
        .await?;
    Ok(HttpResponse::Ok().json(Page::of(found, limit, RecordingView::id)?))
}

async fn get(
    _key: AppKey,
    library: web::Data<Library>,
    id: web::Path<RecordingId>,
) -> Result<HttpResponse, ProblemError> {
    match library.recording(*id).await? {
        Some(recording) => Ok(HttpResponse::Ok().json(recording)),
        None => Err(Problem::NotFound.into_error("There is no recording with this id.")),
    }
}
