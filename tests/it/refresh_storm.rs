//! Three replicas refresh a thousand grants for twenty rotations each while Zoom fails in every way that it has. What is
//! lost is exactly what Zoom itself had ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domicile::region::Region;
use domicile_kernel::LinkId;
use domicile_kernel::random::{random_bytes, unit_fraction};
use domicile_leases::{Workers, WorkersBuilder};
use domicile_linking::LinkingError;
use domicile_linking::jobs::GRANT_REFRESH;
use domicile_testkit::clock::SeededRng;
use domicile_testkit::token_endpoint::{Ending, Fault};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::harness::grants::{Grants, shown};

const GRANTS: u32 = 1_000;
const ROTATIONS: u32 = 20;
const REPLICAS: usize = 3;
/// Another seed is another storm; every one of them must pass.
const SEED: u64 = 20_261_125;
/// How many callers ask for a token in each round, on any replica, beside the jobs.
const CALLERS: u32 = 60;
/// So many grants of each kind are ended at Zoom by people, in the middle of it all.
const ENDED_OF_EACH: usize = 4;

/// The fault of a grant's nth request, the same for the same seed whichever replica makes it: of a thousand.
fn fault(seed: u64, grant: &str, nth: u32) -> Option<Fault> {
    let digest = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(grant)
        .chain_update(nth.to_le_bytes())
        .finalize();
    let draw = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) % 1_000;
    Some(match draw {
        0..40 => Fault::HangUp,
        40..70 => Fault::Outage(503),
        70..85 => Fault::Outage(500),
        85..105 => Fault::RateLimited(30),
        105..145 => Fault::Slow(20),
        145..147 => Fault::LoseAnswer,
        147 => Fault::GarbleAnswer,
        148 => Fault::OutageAfter(502),
        _ => return None,
    })
}

/// The fault's row in the table.
fn label(fault: Fault) -> &'static str {
    match fault {
        Fault::HangUp => "connection dropped before anything was done",
        Fault::LoseAnswer => "connection dropped after the rotation",
        Fault::GarbleAnswer => "unreadable success after the rotation",
        Fault::Outage(_) => "5xx, nothing done",
        Fault::OutageAfter(_) => "5xx after the rotation",
        Fault::RateLimited(_) => "429 with Retry-After",
        Fault::Slow(_) => "slow answer",
        Fault::HoldRequest | Fault::HoldAnswer => "held",
    }
}

struct Storm {
    world: Grants,
    replicas: Vec<Region>,
    links: Vec<LinkId>,
    rng: SeededRng,
    callers: BTreeMap<&'static str, u32>,
}

impl Storm {
    async fn start() -> Self {
        let world = Grants::with_plan(Arc::new(|grant, nth| fault(SEED, grant, nth))).await;
        let replicas = (0..REPLICAS).map(|_| world.replica()).collect();
        let links = world.links(GRANTS).await;
        Self {
            world,
            replicas,
            links,
            rng: SeededRng::new(SEED),
            callers: BTreeMap::new(),
        }
    }

