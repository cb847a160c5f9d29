//! A rolling restart under load: three `serve` and three `work` processes behind a load balancer, replaced one by one while
//! Zoom sends, with the next release's schema in between. Not one answer to Zoom is other than 2xx, nothing is lost, nothing
//! is done twice. With `DOMICILE_TEST_PREVIOUS_BINARY` the processes that are replaced are those of an older release, on the
//! schema of this one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use domicile::outside::SystemClock;
use domicile_egress::Client;
use domicile_kernel::{Clock, Secret};
use domicile_zoom::signature::sign;
use domicile_zoomsim::FileKind;
use http::Request;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::harness::process::Process;
use crate::harness::world::{ALICE, WEBHOOK_SECRET, World};
use crate::harness::{PATIENCE, eventually};

/// Between two events of the steady load.
const BEAT: Duration = Duration::from_millis(30);
const SERVING: usize = 3;

/// Where a backend takes requests, and where it says whether it is ready.
#[derive(Clone)]
struct Backend {
    public: SocketAddr,
    ready: Url,
}

/// The way to a backend. Whoever may still take it holds `open`.
#[derive(Clone)]
struct Way {
    public: SocketAddr,
    open: Arc<()>,
}

/// A backend that gets connections while it says that it is ready.
#[derive(Clone)]
struct Member {
    ready: Url,
    way: Way,
}

/// A load balancer as a cluster has one: it sends each connection to one of the backends whose readiness was seen last.
struct Balancer {
    address: SocketAddr,
    members: Arc<Mutex<Vec<Member>>>,
    healthy: Arc<Mutex<Vec<Way>>>,
    tasks: Vec<AbortHandle>,
}

