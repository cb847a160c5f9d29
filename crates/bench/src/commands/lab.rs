//! The place where a measurement is made: a durable PostgreSQL, its databases, the servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::baseline::{self, ServerSettings};
use crate::failure::{Failure, Outcome};
use crate::machine::{self, Addresses, Postgres, SECRET, Server, ServerKind, Worker};

/// The service's database.
const DOMICILE: &str = "domicile";
/// The baseline's database.
const BASELINE: &str = "baseline";
/// What an empty inbox needs.
const EMPTY_INBOX: &str = "TRUNCATE inbox";

/// What every measurement can be told.
#[derive(Debug, Clone, Args)]
pub struct LabArgs {
    /// Add this many milliseconds to each fsync of PostgreSQL, as on a cloud volume
    #[arg(long, default_value_t = 0.0)]
    pub fsync_delay_ms: f64,
    /// Send events of so many Zoom accounts
    #[arg(long, default_value_t = 20)]
    pub accounts: usize,
    /// Give the service a variable more, or another value for one; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Append what the service logs to this file; without it the lines are written to nowhere
    #[arg(long, value_name = "FILE")]
    pub service_log: Option<PathBuf>,
    /// Put the service's request line and telemetry around the baseline and the ceiling too
    #[arg(long)]
    pub guarded: bool,
}

/// The running place.
#[derive(Debug)]
pub(super) struct Lab {
    /// Servers first, so that they end before the database.
    pub(super) servers: Vec<(ServerKind, Server)>,
    pub(super) postgres: Postgres,
}

impl Lab {
    /// Starts the database and these servers.
    pub(super) fn start(args: &LabArgs, kinds: &[ServerKind]) -> Outcome<Self> {
        machine::raise_descriptor_limit();
        let delay = Duration::try_from_secs_f64(args.fsync_delay_ms / 1000.0)?;
        let postgres = Postgres::start(delay)?;
        let mut lab = Self {
            servers: Vec::new(),
            postgres,
        };
        for kind in kinds {
            let server = match kind {
                ServerKind::Service => lab.service(args)?,
                ServerKind::Baseline => lab.other(args, true)?,
                ServerKind::Ceiling => lab.other(args, false)?,
            };
            lab.servers.push((*kind, server));
        }
        Ok(lab)
    }

    fn service(&self, args: &LabArgs) -> Outcome<Server> {
        self.postgres.create_database(DOMICILE)?;
        let addresses = Addresses::free()?;
        let environment = self.environment(args, &addresses)?;
        machine::run_domicile(&environment, "migrate")?;
        Server::service(addresses, environment, args.service_log.clone())
    }

    /// A `domicile work` beside the service.
    pub(super) fn worker(&self, args: &LabArgs) -> Outcome<Worker> {
        let addresses = Addresses::free()?;
        let environment = self.environment(args, &addresses)?;
        Worker::start(&environment, addresses.ops, args.service_log.as_deref())
    }

    fn environment(&self, args: &LabArgs, addresses: &Addresses) -> Outcome<BTreeMap<String, String>> {
        let objects = self.postgres.home().join("objects");
        fs::create_dir_all(&objects)?;
        let mut environment = machine::environment(addresses, &self.postgres.url(DOMICILE)?, &objects)?;
        for setting in &args.set {
            let (name, value) = setting
                .split_once('=')
                .ok_or_else(|| Failure(format!("--set {setting}: write NAME=VALUE")))?;
            environment.insert(name.to_owned(), value.to_owned());
        }
        Ok(environment)
    }

    fn other(&self, args: &LabArgs, stores: bool) -> Outcome<Server> {
        let database_url = if stores {
            self.postgres.create_database(BASELINE)?;
            for statement in baseline::UNTIL_EMPTY {
                self.postgres.run(BASELINE, statement)?;
            }
            Some(self.postgres.url(BASELINE)?)
        } else {
            None
        };
        let addresses = Addresses::free()?;
        let settings = ServerSettings {
            listen: addresses.public,
            secret: SECRET.to_owned(),
            database_url,
            guarded: args.guarded,
        };
        Server::other(addresses, settings)
    }

    /// The server of this kind.
    pub(super) fn server(&mut self, kind: ServerKind) -> Outcome<&mut Server> {
        let mut servers = self.servers.iter_mut();
        servers
            .find_map(|(other, server)| (*other == kind).then_some(server))
            .ok_or_else(|| Failure(format!("the {} was not started", kind.as_str())))
    }

    /// Empties the tables and writes everything to disk, so that no run pays for the one before.
    pub(super) fn fresh(&self) -> Outcome {
        for (kind, _) in &self.servers {
            match kind {
                ServerKind::Service => self.postgres.run(DOMICILE, EMPTY_INBOX)?,
                ServerKind::Baseline => {
                    for statement in baseline::UNTIL_EMPTY {
                        self.postgres.run(BASELINE, statement)?;
                    }
                }
                ServerKind::Ceiling => {}
            }
        }
        self.postgres.run("postgres", "CHECKPOINT")
    }

    /// How many rows a server has stored; none where it stores nothing.
    pub(super) fn rows(&self, kind: ServerKind) -> Outcome<Option<u64>> {
        let (database, table) = match kind {
            ServerKind::Service => (DOMICILE, "inbox"),
            ServerKind::Baseline => (BASELINE, "bench_baseline"),
            ServerKind::Ceiling => return Ok(None),
        };
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = self.postgres.with(database, async |client| {
            Ok(client.query_one(&sql, &[]).await?.try_get(0)?)
        })?;
        Ok(u64::try_from(count).ok())
    }

    /// The name of the service's database.
    pub(super) fn database() -> &'static str {
        DOMICILE
    }
}
