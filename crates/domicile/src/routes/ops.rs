//! Probes and metrics, with Kubernetes' names and meanings.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use domicile_store::{Db, check_schema};
use domicile_telemetry::Telemetry;
use tokio::time::timeout;

use crate::server::Draining;

/// A database that takes longer than this is not ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/livez").name("livez").route(web::get().to(live)))
        .service(
            web::resource("/readyz")
                .name("readyz")
                .route(web::get().to(ready)),
        )
        .service(
            web::resource("/metrics")
                .name("metrics")
                .route(web::get().to(metrics)),
        );
}

/// The process runs. It asks nothing else, because a restart mends no database.
async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// The process can do its work: it is not stopping, and the database answers with the schema of this version.
async fn ready(db: web::Data<Db>, draining: web::Data<Draining>) -> HttpResponse {
    if draining.is_draining() {
        return not_ready("stopping\n".to_owned());
    }
    match timeout(READY_TIMEOUT, check_schema(&db)).await {
        Ok(Ok(())) => HttpResponse::Ok().content_type("text/plain").body("ok\n"),
        Ok(Err(error)) => not_ready(format!("{error}\n")),
        Err(_) => not_ready("the database does not answer in time\n".to_owned()),
    }
}

fn not_ready(why: String) -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .content_type("text/plain")
        .body(why)
}

/// The Prometheus scrape.
async fn metrics(telemetry: web::Data<Telemetry>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(telemetry.prometheus_text())
}
