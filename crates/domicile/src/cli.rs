//! The command line.

mod admission;
mod deliveries;
mod doctor;
mod evidence;
mod inbox;
mod jobs;
mod keys;
mod links;
mod output;
mod ready;
mod reconcile;
mod recordings;
mod region;
mod zoom_app;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use domicile_egress::Contacts;
use domicile_kernel::state::TextState;
use domicile_kernel::{RegionId, WorkerId};
use domicile_telemetry::{LogFormat, Telemetry, TelemetrySettings};
use domicile_web::extract::AppKeys;
use opentelemetry_http::HttpClient;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::outside;
use crate::region::{Region, collector_client};
use crate::server::{self, Listeners, Role};
use crate::settings::{Environment, Requirement, SETTINGS, Settings};

/// Connects an application to Zoom, one region at a time.
///
/// One process serves one region. Everything it needs to know comes from environment variables (`domicile config settings`
/// lists them); `domicile config check` says what is wrong with them. First `migrate`, then `run`, or any number of `serve`
/// and `work` beside each other.
#[derive(Parser)]
#[command(name = "domicile", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone)]
enum Command {
    /// Bring the database to this version's schema; run it before a new version starts
    Migrate,
    /// Answer Zoom, browsers and the app, and leave background work to `work`
    Serve,
    /// Do the background work: fetch recordings, deliver events, refresh grants
    Work,
    /// Serve and work in one process
    Run,
    /// Examine everything that the region needs, and say what is wrong and what to do
    ///
    /// Nothing is changed, but for a small object that is written to the storage, read back and deleted. Ends with 0 where
    /// nothing is at fault, and with 1 where something is.
    Doctor(doctor::DoctorArgs),
    /// Say which Zoom accounts may link, where the region admits by account
    Admission {
        #[command(subcommand)]
        command: admission::Command,
    },
    /// Look at what Zoom sent, and let it be tried again
    Inbox {
        #[command(subcommand)]
        command: inbox::InboxCommand,
    },
    /// Look at background work, and let what is in quarantine be tried again
    Jobs {
        #[command(subcommand)]
        command: jobs::JobsCommand,
    },
    /// Look at links and how their grants do
    Links {
        #[command(subcommand)]
        command: links::LinksCommand,
    },
    /// Look at recordings and their files, and fetch again what failed
    Recordings {
        #[command(subcommand)]
        command: recordings::RecordingsCommand,
    },
    /// Bring the database and the object storage into agreement after one of them was restored
    ///
    /// Without --apply it only says what it would do. It may run beside the service, and again at any time.
    Reconcile(reconcile::ReconcileArgs),
    /// Look at the events for the app, and deliver them again
    Deliveries {
        #[command(subcommand)]
        command: deliveries::DeliveriesCommand,
    },
    /// Look after the region's key-encryption keys
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Make a key with which the app's backend calls this region, and print it with its entry for `DOMICILE_APP_API_KEYS`
    AppKey {
        /// What the key is called in logs, such as backend-2027
        name: String,
        /// The region's id: other regions refuse the key and say where it belongs
        #[arg(long)]
        region: RegionId,
    },
    /// Show, signed, what is stored where and whom the region's processes contacted
    Evidence(evidence::EvidenceArgs),
    /// Keep the region's apps at Zoom's Marketplace as its file says
    ZoomApp {
        #[command(subcommand)]
        command: zoom_app::ZoomAppCommand,
    },
    /// Ask a running process, through its ops listener, whether it is ready, and fail if it is not
    Ready {
        /// The ops listener, such as domicile-eu-ops:9090
        #[arg(default_value = "127.0.0.1:9090")]
        address: String,
    },
    /// Look at the files of regions: whether they are apart, and what follows from one
    Region {
        #[command(subcommand)]
        command: region::RegionCommand,
    },
    /// Write the completions of a shell: `source <(domicile completion bash)`
    Completion {
        /// Whose
        shell: Shell,
    },
    /// Look at the configuration without starting anything
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand, Clone, Copy)]
enum ConfigCommand {
    /// List every fault of the environment, and fail if there is one
    Check,
    /// List every setting with its meaning
    Settings,
}

/// What a command ends with when it fails, to be told on standard error.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let result = match cli.command {
        Command::Config {
            command: ConfigCommand::Settings,
        } => list_settings(),
        Command::Config {
            command: ConfigCommand::Check,
        } => check(&environment),
        Command::AppKey { name, region } => app_key(&name, &region),
        Command::Ready { address } => in_runtime(ready::run(&address)),
        Command::Region { command } => region::run(command),
        Command::Admission { command } => in_runtime(admission::run(environment, command)),
        Command::Doctor(arguments) => return ended(in_runtime(doctor::run(environment, arguments))),
        Command::Evidence(arguments) => evidence::run(environment, arguments),
        Command::Completion { shell } => completion(shell),
        Command::Deliveries { command } => in_runtime(deliveries::run(environment, command)),
        Command::Jobs { command } => in_runtime(jobs::run(environment, command)),
        Command::Links { command } => in_runtime(links::run(environment, command)),
        Command::Reconcile(arguments) => return ended(in_runtime(reconcile::run(environment, arguments))),
        Command::Recordings { command } => in_runtime(recordings::run(environment, command)),
        Command::Inbox { command } => in_runtime(inbox::run(environment, command)),
        Command::Keys { command } => in_runtime(keys::run(environment, command)),
        Command::ZoomApp { command } => return ended(in_runtime(zoom_app::run(environment, command))),
        Command::Migrate => in_runtime(migrate(environment)),
        Command::Serve => in_runtime(start(environment, Role::Serve)),
        Command::Work => in_runtime(start(environment, Role::Work)),
        Command::Run => in_runtime(start(environment, Role::Run)),
    };
    ended(result.map(|()| ExitCode::SUCCESS))
}

