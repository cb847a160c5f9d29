//! How a simulator is started.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domicile_kernel::{Clock, Rng};

use crate::clock::SystemClock;
use crate::random::SystemRng;
use crate::webhook::sender::WebhookSender;

/// How a simulator is started. The default is right for a test: free ports, real clock, nothing kept.
#[derive(Clone)]
pub struct ZoomsimSettings {
    /// The address to listen on; `127.0.0.1`. It is also the host of every URL that the simulator names.
    pub address: IpAddr,
    /// Port of OAuth, API, control API and pages; 0 takes a free one.
    pub port: u16,
    /// Port of the second host, from which downloads come; 0 takes a free one.
    pub media_port: u16,
    /// The time. `advance` moves the simulator ahead of it.
    pub clock: Arc<dyn Clock>,
    /// Where ids, codes and tokens come from.
    pub rng: Arc<dyn Rng>,
    /// Sends webhooks; absent: over HTTP, to loopback hosts only.
    pub sender: Option<Arc<dyn WebhookSender>>,
    /// Keeps the state over restarts, as JSON.
    pub state_file: Option<PathBuf>,
    /// How often due retries and challenges are looked for by themselves; absent: only when `run_due` is called.
    pub tick: Option<Duration>,
    /// Zoom's waits (retries, challenges) are divided by this; time stamps stay true. 1 is Zoom's own pace.
    pub time_scale: f64,
    /// How long a receiver may take; Zoom's 3 seconds.
    pub webhook_limit: Duration,
    /// Whether a retry carries a new timestamp and signature. Zoom does not say; `false` is the harder case.
    pub restamp_retries: bool,
}

impl Default for ZoomsimSettings {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            media_port: 0,
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            sender: None,
            state_file: None,
            tick: None,
            time_scale: 1.0,
            webhook_limit: Duration::from_secs(3),
            restamp_retries: false,
        }
    }
}
