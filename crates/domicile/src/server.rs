//! The three listeners and the order in which everything stops.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use domicile_telemetry::Telemetry;
use domicile_web::guard::watch_connections;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::region::Region;
use crate::routes;
use crate::settings::{DRAIN_TIMEOUT, HttpSettings};

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers Zoom, browsers and the app.
    Serve,
    /// Does the background work.
    Work,
    /// Both.
    Run,
}

impl Role {
    fn serves(self) -> bool {
        self != Self::Work
    }

    fn works(self) -> bool {
        self != Self::Serve
    }
}

/// The sockets, bound before anything else so that a port in use stops the start.
pub struct Listeners {
    /// Zoom and browsers, and the app's backend; only where the role serves.
    pub requests: Option<RequestListeners>,
    /// The cluster.
    pub ops: TcpListener,
}

/// The sockets that only a serving process has.
pub struct RequestListeners {
    /// Zoom and browsers.
    pub public: TcpListener,
    /// The app's backend.
    pub app: TcpListener,
}

impl Listeners {
    /// Binds the configured addresses that the role needs.
    pub fn bind(http: &HttpSettings, role: Role) -> io::Result<Self> {
        let requests = if role.serves() {
            Some(RequestListeners {
                public: bind("DOMICILE_HTTP_PUBLIC_LISTEN", http.public_listen)?,
                app: bind("DOMICILE_HTTP_APP_LISTEN", http.app_listen)?,
            })
        } else {
            None
        };
        Ok(Self {
            requests,
            ops: bind("DOMICILE_HTTP_OPS_LISTEN", http.ops_listen)?,
        })
    }
}

fn bind(setting: &str, address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{setting}: cannot listen on {address}: {error}"),
        )
    })
}

/// Whether the process still takes new requests.
#[derive(Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// True once the stop has begun.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Runs the role until `stop` is cancelled, then drains: readiness goes first, requests in flight are answered, running
/// jobs end or are given back, probes stay to the last.
pub async fn run(
    region: Region,
    role: Role,
    listeners: Listeners,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
) -> io::Result<()> {
    let draining = Draining::default();
    let mut tasks = JoinSet::new();
    let mut requests: Vec<ServerHandle> = Vec::new();
    let ops = {
        let (region, draining) = (region.clone(), draining.clone());
        let server = HttpServer::new(move || {
            App::new().configure(|config| routes::ops(config, &region, &telemetry, &draining))
        })
        .listen(listeners.ops)?
        .workers(1)
        .disable_signals()
        .run();
        let handle = server.handle();
        tasks.spawn(server);
        handle
    };
    if let Some(listeners) = listeners.requests {
        let for_public = region.clone();
        let (head_timeout, keep_alive) = (region.settings.http.head_timeout, region.settings.http.keep_alive);
        let public = HttpServer::new(move || {
            App::new()
                .wrap(routes::public_guard(&for_public))
                .configure(|config| routes::public(config, &for_public))
        })
        .on_connect(watch_connections(keep_alive + head_timeout))
        .listen(listeners.public)?
        .keep_alive(keep_alive)
        .client_request_timeout(head_timeout)
        .shutdown_timeout(DRAIN_TIMEOUT.as_secs())
        .disable_signals()
        .run();
        let for_app = region.clone();
        let app = HttpServer::new(move || {
            App::new()
                .wrap(routes::app_guard(&for_app))
                .configure(|config| routes::app(config, &for_app))
        })
        .listen(listeners.app)?
        .client_request_timeout(head_timeout)
        .shutdown_timeout(DRAIN_TIMEOUT.as_secs())
        .disable_signals()
        .run();
        requests.extend([public.handle(), app.handle()]);
        tasks.spawn(public);
        tasks.spawn(app);
    }
    let contactbook = region.contactbook.clone();
    let (linking, intake) = (region.linking.clone(), region.intake.clone());
    let work_stop = stop.child_token();
    let mut work = JoinSet::new();
    let (for_contacts, contacts_stop) = (contactbook.clone(), work_stop.clone());
    work.spawn(async move { for_contacts.run(contacts_stop).await });
    if role.works() {
        let (workers, dispatcher) = (region.workers(), region.dispatcher());
        let (delivery, for_delivery) = (region.delivery.clone(), work_stop.clone());
        let (for_sampling, for_linking) = (linking.clone(), work_stop.clone());
        let (for_workers, for_dispatcher) = (work_stop.clone(), work_stop.clone());
        work.spawn(async move { delivery.sample(for_delivery).await });
        work.spawn(async move { for_sampling.sample(for_linking).await });
        let (vault, for_vault) = (region.vault.clone(), work_stop.clone());
        work.spawn(async move { vault.sample(for_vault).await });
        let (bot, for_bot) = (region.bot_eraser(), work_stop.clone());
        work.spawn(async move { bot.tidy(for_bot).await });
        work.spawn(async move { workers.run(for_workers).await });
        work.spawn(async move { dispatcher.run(for_dispatcher).await });
    }
    info!(region = %region.settings.region.id, role = ?role, "started");

    let ended = stop.run_until_cancelled(tasks.join_next()).await;
    draining.begin();
    info!("stopping: no new requests, what runs is finished");
    work_stop.cancel();
    for handle in &requests {
        handle.stop(true).await;
    }
    work.join_all().await;
    intake.finish(DRAIN_TIMEOUT).await;
    linking.finish_refreshes(DRAIN_TIMEOUT).await;
    contactbook.write().await;
    ops.stop(true).await;
    while tasks.join_next().await.is_some() {}
    match ended {
        // A listener that ended by itself is a failure, whatever it says.
        Some(Some(Ok(Err(error)))) => Err(error),
        Some(_) => Err(io::Error::other("a listener ended by itself")),
        None => Ok(()),
    }
}
