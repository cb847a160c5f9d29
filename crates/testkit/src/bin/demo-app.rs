//! The receiving demo app as a program; see `domicile_testkit::app`.
#![allow(
    clippy::print_stderr,
    reason = "a program that cannot start says so to its terminal"
)]

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use domicile_kernel::Secret;
use domicile_testkit::app::{AppApi, AppIdentity, ReceivingApp, ReceivingAppSettings};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

/// The variables, for `--help`.
const ENVIRONMENT: &str = "\
Its settings are environment variables:

  DEMO_APP_LISTEN           address and port, such as 127.0.0.1:8100
  DEMO_APP_REGION_NAME      the region that pages show, such as 'European Union'
  DEMO_APP_API_URL          the region's app listener
  DEMO_APP_API_KEY          the API key, whose SHA-256 stands in DOMICILE_APP_API_KEYS
  DEMO_APP_EVENTS_SECRETS   comma list of Standard Webhooks secrets (whsec_...)
  DEMO_APP_EVENTS_FILE      optional: keeps the events over restarts
  DEMO_APP_CONNECT_ORIGINS  optional: comma list of the region's public URL and Zoom's, for the pages' form-action policy
  DEMO_APP_SESSION_JWT_AUDIENCE  optional: sessions are JWTs for this audience too, for a region with session-jwt";

/// An app that uses Domicile: sign-in, "Connect Zoom", recordings and events. For loopback hosts only.
#[derive(Debug, Parser)]
#[command(name = "demo-app", version, after_help = ENVIRONMENT)]
struct Cli {}

#[derive(Deserialize)]
struct Environment {
    listen: SocketAddr,
    region_name: String,
    api_url: Url,
    api_key: Secret<String>,
    events_secrets: Vec<Secret<String>>,
    events_file: Option<PathBuf>,
    #[serde(default)]
    connect_origins: Vec<Url>,
    session_jwt_audience: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli {} = Cli::parse();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("demo-app: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let environment: Environment = envy::prefixed("DEMO_APP_").from_env()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = ReceivingApp::start(ReceivingAppSettings {
        listen: environment.listen,
        region_name: environment.region_name,
        app_api: Some(AppApi {
            url: environment.api_url,
            key: environment.api_key,
        }),
        events_secrets: environment.events_secrets,
        events_file: environment.events_file,
        connect_origins: environment.connect_origins,
        identity: match environment.session_jwt_audience {
            Some(audience) => AppIdentity::SessionJwt { audience },
            None => AppIdentity::Confirm,
        },
        ..ReceivingAppSettings::default()
    })?;
    tracing::info!(url = %app.url(), "the demo app is ready");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    app.stop().await;
    Ok(())
}
