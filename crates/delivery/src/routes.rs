//! What the app calls to read events, whether or not they are delivered too.

use actix_web::{HttpResponse, web};
use domicile_kernel::{EventId, Subject};
use domicile_web::extract::AppKey;
use domicile_web::list::{Page, PageQuery};
use domicile_web::problem::{Problem, ProblemError};
use serde::Deserialize;
use uuid::Uuid;

use crate::delivery::Delivery;
use crate::error::DeliveryError;

/// The app listener's part of this room. Needs `web::Data<Delivery>` and `web::Data<AppKeys>`.
pub fn configure(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/v1/events").route(web::get().to(list)))
        .service(web::resource("/v1/events/{id}").route(web::get().to(get)));
}

#[derive(Deserialize)]
struct ListQuery {
    subject: Option<Subject>,
    #[serde(flatten)]
    page: PageQuery,
}

/// `GET /v1/events?subject=&cursor=&limit=`: oldest first.
async fn list(
    _key: AppKey,
    query: web::Query<ListQuery>,
    delivery: web::Data<Delivery>,
) -> Result<HttpResponse, ProblemError> {
    let limit = query.page.limit()?;
    let after = query.page.after::<i64>()?.unwrap_or(0);
    let events = delivery
        .list(after, query.subject.as_ref(), i64::from(limit) + 1)
        .await
        .map_err(problem)?;
    // The page is cut before the erased ones are left out: they have places too.
    let page = Page::of(events, limit, |(sequence, _)| *sequence)?;
    Ok(HttpResponse::Ok().json(Page {
        data: page.data.iter().filter_map(|(_, event)| event.as_ref()).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// `GET /v1/events/{id}`.
async fn get(
    _key: AppKey,
    id: web::Path<Uuid>,
    delivery: web::Data<Delivery>,
) -> Result<HttpResponse, ProblemError> {
    match delivery.get(EventId::from_uuid(*id)).await.map_err(problem)? {
        Some(event) => Ok(HttpResponse::Ok().json(event)),
        None => Err(Problem::NotFound.into()),
    }
}

fn problem(error: DeliveryError) -> ProblemError {
    if error.fate().is_retry() {
        ProblemError::new(Problem::Unavailable).cause(error)
    } else {
        ProblemError::internal(error)
    }
}