    fn any(&self, below: usize) -> usize {
        let bytes: [u8; 8] = random_bytes(&self.rng);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(below).unwrap()).unwrap()
    }

    /// Wakes the workers, which otherwise find out by looking once a second.
    async fn wake(&self) {
        let wake = "SELECT pg_notify('domicile_jobs', 'grant.refresh')";
        self.world.client.execute(wake, &[]).await.unwrap();
    }

    /// Callers who need tokens now; two of them may want the same one on two replicas.
    fn call(&self) -> JoinSet<&'static str> {
        let mut calls = JoinSet::new();
        for _ in 0..CALLERS {
            let linking = self.replicas[self.any(REPLICAS)].linking.clone();
            let link = self.links[self.any(self.links.len())];
            let renew = unit_fraction(&self.rng) < 0.1;
            calls.spawn(async move {
                let token = match linking.access_token(link).await {
                    // As if Zoom's API had refused a token that another replica replaced long ago.
                    Ok(token) if renew && token.generation > 1 => {
                        linking.renew_access_token(link, token.generation - 1).await
                    }
                    token => token,
                };
                match token {
                    Ok(_) => "got a token",
                    Err(LinkingError::TokenUnavailable { .. }) => "told to come back",
                    Err(LinkingError::NeedsReauthorization(_)) => "told that the grant has ended",
                    Err(error) => panic!("{}", shown(&error)),
                }
            });
        }
        calls
    }

    /// Until no refresh is due or under way.
    async fn settle(&self) {
        let now = self.world.now().to_rfc3339();
        let sql = "SELECT count(*) FROM jobs WHERE kind = 'grant.refresh'
                   AND (status = 'leased' OR (status = 'queued' AND due_at <= $1::text::timestamptz))";
        let mut looks = interval(Duration::from_millis(50));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Nothing but nextest limits it: a thousand refreshes take as long as the machine is busy.
        loop {
            looks.tick().await;
            let row = self.world.client.query_one(sql, &[&now]).await.unwrap();
            if row.get::<_, i64>(0) == 0 {
                return;
            }
        }
    }

    /// How long until the last job that has something to make good; none when nothing is left of the round. Tokens in use
    /// are renewed no sooner than 45 minutes after they came.
    async fn trouble(&self) -> Option<TimeDelta> {
        let now = self.world.now();
        let sql =
            "SELECT (extract(epoch FROM max(due_at) - $1::text::timestamptz) * 1000000)::bigint FROM jobs
                   WHERE kind = 'grant.refresh' AND due_at <= $1::text::timestamptz + interval '30 minutes'";
        let row = self
            .world
            .client
            .query_one(sql, &[&now.to_rfc3339()])
            .await
            .unwrap();
        row.get::<_, Option<i64>>(0).map(TimeDelta::microseconds)
    }

    /// The idle grants are due, all of them; the round ends when nothing is left to be tried again.
    async fn round(&mut self) {
        self.world.idle();
        let mut calls = self.call();
        self.wake().await;
        while let Some(call) = calls.join_next().await {
            *self.callers.entry(call.unwrap()).or_default() += 1;
        }
        self.settle().await;
        while let Some(wait) = self.trouble().await {
            self.world.advance(wait);
            self.wake().await;
            self.settle().await;
        }
    }

    /// People end grants at Zoom: so many of each kind that are alive still.
    fn end_some(&self) -> BTreeMap<LinkId, &'static str> {
        let living: Vec<_> = self
            .links
            .iter()
            .copied()
            .filter(|link| self.lives_at_zoom(*link))
            .collect();
        let mut ended = BTreeMap::new();
        for (ending, reason) in [
            (Ending::Revoked, "revoked"),
            (Ending::UserGone, "user_gone"),
            (Ending::AppDisabled, "app_disabled"),
        ] {
            for link in living.iter().skip(ended.len() * 7).take(ENDED_OF_EACH) {
                self.world.zoom.end(&link.to_string(), ending);
                ended.insert(*link, reason);
            }
        }
        assert_eq!(ended.len(), 3 * ENDED_OF_EACH);
        ended
    }

    fn lives_at_zoom(&self, link: LinkId) -> bool {
        self.world.zoom.living_refresh_token(&link.to_string()).is_some()
    }

    /// Links that need a new authorization, each with its reason.
    async fn lost(&self) -> BTreeMap<LinkId, String> {
        let sql = "SELECT id::text, reauthorization_reason FROM links WHERE status = 'needs_reauthorization'";
        let rows = self.world.client.query(sql, &[]).await.unwrap();
        rows.iter()
            .map(|row| (row.get::<_, String>(0).parse().unwrap(), row.get(1)))
            .collect()
    }
}

/// A replica's workers for this one kind of job: the others would look for work that nobody has.
fn refreshers(region: &Region) -> Workers {
    domicile_linking::jobs::handlers(&region.linking, Vec::new())
        .into_iter()
        .filter(|handler| handler.kind() == GRANT_REFRESH)
        .fold(
            Workers::builder(region.db.clone(), region.ids.clone()),
            WorkersBuilder::handler,
        )
        .build()
}

