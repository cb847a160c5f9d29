//! Starting and stopping: two listeners over one state.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use chrono::TimeDelta;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::MovedClock;
use crate::settings::ZoomsimSettings;
use crate::sim::{Inner, Rules, Sim, Urls};
use crate::state::Store;
use crate::webhook::egress_sender::EgressSender;
use crate::{api, control_api, download, faults, oauth, pages};

/// Bodies that the simulator takes: raw events of its control API, at most.
const BODY_BYTES: usize = 8 * 1024 * 1024;
/// How long open answers may go on after a stop is asked for.
const DRAIN_SECONDS: u64 = 1;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It has no login of its own and must not be reached from outside.
    #[error("zoomsim listens on loopback addresses only, and {0} is none")]
    NotLoopback(IpAddr),
    /// A port is in use, or may not be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The state file is there but cannot be read.
    #[error("the state file cannot be read; move it away to begin anew")]
    StateFile(#[source] std::io::Error),
    /// The time scale is not a positive number.
    #[error("the time scale must be a positive number")]
    TimeScale,
}

/// A running simulator. Dropping it stops it without waiting.
pub struct Zoomsim {
    sim: Sim,
    servers: Vec<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
    ticker: Option<JoinHandle<()>>,
}

impl Zoomsim {
    /// Binds both listeners and serves until [`shutdown`](Self::shutdown). Must be called within a tokio runtime.
    #[expect(
        clippy::unused_async,
        reason = "says in its signature that a runtime is needed"
    )]
    pub async fn start(settings: ZoomsimSettings) -> Result<Self, StartError> {
        if !settings.address.is_loopback() {
            return Err(StartError::NotLoopback(settings.address));
        }
        if !(settings.time_scale.is_finite() && settings.time_scale > 0.0) {
            return Err(StartError::TimeScale);
        }
        let (main, base) = listen(SocketAddr::new(settings.address, settings.port))?;
        let control = base
            .join("control/")
            .map_err(|_| StartError::NotLoopback(settings.address))?;
        let (second, media) = listen(SocketAddr::new(settings.address, settings.media_port))?;
        let store = Store::open(settings.state_file, settings.rng.as_ref()).map_err(StartError::StateFile)?;
        let ahead = TimeDelta::milliseconds(store.read(|state| state.clock_ahead_ms));
        let limit = settings.webhook_limit;
        let sim = Sim(Arc::new(Inner {
            clock: MovedClock::new(settings.clock, ahead),
            rng: settings.rng,
            store,
            sender: settings
                .sender
                .unwrap_or_else(|| Arc::new(EgressSender::new(limit))),
            rules: Rules {
                time_scale: settings.time_scale,
                webhook_limit: limit,
                restamp_retries: settings.restamp_retries,
            },
            urls: Urls { base, media, control },
            runtime: Handle::current(),
            stop: CancellationToken::new(),
            calls: Mutex::default(),
            attempted: Notify::new(),
        }));
        let servers = vec![serve_main(&sim, main), serve_media(&sim, second)];
        let ticker = settings.tick.map(|every| tokio::spawn(tick(sim.clone(), every)));
        Ok(Self { sim, servers, ticker })
    }

    /// The state and its operations, the same as the control API's.
    pub fn sim(&self) -> &Sim {
        &self.sim
    }

    /// Base of `/oauth/authorize`, `/oauth/token` and `/oauth/revoke`; also of the pages.
    pub fn oauth_url(&self) -> &Url {
        &self.sim.0.urls.base
    }

    /// Base of `/v2`, as token answers name it in `api_url`.
    pub fn api_url(&self) -> &Url {
        &self.sim.0.urls.base
    }

    /// The second host, to which downloads redirect.
    pub fn media_url(&self) -> &Url {
        &self.sim.0.urls.media
    }

    /// Base of the control API, with a slash at its end, so that paths can be joined.
    pub fn control_url(&self) -> &Url {
        &self.sim.0.urls.control
    }

    /// Stops listening, lets open answers end for a moment, and waits for the servers to be gone.
    pub async fn shutdown(mut self) {
        self.sim.0.stop.cancel();
        for (handle, server) in std::mem::take(&mut self.servers) {
            handle.stop(true).await;
            if let Ok(Err(error)) = server.await {
                tracing::warn!(%error, "a listener did not end well");
            }
        }
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.await;
        }
    }
}

impl Drop for Zoomsim {
    fn drop(&mut self) {
        self.sim.0.stop.cancel();
        for (handle, _) in &self.servers {
            // The stop order is sent by the call; only its end would have to be awaited.
            drop(handle.stop(false));
        }
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, Url), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let url =
        Url::parse(&format!("http://{bound}/")).map_err(|error| failed(std::io::Error::other(error)))?;
    Ok((listener, url))
}

type Serving = (ServerHandle, JoinHandle<std::io::Result<()>>);

#[expect(
    clippy::expect_used,
    reason = "a listener that is bound already can be served"
)]
fn serve_main(sim: &Sim, listener: TcpListener) -> Serving {
    let data = web::Data::new(sim.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(BODY_BYTES))
            .route("/oauth/authorize", web::get().to(pages::consent::show))
            .route("/oauth/authorize", web::post().to(pages::consent::decide))
            .route("/oauth/token", web::post().to(oauth::token::token))
            .route("/oauth/revoke", web::post().to(oauth::token::revoke))
            .service(web::scope("/v2").configure(api::routes))
            .service(web::scope("/control").configure(control_api::routes))
            .service(
                web::resource(["/rec/download/{path}", "/rec/webhook_download/{path}"])
                    .route(web::get().to(download::first_host))
                    .route(web::head().to(download::first_host)),
            )
            .route("/rec/play/{path}", web::get().to(download::watch_page))
            .route("/rec/share/{path}", web::get().to(download::watch_page))
            .configure(pages::routes)
    });
    run(server
        .on_connect(faults::remember_connection)
        .workers(2)
        .disable_signals()
        .shutdown_timeout(DRAIN_SECONDS)
        .listen(listener)
        .expect("a bound listener is served")
        .run())
}

#[expect(
    clippy::expect_used,
    reason = "a listener that is bound already can be served"
)]
fn serve_media(sim: &Sim, listener: TcpListener) -> Serving {
    let data = web::Data::new(sim.clone());
    let server = HttpServer::new(move || {
        App::new().app_data(data.clone()).service(
            web::resource("/replay01/{path:.*}")
                .route(web::get().to(download::second_host))
                .route(web::head().to(download::second_host)),
        )
    });
    run(server
        .on_connect(faults::remember_connection)
        .workers(2)
        .disable_signals()
        .shutdown_timeout(DRAIN_SECONDS)
        .listen(listener)
        .expect("a bound listener is served")
        .run())
}

fn run(server: actix_web::dev::Server) -> Serving {
    (server.handle(), tokio::spawn(server))
}

async fn tick(sim: Sim, every: Duration) {
    while !sim.0.stop.is_cancelled() {
        sim.run_due().await;
        sim.wait(every).await;
    }
}
