//! The database URL as a value.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use domicile_kernel::Secret;
use thiserror::Error;
use tokio_postgres::config::Host;

/// How to reach the database, parsed from `DOMICILE_DATABASE_URL`.
#[derive(Clone)]
pub struct DbSettings {
    pub(crate) postgres: tokio_postgres::Config,
    pub(crate) tls: TlsMode,
    /// The most connections that this process opens for its pool.
    pub max_connections: usize,
    /// How long a request waits for a free connection.
    pub wait_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsMode {
    Disable,
    VerifyFull { root_cert: Option<PathBuf> },
}

/// Why a database URL is not accepted. The texts never hold the URL, which has a password in it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidDatabaseUrl {
    /// It is not a PostgreSQL URL.
    #[error("it is not of the form postgres://user:password@host:port/database?sslmode=verify-full")]
    Malformed,
    /// It names no host.
    #[error("it names no host")]
    NoHost,
    /// It names no database.
    #[error("it names no database")]
    NoDatabase,
    /// A mode that would not authenticate the server.
    #[error(
        "sslmode={0} does not authenticate the server; use sslmode=verify-full, with sslrootcert=/path/ca.pem for a private authority"
    )]
    WeakTls(String),
    /// TLS is off for a host elsewhere.
    #[error("sslmode=disable is accepted only for a loopback host or a Unix socket; use sslmode=verify-full")]
    TlsRequired,
}

impl DbSettings {
    /// Where the database is, without user and password: `host:port/name`.
    pub fn place(&self) -> String {
        let hosts: Vec<_> = self
            .postgres
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(index, host)| {
                let port = self.postgres.get_ports().get(index).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    #[cfg(unix)]
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            })
            .collect();
        let name = self.postgres.get_dbname().unwrap_or_default();
        format!("{}/{name}", hosts.join(","))
    }

    /// Parses a `postgres://` URL. `sslmode` is `verify-full` where it is not given, or `disable`.
    pub fn parse(url: &Secret<String>) -> Result<Self, InvalidDatabaseUrl> {
        let url = url.expose();
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(InvalidDatabaseUrl::Malformed);
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut others = Vec::new();
        let (mut mode, mut root_cert) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => root_cert = Some(percent_decode(value)),
                _ => others.push(pair),
            }
        }
        let stripped = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", others.join("&"))
        };
        let mut postgres =
            tokio_postgres::Config::from_str(&stripped).map_err(|_| InvalidDatabaseUrl::Malformed)?;
        if postgres.get_hosts().is_empty() {
            return Err(InvalidDatabaseUrl::NoHost);
        }
        if postgres.get_dbname().is_none_or(str::is_empty) {
            return Err(InvalidDatabaseUrl::NoDatabase);
        }
        // `hostaddr` is where the connection goes, whatever the host is called.
        let local = postgres.get_hosts().iter().all(is_local)
            && postgres.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        let tls = match mode {
            Some("disable") if local => TlsMode::Disable,
            Some("disable") => return Err(InvalidDatabaseUrl::TlsRequired),
            None | Some("verify-full") => TlsMode::VerifyFull {
                root_cert: root_cert.map(PathBuf::from),
            },
            Some(other) => return Err(InvalidDatabaseUrl::WeakTls(other.to_owned())),
        };
        postgres
            .application_name("domicile")
            .connect_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(30))
            .options(
                "-c timezone=UTC -c statement_timeout=30000 -c lock_timeout=10000 \
                 -c idle_in_transaction_session_timeout=30000",
            )
            .ssl_mode(match tls {
                TlsMode::Disable => tokio_postgres::config::SslMode::Disable,
                TlsMode::VerifyFull { .. } => tokio_postgres::config::SslMode::Require,
            });
        Ok(Self {
            postgres,
            tls,
            max_connections: 16,
            wait_timeout: Duration::from_secs(5),
        })
    }
}

impl DbSettings {
    /// Where the database is and what it is called, `host:port/name`: what may be told of the URL. Of several hosts all are
    /// named.
    pub fn target(&self) -> String {
        let hosts: Vec<_> = self
            .postgres
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let ports: Vec<_> = self
            .postgres
            .get_ports()
            .iter()
            .map(ToString::to_string)
            .collect();
        let ports = if ports.is_empty() {
            "5432".to_owned()
        } else {
            ports.join(",")
        };
        let name = self.postgres.get_dbname().unwrap_or_default();
        format!("{}:{ports}/{name}", hosts.join(","))
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name.ends_with(".localhost")
                || name
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn percent_decode(text: &str) -> String {
    url::form_urlencoded::parse(format!("v={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<TlsMode, InvalidDatabaseUrl> {
        DbSettings::parse(&Secret::from(url)).map(|settings| settings.tls)
    }

    #[test]
    fn tls_with_verification_is_the_default_everywhere() {
        assert_eq!(
            parse("postgres://u:p@db.example/d"),
            Ok(TlsMode::VerifyFull { root_cert: None })
        );
        assert_eq!(
            parse("postgres://u:p@db.example/d?sslmode=verify-full&sslrootcert=%2Fca.pem"),
            Ok(TlsMode::VerifyFull {
                root_cert: Some("/ca.pem".into())
            })
        );
    }

    #[test]
    fn where_it_leads_is_told_without_user_and_password() {
        for (url, target) in [
            ("postgres://u:hunter2@db.example/d", "db.example:5432/d"),
            ("postgres://u:hunter2@db.example:6432/d", "db.example:6432/d"),
            (
                "postgres://u:hunter2@a.example,b.example:6432/d",
                "a.example,b.example:5432,6432/d",
            ),
        ] {
            let settings = DbSettings::parse(&Secret::from(url)).ok().unwrap();
            assert_eq!(settings.target(), target);
        }
    }

    #[test]
    fn clear_text_is_for_this_machine_alone() {
        assert_eq!(
            parse("postgres://u@127.0.0.1:5433/d?sslmode=disable"),
            Ok(TlsMode::Disable)
        );
        assert_eq!(
            parse("postgres://u@localhost/d?sslmode=disable"),
            Ok(TlsMode::Disable)
        );
        assert_eq!(
            parse("postgres://u@10.0.0.1/d?sslmode=disable"),
            Err(InvalidDatabaseUrl::TlsRequired)
        );
        assert_eq!(
            parse("postgres://u@localhost/d?sslmode=disable&hostaddr=10.0.0.1"),
            Err(InvalidDatabaseUrl::TlsRequired)
        );
        assert_eq!(
            parse("postgres://u@127.0.0.1,db.example/d?sslmode=disable"),
            Err(InvalidDatabaseUrl::TlsRequired)
        );
    }

    #[test]
    fn weaker_modes_are_refused_by_name() {
        for mode in ["allow", "prefer", "require", "verify-ca"] {
            assert_eq!(
                parse(&format!("postgres://u@db.example/d?sslmode={mode}")),
                Err(InvalidDatabaseUrl::WeakTls(mode.to_owned()))
            );
        }
    }

    #[test]
    fn faults_never_repeat_the_url() {
        for url in [
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2@h:notaport/d",
            "postgres://u:hunter2@h",
        ] {
            assert!(!parse(url).unwrap_err().to_string().contains("hunter2"));
        }
    }
}
