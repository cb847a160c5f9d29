//! What runs in one namespace: a region with all that is its own, or the simulated Zoom.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
use url::Url;

use super::network::{EU, Side, US, ZOOM};
use super::plant::Records;
use super::space::Space;
use super::verdict::Destinations;
use super::{forward, plant};
use crate::demo::report::Report;
use crate::demo::story::Story;
use crate::dev::secrets::Secrets;
use crate::dev::service::folder;
use crate::dev::stack::{Identity, Places, Region, Stack, ZoomPlan, at};
use crate::dev::zoom::Zoom;
use crate::run::{Failure, Outcome};

/// Zoomsim's ports, on its own loopback, on its uplink and, by the forwarders, on each region's loopback.
const ZOOM_PORTS: [(u16, &str); 2] = [(ZOOM_PORT, "zoomsim"), (MEDIA_PORT, "zoomsim's downloads")];
const ZOOM_PORT: u16 = 4400;
const MEDIA_PORT: u16 = 4420;

/// The size of the story's video: many packets, and soon over.
const VIDEO_BYTES: u64 = 4 * 1024 * 1024;

/// The regions. Their ports differ, since zoomsim knows a region by its port on zoomsim's own loopback.
pub(crate) const REGIONS: [RegionPlan; 2] = [
    RegionPlan {
        side: EU,
        name: "European Union",
        public: 8400,
    },
    RegionPlan {
        side: US,
        name: "United States",
        public: 8500,
    },
];

/// A region to start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RegionPlan {
    pub(crate) side: Side,
    pub(crate) name: &'static str,
    /// The first of its ports.
    pub(crate) public: u16,
}

impl RegionPlan {
    /// Where the other namespaces reach its public listener.
    pub(crate) fn public_address(self) -> SocketAddr {
        (self.side.address(), self.public).into()
    }

    fn region(self, directory: PathBuf, home: PathBuf) -> Outcome<Region> {
        Ok(Region {
            id: self.side.name,
            name: self.name,
            identity: Identity::Confirm,
            directory: Some(directory),
            public: self.public,
            app: self.public + 1,
            ops: self.public + 2,
            demo: self.public + 3,
            secrets: Secrets::open(&home.join("secrets.json"))?,
            folder: home,
        })
    }
}

/// A namespace and what was started in it.
pub(crate) struct Place {
    pub(crate) side: Side,
    pub(crate) space: Space,
    home: PathBuf,
    /// Taken when it is stopped.
    stack: Arc<Mutex<Option<Stack>>>,
}

/// A region that runs.
pub(crate) struct Site {
    pub(crate) plan: RegionPlan,
    /// Where anything in its namespace may connect to.
    pub(crate) destinations: Destinations,
    region: Region,
    zoom: Zoom,
    database_url: String,
    /// What the fence has refused.
    refused: u64,
    /// What was written down about whom it talked to, once it is stopped.
    pub(crate) records: Option<Records>,
}

impl Place {
    pub(crate) fn new(side: Side, home: &Path) -> Outcome<Self> {
        let home = folder(home.to_owned())?;
        let stack = Stack::new(Places::new(home.join("logs"))?);
        Ok(Self {
            side,
            space: Space::new(side.name)?,
            home,
            stack: Arc::new(Mutex::new(Some(stack))),
        })
    }

    /// Starts the simulated Zoom. It listens on loopback alone, and calls the regions there too.
    pub(crate) async fn start_zoom(&self) -> Outcome {
        let (stack, address) = (Arc::clone(&self.stack), self.side.address());
        let start = async move {
            let plan = ZoomPlan {
                port: ZOOM_PORT,
                media_port: MEDIA_PORT,
                state_file: None,
            };
            running(stack).await?.start_zoom(&plan).await?;
            for (port, _) in ZOOM_PORTS {
                forward::open((address, port).into(), loopback(port)).await?;
            }
            for plan in REGIONS {
                forward::open(loopback(plan.public), plan.public_address()).await?;
            }
            Ok(())
        };
        self.space.run(start).await
    }

    /// Starts a region with its own PostgreSQL, storage and app, and registers it at Zoom.
    pub(crate) async fn start_region(&self, plan: RegionPlan, directory: &Path) -> Outcome<Site> {
        let stack = Arc::clone(&self.stack);
        let region = plan.region(directory.to_owned(), self.home.clone())?;
        let start = async move {
            for (port, _) in ZOOM_PORTS {
                forward::open(loopback(port), (ZOOM.address(), port).into()).await?;
            }
            forward::open(plan.public_address(), loopback(plan.public)).await?;
            let mut stack = running(stack).await?;
            let zoom = Zoom::new(stack.http.clone(), at(ZOOM_PORT, "/"));
            let database_url = stack.start_database(&region, true).await?;
            stack.start_demo_app(&region, &zoom.base).await?;
            stack
                .start_region(&region, database_url.clone(), &zoom.base)
                .await?;
            zoom.ensure_people(&region).await?;
            zoom.ensure_app(&region, region.public..region.public).await?;
            Ok(Site {
                plan,
                destinations: destinations(plan, &region, &database_url)?,
                region,
                zoom,
                database_url,
                refused: 0,
                records: None,
            })
        };
        self.space.run(start).await
    }

