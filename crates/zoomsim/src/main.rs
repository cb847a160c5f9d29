//! `zoomsim`: a faithful Zoom on this machine, for development and tests.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use domicile_kernel::Rng;
use domicile_zoomsim::{SeededRng, SystemClock, SystemRng, Zoomsim, ZoomsimSettings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A faithful Zoom on this machine: OAuth, API, downloads and webhooks, for any client's development and tests.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Loopback address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Port of OAuth, the API, the control API and the pages; 0 takes a free one.
    #[arg(long, default_value_t = 4400)]
    port: u16,
    /// Port of the second host, from which downloads come; 0 takes a free one.
    #[arg(long, default_value_t = 4401)]
    media_port: u16,
    /// Keep users, apps, tokens, meetings and the webhook log in this JSON file over restarts.
    #[arg(long)]
    state_file: Option<PathBuf>,
    /// Divide Zoom's waits by this: at 60, a retry that comes after five minutes comes after five seconds.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Make the same ids, codes and tokens at each run. Do not combine with a state file that has been used.
    #[arg(long)]
    seed: Option<u64>,
    /// Give each retry of a webhook a new timestamp and signature.
    #[arg(long)]
    restamp_retries: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn")),
        )
        .with_writer(io::stderr)
        .init();
    let rng: Arc<dyn Rng> = match arguments.seed {
        Some(seed) => Arc::new(SeededRng::new(seed)),
        None => Arc::new(SystemRng),
    };
    // Before the listeners are up, so that a stop that comes early is not lost.
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let zoomsim = Zoomsim::start(ZoomsimSettings {
        address: arguments.address,
        port: arguments.port,
        media_port: arguments.media_port,
        clock: Arc::new(SystemClock),
        rng,
        state_file: arguments.state_file,
        tick: Some(Duration::from_millis(250)),
        time_scale: arguments.time_scale,
        restamp_retries: arguments.restamp_retries,
        ..ZoomsimSettings::default()
    })
    .await?;
    announce(&zoomsim);
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    zoomsim.shutdown().await;
    Ok(())
}

/// Tells where it listens. Whoever started it may have closed our output already: no reason to stop.
fn announce(zoomsim: &Zoomsim) {
    let _ = write!(
        io::stdout(),
        "desk         {}\nOAuth, API   {}\ncontrol API  {}\ndownloads    {}\n",
        zoomsim.oauth_url(),
        zoomsim.api_url(),
        zoomsim.control_url(),
        zoomsim.media_url(),
    );
}