fn ended(result: Result<ExitCode, Failure>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(failure) => {
            // Standard error is all that is left to say it on.
            let _ = writeln!(std::io::stderr(), "domicile: {}", chain(failure.as_ref()));
            if failure.is::<NotFound>() {
                ExitCode::from(NOT_FOUND)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// What was asked for by its id is not there; the command ends with its own code.
#[derive(Debug, Error)]
#[error("there is no {what} {id}")]
struct NotFound {
    what: &'static str,
    id: String,
}

/// The exit code of [`NotFound`].
const NOT_FOUND: u8 = 3;

fn not_found(what: &'static str, id: impl std::fmt::Display) -> Failure {
    Box::new(NotFound {
        what,
        id: id.to_string(),
    })
}

/// The region of this environment, with resources that are its own.
async fn opened(environment: &Environment) -> Result<Region, Failure> {
    let settings = Settings::from_environment(environment)?;
    let region = Region::build(settings, outside::ids())?;
    region.check().await?;
    Ok(region)
}

/// Reads a state; all that there are stand in the message.
fn state<S: TextState + Send + Sync>(text: &str) -> Result<S, String> {
    S::from_text(text).map_err(|_| {
        let all: Vec<_> = S::ALL.iter().map(|state| state.as_str()).collect();
        format!("it is one of {}", all.join(", "))
    })
}

fn completion(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "domicile", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn in_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn list_settings() -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for setting in SETTINGS {
        let requirement = match setting.requirement {
            Requirement::Required => "required".to_owned(),
            Requirement::Optional => "optional".to_owned(),
            Requirement::Default(value) => format!("default {value}"),
        };
        writeln!(out, "{}\n    {} ({requirement})", setting.name, setting.meaning)?;
    }
    writeln!(
        out,
        "\n<NAME>_FILE may stand for <NAME> and names a file that holds the value."
    )?;
    Ok(())
}

/// The key stands on the first line and its entry on the second, so that a script can take either.
fn app_key(name: &str, region: &RegionId) -> Result<(), Failure> {
    let key = AppKeys::generate(region, outside::ids().rng().as_ref());
    let entry = AppKeys::entry(name, &key);
    // Names are checked where the setting is read; a key whose entry is refused there is not given out.
    entry.parse::<AppKeys>()?;
    writeln!(std::io::stdout(), "{}\n{entry}", key.expose())?;
    Ok(())
}

fn check(environment: &Environment) -> Result<(), Failure> {
    let settings = Settings::from_environment(environment)?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "The configuration of region {} has no fault.",
        settings.region.id
    )?;
    if let Some(file) = &settings.region.file {
        writeln!(out, "It is what the region's file says, digest {}.", file.digest)?;
    }
    Ok(())
}

/// The telemetry, and the count of what it sends to the collector.
fn telemetry(settings: &Settings) -> Result<(Telemetry, Option<Contacts>), Failure> {
    let collector = collector_client(settings)?;
    let contacts = collector
        .as_ref()
        .map(|(_, client)| client.fence().contacts().clone());
    let otlp = collector.map(|(endpoint, client)| (endpoint, Arc::new(client) as Arc<dyn HttpClient>));
    let telemetry = domicile_telemetry::start(TelemetrySettings {
        service_name: "domicile".to_owned(),
        service_version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_id: outside::ids().random::<WorkerId>().to_string(),
        region: settings.region.id.clone(),
        log_format: if std::io::stdout().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Json
        },
        log_filter: settings.log_filter.clone(),
        otlp,
    })?;
    Ok((telemetry, contacts))
}

async fn migrate(environment: Environment) -> Result<(), Failure> {
    let settings = Settings::from_environment(&environment)?;
    let (telemetry, _) = telemetry(&settings)?;
    let applied = apply_migrations(&settings).await;
    telemetry.shutdown().await;
    let mut out = std::io::stdout().lock();
    match applied? {
        applied if applied.is_empty() => writeln!(out, "The schema was up to date.")?,
        applied => writeln!(out, "Applied: {}", applied.join(", "))?,
    }
    Ok(())
}

async fn apply_migrations(settings: &Settings) -> Result<Vec<String>, Failure> {
    domicile_store::check_region_before_migrating(&settings.database, &settings.region.id).await?;
    Ok(domicile_store::migrate(&settings.database).await?)
}

async fn start(environment: Environment, role: Role) -> Result<(), Failure> {
    let settings = Settings::from_environment(&environment)?;
    let (telemetry, contacts) = telemetry(&settings)?;
    let telemetry = Arc::new(telemetry);
    if let Some(file) = &settings.region.file {
        info!(
            configuration.digest = file.digest,
            "the settings are what the region's file says"
        );
    }
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let listeners = Listeners::bind(&settings.http, role)?;
    let region = Region::build(settings, outside::ids())?.counting(contacts);
    region.check().await?;
    let result = server::run(region, role, listeners, Arc::clone(&telemetry), stop).await;
    if let Some(telemetry) = Arc::into_inner(telemetry) {
        telemetry.shutdown().await;
    }
    Ok(result?)
}

fn stop_on_signals(stop: &CancellationToken) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
        stop.cancel();
    });
    Ok(())
}