impl Balancer {
    fn start(listener: std::net::TcpListener, client: Client) -> Self {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let (members, healthy) = (
            Arc::<Mutex<Vec<Member>>>::default(),
            Arc::<Mutex<Vec<Way>>>::default(),
        );
        let checking = {
            let (members, healthy) = (Arc::clone(&members), Arc::clone(&healthy));
            async move {
                let mut ticks = interval(Duration::from_millis(100));
                loop {
                    ticks.tick().await;
                    let known = members.lock().unwrap().clone();
                    let mut ready = Vec::new();
                    for member in known {
                        if is_ready(&client, &member.ready).await {
                            ready.push(member.way);
                        }
                    }
                    // Who was taken out meanwhile does not come back.
                    let members = members.lock().unwrap();
                    ready.retain(|way| members.iter().any(|member| member.way.public == way.public));
                    *healthy.lock().unwrap() = ready;
                }
            }
        };
        let proxying = {
            let (healthy, next) = (Arc::clone(&healthy), AtomicUsize::new(0));
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let healthy = healthy.lock().unwrap().clone();
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(serve(stream, healthy, turn));
                    while connections.try_join_next().is_some() {}
                }
            }
        };
        let tasks = vec![
            tokio::spawn(checking).abort_handle(),
            tokio::spawn(proxying).abort_handle(),
        ];
        Self {
            address,
            members,
            healthy,
            tasks,
        }
    }

    fn add(&self, backend: Backend) {
        self.members.lock().unwrap().push(Member {
            ready: backend.ready,
            way: Way {
                public: backend.public,
                open: Arc::default(),
            },
        });
    }

    /// No new connection goes there any more, and those that went there have ended. In a cluster both are sure before the
    /// signal comes, since `preStop` waits for longer than Zoom does.
    async fn drain(&self, public: SocketAddr) {
        let open = {
            let mut members = self.members.lock().unwrap();
            let at = members
                .iter()
                .position(|member| member.way.public == public)
                .unwrap();
            let member = members.remove(at);
            self.healthy.lock().unwrap().retain(|way| way.public != public);
            member.way.open
        };
        eventually("the end of its connections", async || {
            (Arc::strong_count(&open) == 1).then_some(())
        })
        .await;
    }

    async fn ready(&self, backends: usize) {
        eventually("ready backends", async || {
            (self.healthy.lock().unwrap().len() == backends).then_some(())
        })
        .await;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A connection that no backend takes goes to the next one.
async fn serve(mut client: TcpStream, healthy: Vec<Way>, turn: usize) {
    for at in 0..healthy.len() {
        let way = healthy[(turn + at) % healthy.len()].clone();
        if let Ok(mut server) = TcpStream::connect(way.public).await {
            // The others are waited for no longer.
            drop(healthy);
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

async fn is_ready(client: &Client, url: &Url) -> bool {
    let request = Request::get(url.as_str()).body(Bytes::new()).unwrap();
    matches!(client.send(request).await, Ok(answer) if answer.status() == 200)
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// One process with addresses of its own.
struct Replica {
    process: Process,
    backend: Backend,
}

impl Replica {
    fn start(environment: &BTreeMap<String, String>, role: &str) -> Self {
        Self::begin(Process::start, environment, role, None)
    }

    /// One of the release that is replaced.
    fn previous(environment: &BTreeMap<String, String>, role: &str, app: Option<SocketAddr>) -> Self {
        Self::begin(Process::start_previous, environment, role, app)
    }

    fn begin(
        start: impl FnOnce(&BTreeMap<String, String>, &str) -> Process,
        environment: &BTreeMap<String, String>,
        role: &str,
        app: Option<SocketAddr>,
    ) -> Self {
        let (public, ops) = (free(), free());
        let mut environment = environment.clone();
        for (name, address) in [
            ("DOMICILE_HTTP_PUBLIC_LISTEN", public),
            ("DOMICILE_HTTP_OPS_LISTEN", ops),
            ("DOMICILE_HTTP_APP_LISTEN", app.unwrap_or_else(free)),
        ] {
            environment.insert(name.to_owned(), address.to_string());
        }
        Self {
            process: start(&environment, role),
            backend: Backend {
                public,
                ready: Url::parse(&format!("http://{ops}/readyz")).unwrap(),
            },
        }
    }

    async fn ready(&self, client: &Client) {
        eventually("readiness", async || {
            is_ready(client, &self.backend.ready).await.then_some(())
        })
        .await;
    }

    async fn stop(mut self) {
        self.process.signal(Signal::SIGTERM);
        assert!(self.process.ended().await.success());
    }
}

/// Sends signed events at a steady rate until it is told to stop; every event is another one.
struct Load {
    stop: CancellationToken,
    sending: tokio::task::JoinHandle<Vec<String>>,
    sent: Arc<AtomicU64>,
}

impl Load {
    fn start(to: Url, client: Client) -> Self {
        let (stop, sent) = (CancellationToken::new(), Arc::<AtomicU64>::default());
        let (stopped, counter) = (stop.clone(), Arc::clone(&sent));
        let sending = tokio::spawn(async move {
            let mut ticks = interval(BEAT);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut requests, mut bad) = (JoinSet::new(), Vec::new());
            for number in 0_u64.. {
                if stopped.run_until_cancelled(ticks.tick()).await.is_none() {
                    break;
                }
                requests.spawn(send(to.clone(), client.clone(), number));
                counter.fetch_add(1, Ordering::Relaxed);
                while let Some(ended) = requests.try_join_next() {
                    bad.extend(ended.unwrap());
                }
            }
            while let Some(ended) = requests.join_next().await {
                bad.extend(ended.unwrap());
            }
            bad
        });
        Self { stop, sending, sent }
    }

    /// Waits until so many more events were sent.
    async fn goes_on(&self, more: u64) {
        let from = self.sent.load(Ordering::Relaxed);
        eventually("more events", async || {
            (self.sent.load(Ordering::Relaxed) >= from + more).then_some(())
        })
        .await;
    }

    /// How many were sent, and every answer that was not 2xx.
    async fn end(self) -> (u64, Vec<String>) {
        self.stop.cancel();
        let bad = self.sending.await.unwrap();
        (self.sent.load(Ordering::Relaxed), bad)
    }
}

/// As Zoom does: one connection for each event. The answer, if it is not 2xx in time.
async fn send(url: Url, client: Client, number: u64) -> Option<String> {
    let now = SystemClock.now();
    let body = json!({
        "event": "meeting.ended",
        "event_ts": now.timestamp_millis(),
        "payload": {"account_id": "account-of-the-load", "object": {"uuid": format!("load-{number}"), "host_id": "nobody"}},
    })
    .to_string();
    let request = Request::post(url.as_str())
        .header("content-type", "application/json")
        .header("connection", "close")
        .header("x-zm-request-timestamp", now.timestamp().to_string())
        .header(
            "x-zm-signature",
            sign(&Secret::from(WEBHOOK_SECRET), now.timestamp(), body.as_bytes()),
        )
        .body(Bytes::from(body))
        .unwrap();
    // Zoom waits for three seconds; a busy machine that runs this must not fail by that.
    match timeout(PATIENCE, client.send(request)).await {
        Ok(Ok(answer)) if answer.status().is_success() => None,
        Ok(Ok(answer)) => Some(format!("event {number}: {}", answer.status())),
        Ok(Err(error)) => Some(format!("event {number}: {error:?}")),
        Err(_) => Some(format!("event {number}: no answer in time")),
    }
}

/// The schema of the next release: something is added, nothing is taken away, as its migration does it under the lock.
const NEXT_SCHEMA: &str = "
    BEGIN;
    ALTER TABLE inbox ADD COLUMN of_the_next_release text;
    ALTER TABLE jobs ADD COLUMN of_the_next_release integer NOT NULL DEFAULT 0;
    CREATE TABLE things_of_the_next_release (id uuid PRIMARY KEY);
    INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000001');
    COMMIT;";

#[tokio::test(flavor = "multi_thread")]
async fn six_processes_are_replaced_one_by_one_under_load_and_zoom_notices_nothing() {
    let mut world = World::without_region().await;
    let public = world.public_url.socket_addrs(|| None).unwrap()[0];
    let app = world.app_url.socket_addrs(|| None).unwrap()[0];
    world.release_ports();
    let balancer = Balancer::start(std::net::TcpListener::bind(public).unwrap(), world.client.clone());
    assert_eq!(balancer.address, public);

    let (mut serving, mut working) = (Vec::new(), Vec::new());
    for number in 0..SERVING {
        let replica = Replica::previous(&world.environment, "serve", (number == 0).then_some(app));
        replica.ready(&world.client).await;
        balancer.add(replica.backend.clone());
        serving.push(replica);
        working.push(Replica::previous(&world.environment, "work", None));
    }
    balancer.ready(SERVING).await;
    world.register_app().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let mut recordings = BTreeSet::new();

    let load = Load::start(
        world.public_url.join("/zoom/events").unwrap(),
        world.client.clone(),
    );
    load.goes_on(50).await;
    for number in 0..SERVING {
        // A recording is announced before each exchange, so that its jobs run across it.
        let uuid = world.recording(&user, &[(FileKind::Mp4, 300_000), (FileKind::Chat, 700)]);
        world.finish(&uuid).await;
        recordings.insert(uuid);

        // First the new one, then the old one goes, as maxUnavailable: 0 has it.
        let old = serving.remove(0);
        let fresh = Replica::start(&world.environment, "serve");
        fresh.ready(&world.client).await;
        balancer.add(fresh.backend.clone());
        balancer.ready(SERVING + 1).await;
        balancer.drain(old.backend.public).await;
        old.stop().await;
        serving.push(fresh);

        let old = working.remove(0);
        let fresh = Replica::start(&world.environment, "work");
        fresh.ready(&world.client).await;
        old.stop().await;
        working.push(fresh);

        if number == 0 {
            // Five old processes and one new: the schema changes under all of them.
            world.db.client().await.batch_execute(NEXT_SCHEMA).await.unwrap();
            balancer.ready(SERVING).await;
        }
        load.goes_on(50).await;
    }

    let told = |events: &[domicile_testkit::app::ReceivedEvent]| stored(events).len() == SERVING;
    let events = world.app.wait_for_events(PATIENCE, told).await;
    let events = events.unwrap_or_else(|events| panic!("told of {:?}", stored(&events)));
    let (sent, bad) = load.end().await;
    assert_eq!(bad, [""; 0], "of {sent}");
    assert!(sent >= 200, "{sent} is no load");

    // Nothing lost, nothing twice: each event of the load is one row, dispatched or kept with its reason.
    let client = world.db.client().await;
    let sql = "SELECT count(*) FROM inbox WHERE zoom_account_id = 'account-of-the-load'";
    assert_eq!(
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0),
        i64::try_from(sent).unwrap()
    );
    let pending = "SELECT count(*) FROM inbox WHERE status = 'pending'";
    eventually("an empty inbox", async || {
        (client.query_one(pending, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    let told: Vec<_> = stored(&events);
    assert_eq!(
        told.len(),
        recordings.len(),
        "each recording is told once: {told:?}"
    );
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), recordings);
    assert!(
        world.app.events().iter().all(|event| event.duplicates == 0),
        "no event was delivered twice"
    );
    let files = "SELECT count(*) FROM recording_files WHERE status = 'stored'";
    assert_eq!(
        client.query_one(files, &[]).await.unwrap().get::<_, i64>(0),
        2 * 3
    );

    for replica in serving.into_iter().chain(working) {
        replica.stop().await;
    }
}

/// The meetings of which the app was told that their recording is stored.
fn stored(events: &[domicile_testkit::app::ReceivedEvent]) -> Vec<String> {
    let events = events.iter().map(domicile_testkit::app::ReceivedEvent::event);
    events
        .filter(|event| event["type"] == "recording.stored")
        .map(|event| {
            event["data"]["recording"]["meeting"]["uuid"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}