/// What every grant came to, counted.
#[derive(Default)]
struct Tally {
    requests: u32,
    rotations: u32,
    refusals: u32,
    most_in_flight: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_refreshes_loses_no_grant_that_zoom_had_not_ended() {
    let began = Instant::now();
    let mut storm = Storm::start().await;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let mut running = JoinSet::new();
    for region in &storm.replicas {
        let (workers, stop) = (refreshers(region), stop.clone());
        running.spawn(async move { workers.run(stop).await });
    }
    let mut ended_by_people = BTreeMap::new();
    for round in 1..=ROTATIONS {
        if round == ROTATIONS / 2 {
            ended_by_people = storm.end_some();
        }
        storm.round().await;
    }
    stop.cancel();
    running.join_all().await;

    // Zoom's ledger and the rows, grant by grant.
    let lost = storm.lost().await;
    let (mut tally, mut unheard) = (Tally::default(), BTreeSet::new());
    for link in &storm.links {
        let name = link.to_string();
        let (seen, grant) = (storm.world.zoom.seen(&name), storm.world.grant(*link).await);
        let living = storm.world.zoom.living_refresh_token(&name);
        let kept = storm.world.kept_refresh_token(*link).await;
        let works = living.as_deref() == Some(kept.as_str());
        assert_eq!(lost.contains_key(link), !works, "{link}: {grant:?} {seen:?}");
        assert!(!grant.held, "{link}");
        assert_eq!(grant.state, if works { "fresh" } else { "ended" }, "{link}");
        assert_eq!(seen.most_in_flight, 1, "{link}");
        if works {
            assert_eq!(seen.rotations, ROTATIONS, "{link}: every rotation, and each once");
            assert_eq!(grant.generation, i64::from(ROTATIONS) + 1, "{link}");
            assert_eq!(seen.refusals, 0, "{link}");
        } else {
            assert_eq!(
                seen.refusals, 1,
                "{link}: Zoom said no once, and that was believed"
            );
            if !ended_by_people.contains_key(link) {
                // The storm ordered it: a request whose rotation nobody heard of.
                let order = (1..=seen.requests).filter_map(|nth| fault(SEED, &name, nth));
                assert!(order.into_iter().any(Fault::loses_the_pair), "{link}");
                unheard.insert(*link);
            }
        }
        tally.requests += seen.requests;
        tally.rotations += seen.rotations;
        tally.refusals += seen.refusals;
        tally.most_in_flight = tally.most_in_flight.max(seen.most_in_flight);
    }
    for (link, reason) in &lost {
        let expected = ended_by_people.get(link).copied().unwrap_or("lost_rotation");
        assert_eq!(reason, expected, "{link}");
    }
    let ordered: u32 = storm
        .world
        .zoom
        .faults()
        .iter()
        .filter(|(fault, _)| fault.loses_the_pair())
        .map(|(_, times)| times)
        .sum();
    assert!(!unheard.is_empty() && u32::try_from(unheard.len()).unwrap() <= ordered);
    let told = storm.world.events().await;
    assert_eq!(told.len(), lost.len(), "the app is told of each, once");
    print(&storm, &tally, &lost, &ended_by_people, began.elapsed());
}

#[expect(clippy::print_stdout, reason = "the table is what the test is for")]
fn print(
    storm: &Storm,
    tally: &Tally,
    lost: &BTreeMap<LinkId, String>,
    ended_by_people: &BTreeMap<LinkId, &'static str>,
    took: Duration,
) {
    let mut faults = BTreeMap::<_, u32>::new();
    for (fault, times) in storm.world.zoom.faults() {
        *faults.entry(label(fault)).or_default() += times;
    }
    let mut reasons = BTreeMap::<_, usize>::new();
    for reason in lost.values() {
        *reasons.entry(reason.as_str()).or_default() += 1;
    }
    let mut table = String::new();
    let mut row = |name: &str, value: String| writeln!(table, "| {name:<58} | {value:>8} |").unwrap();
    row("replicas", REPLICAS.to_string());
    row("grants", GRANTS.to_string());
    row("rotations wanted of each", ROTATIONS.to_string());
    row("requests that Zoom saw", tally.requests.to_string());
    row("rotations at Zoom", tally.rotations.to_string());
    for (fault, times) in &faults {
        row(&format!("fault: {fault}"), times.to_string());
    }
    for (outcome, times) in &storm.callers {
        row(&format!("callers beside the jobs: {outcome}"), times.to_string());
    }
    row(
        "most requests of one grant in flight",
        tally.most_in_flight.to_string(),
    );
    row("refusals (invalid_grant)", tally.refusals.to_string());
    row(
        "grants ended by people at Zoom",
        ended_by_people.len().to_string(),
    );
    for (reason, grants) in &reasons {
        row(&format!("grants lost: {reason}"), grants.to_string());
    }
    row("grants lost that Zoom had not ended", "0".to_owned());
    row(
        "grants that made every rotation",
        (storm.links.len() - lost.len()).to_string(),
    );
    row("seconds", format!("{:.1}", took.as_secs_f64()));
    println!("\n{table}");
}