    /// Asks the kernel in which namespace each of the processes is.
    pub(crate) async fn prove_inside(&self, site: Option<&Site>) -> Outcome {
        let stack = Arc::clone(&self.stack);
        let database_url = site.map(|site| site.database_url.clone());
        let ask = async move {
            let mut found = Vec::new();
            for (name, process_id) in running(stack).await?.process_ids() {
                found.push((name, namespace_of(process_id)?));
            }
            if let Some(url) = database_url {
                found.push(("PostgreSQL".to_owned(), namespace_of_server(&url).await?));
            }
            Ok(found)
        };
        let mut names = Vec::new();
        for (name, inside) in self.space.run(ask).await? {
            if inside != self.space.id {
                let (inside, here) = (inside.display(), self.space.id.display());
                return Err(Failure(format!("{name} runs in {inside}, not in {here}")));
            }
            names.push(name);
        }
        let (name, id) = (self.side.name, self.space.id.display());
        println!("      {name:<4} {id}: {}", names.join(", "));
        Ok(())
    }

    /// Plays the whole story, and then the planted attempt to call the other region.
    pub(crate) async fn play(&self, mut site: Site, other: SocketAddr) -> Outcome<Site> {
        let stack = Arc::clone(&self.stack);
        let play = async move {
            let http = running(stack).await?.http.clone();
            let report = Report::labelled(site.plan.side.name);
            let mut story = Story::new(report, http, site.zoom, site.region)?;
            story.play(VIDEO_BYTES).await?;
            site.refused = plant::plant(&mut story, other).await?;
            (site.region, site.zoom) = (story.region, story.zoom);
            Ok(site)
        };
        self.space.run(play).await
    }

    /// Stops the region, so that it writes down whom it talked to, and reads that.
    pub(crate) async fn read_records(&self, mut site: Site, other: SocketAddr) -> Outcome<Site> {
        let stack = Arc::clone(&self.stack);
        let read = async move {
            running(stack).await?.stop_region(&site.region).await?;
            let records = plant::records(&site.database_url, other).await?;
            // A later attempt of the region's own may have been refused meanwhile.
            if records.refused < site.refused || records.audited == 0 {
                return Err(Failure(format!(
                    "{} calls were refused; written down are {} with {} audit entries",
                    site.refused, records.refused, records.audited
                )));
            }
            site.records = Some(records);
            Ok(site)
        };
        self.space.run(read).await
    }

    /// Stops all that was started here.
    pub(crate) async fn take_down(&self, failed: bool) -> Outcome {
        let stack = Arc::clone(&self.stack);
        let stop = async move {
            let Some(stack) = stack.lock().await.take() else {
                return Ok(());
            };
            if failed {
                eprintln!("\n{}", stack.tails());
            }
            stack.stop(|_| {}).await
        };
        self.space.run(stop).await
    }
}

async fn running(stack: Arc<Mutex<Option<Stack>>>) -> Outcome<OwnedMappedMutexGuard<Option<Stack>, Stack>> {
    OwnedMutexGuard::try_map(stack.lock_owned().await, Option::as_mut)
        .map_err(|_| Failure("everything was stopped".to_owned()))
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Everything in a region's namespace that is ever connected to.
fn destinations(plan: RegionPlan, region: &Region, database_url: &str) -> Outcome<Destinations> {
    let database = Url::parse(database_url)?;
    let database = database
        .port()
        .ok_or_else(|| Failure("the database's URL has no port".to_owned()))?;
    let mut named: Destinations = [
        (database, "PostgreSQL"),
        (region.public, "the region's public listener"),
        (region.app, "the region's App API"),
        (region.ops, "the region's operations listener"),
        (region.demo, "the app"),
    ]
    .map(|(port, name)| (loopback(port), name.to_owned()))
    .into();
    for (port, name) in ZOOM_PORTS {
        named.insert(loopback(port), format!("{name}, by the forwarder"));
        named.insert((ZOOM.address(), port).into(), name.to_owned());
    }
    named.insert(
        plan.public_address(),
        "the region's public listener, from Zoom".to_owned(),
    );
    Ok(named)
}

fn namespace_of(process_id: u32) -> Outcome<PathBuf> {
    Ok(std::fs::read_link(format!("/proc/{process_id}/ns/net"))?)
}

/// The namespace of the PostgreSQL that answers here.
async fn namespace_of_server(database_url: &str) -> Outcome<PathBuf> {
    let (client, connection) = tokio_postgres::connect(database_url, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
    // The process lives as long as the connection.
    let namespace = namespace_of(u32::try_from(row.try_get::<_, i32>(0)?)?);
    connection.abort();
    namespace
}
