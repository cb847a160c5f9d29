//! Which Zoom accounts may link here, as the app's backend says.

use actix_web::{HttpResponse, web};
use domicile_kernel::ZoomAccountId;
use domicile_web::extract::AppKey;
use domicile_web::list::{Page, PageQuery};
use domicile_web::problem::ProblemError;

use super::app::actor;
use crate::linking::Linking;

/// Zoom's ids have 22 characters; none that may come is longer.
const MAX_ID_BYTES: usize = 100;

/// `/v1/admitted-accounts`.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/admitted-accounts")
                .name("admitted_accounts")
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/v1/admitted-accounts/{zoom_account_id}")
                .name("admitted_account")
                .route(web::put().to(admit))
                .route(web::delete().to(dismiss)),
        );
}

async fn list(
    _key: AppKey,
    linking: web::Data<Linking>,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, ProblemError> {
    let limit = query.limit()?;
    let after: Option<ZoomAccountId> = query.after()?;
    let accounts = linking.admitted(after.as_ref(), i64::from(limit) + 1).await?;
    let page = Page::of(accounts, limit, |account| account.zoom_account_id.clone())?;
    Ok(HttpResponse::Ok().json(page))
}

async fn admit(
    key: AppKey,
    linking: web::Data<Linking>,
    id: web::Path<String>,
) -> Result<HttpResponse, ProblemError> {
    let admitted = linking.admit(&parse(&id)?, &actor(&key)).await?;
    Ok(HttpResponse::Ok().json(admitted))
}

/// Idempotent: an account that was not admitted is as good as dismissed.
async fn dismiss(
    key: AppKey,
    linking: web::Data<Linking>,
    id: web::Path<String>,
) -> Result<HttpResponse, ProblemError> {
    linking.dismiss(&parse(&id)?, &actor(&key)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn parse(text: &str) -> Result<ZoomAccountId, ProblemError> {
    let printable = text.bytes().all(|b| b.is_ascii_graphic());
    if (1..=MAX_ID_BYTES).contains(&text.len()) && printable {
        Ok(ZoomAccountId::new(text))
    } else {
        let message = format!("must be Zoom's account id, 1 to {MAX_ID_BYTES} printable characters");
        Err(ProblemError::invalid("zoom_account_id", message))
    }
}
