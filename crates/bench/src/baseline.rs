//! The two servers that the service is compared with. Both read and verify a request by the very extractor of the
//! service, so that the difference is what storing costs.

mod store;

use std::net::SocketAddr;

use actix_web::middleware::Condition;
use actix_web::{App, HttpResponse, HttpServer, web};
use domicile_kernel::{RegionId, Secret};
use domicile_telemetry::{LogFormat, TelemetrySettings};
use domicile_web::extract::{ZoomEndpointVerifier, ZoomRequest};
use domicile_web::guard::{Guard, Listener};
use domicile_web::problem::{Problem, ProblemError};
use domicile_zoom::signature::WebhookSecrets;
use serde::{Deserialize, Serialize};

use crate::failure::Outcome;
use crate::wall;

pub use store::{Table, UNTIL_EMPTY};

/// What a server is told at its start, as JSON on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The subscription's secret token.
    pub secret: String,
    /// Where it stores; none: it verifies and answers, and stores nothing.
    pub database_url: Option<String>,
    /// With the service's request line and telemetry around it.
    pub guarded: bool,
}

/// Runs a server until the process ends.
pub fn run(settings: &ServerSettings) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(settings))
}

async fn serve(settings: &ServerSettings) -> Outcome {
    // Dropped at the end, so that the lines are written as the service writes them.
    let _telemetry = settings.guarded.then(telemetry).transpose()?;
    let table = match &settings.database_url {
        Some(url) => Some(Table::open(url)?),
        None => None,
    };
    let ids = wall::ids();
    let secrets = WebhookSecrets::new(&[Secret::from(settings.secret.as_str())])?;
    let verifier = ZoomEndpointVerifier::new("events", secrets, ids.clock().clone());
    let (verifier, table) = (web::Data::new(verifier), web::Data::new(table));
    let guarded = settings.guarded;
    let ids_of_rows = web::Data::new(ids.clone());
    HttpServer::new(move || {
        App::new()
            .wrap(Condition::new(guarded, Guard::new(Listener::Public, ids.clone())))
            .service(
                web::resource("/zoom/events")
                    .app_data(verifier.clone())
                    .app_data(table.clone())
                    .app_data(ids_of_rows.clone())
                    .route(web::route().to(take_in)),
            )
    })
    .bind(settings.listen)?
    .disable_signals()
    .run()
    .await?;
    Ok(())
}

async fn take_in(
    request: ZoomRequest,
    table: web::Data<Option<Table>>,
    ids: web::Data<domicile_kernel::Ids>,
) -> Result<HttpResponse, ProblemError> {
    let request = match request {
        ZoomRequest::Challenge(answer) => return Ok(HttpResponse::Ok().json(answer)),
        ZoomRequest::Event(request) => request,
    };
    if let Some(table) = table.as_ref() {
        table
            .keep(&ids, &request)
            .await
            .map_err(|error| ProblemError::new(Problem::Unavailable).cause(error))?;
    }
    Ok(HttpResponse::Ok().finish())
}

fn telemetry() -> Outcome<domicile_telemetry::Telemetry> {
    Ok(domicile_telemetry::start(TelemetrySettings {
        service_name: "domicile-bench".to_owned(),
        service_version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_id: "baseline".to_owned(),
        region: "eu".parse::<RegionId>()?,
        log_format: LogFormat::Json,
        log_filter: "info".to_owned(),
        otlp: None,
    })?)
}
