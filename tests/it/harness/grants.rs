//! Replicas of one region over one database, a token endpoint that fails as it is told, and grants in any number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use domicile::region::Region;
use domicile::settings::{Environment, Settings};
use domicile_kernel::{Clock, EventId, LinkId, Secret, Timestamp, ZoomAccountId};
use domicile_linking::{AccessToken, Link, LinkingError};
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use domicile_testkit::token_endpoint::{Pair, Plan, TokenEndpoint};
use domicile_vault::{KeyScope, Place, RegionKeys, Vault};
use serde_json::Value;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::world::{VAULT_KEY, World};

/// Connections of each replica.
const CONNECTIONS: usize = 12;

/// Everything around the replicas.
pub struct Grants {
    pub clock: TestClock,
    pub zoom: TokenEndpoint,
    pub client: Client,
    world: World,
    vault: Vault,
    environment: BTreeMap<String, String>,
    seeds: AtomicU64,
}

/// What a row of `grants` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    pub generation: i64,
    pub state: String,
    pub held: bool,
    pub failures: i32,
}

impl Grants {
    pub async fn start() -> Self {
        Self::with_plan(Arc::new(|_, _| None)).await
    }

    pub async fn with_plan(plan: Plan) -> Self {
        let (world, clock) = (World::without_region().await, TestClock::new());
        let zoom = TokenEndpoint::with_plan(&clock, plan).await;
        let mut environment = world.environment.clone();
        environment.insert("DOMICILE_ZOOM_OAUTH_URL".to_owned(), zoom.url().to_string());
        // Events stay in their table, where they are looked at.
        environment.retain(|name, _| !name.starts_with("DOMICILE_APP_EVENTS"));
        let keys = RegionKeys::parse(&Secret::from(format!("k1:{VAULT_KEY}").as_str())).unwrap();
        let vault = Vault::new(world.db.db(), ids(&clock, &SeededRng::new(u64::MAX)), keys);
        Self {
            client: world.db.client().await,
            clock,
            zoom,
            world,
            vault,
            environment,
            seeds: AtomicU64::new(1),
        }
    }

    pub fn db(&self) -> &TestDb {
        &self.world.db
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A process of its own, as far as it matters: pool, randomness, worker identity.
    pub fn replica(&self) -> Region {
        let environment: Environment = self.environment.clone().into_iter().collect();
        let mut settings =
            Settings::from_environment(&environment).unwrap_or_else(|faults| panic!("{faults}"));
        settings.database.max_connections = CONNECTIONS;
        let seed = self.seeds.fetch_add(1, Ordering::Relaxed);
        Region::build(settings, ids(&self.clock, &SeededRng::new(seed))).unwrap()
    }

    /// A link with a grant that was authorized just now, as a confirmation leaves them.
    pub async fn link(&self) -> LinkId {
        self.links(1).await.remove(0)
    }

    /// So many of them, over a hundred Zoom accounts.
    pub async fn links(&self, count: u32) -> Vec<LinkId> {
        let (now, expires_at) = (self.now(), self.now() + TimeDelta::hours(1));
        let api_url = &self.environment["DOMICILE_ZOOM_API_URL"];
        let mut made = Vec::new();
        for n in 0..count {
            let uuid =
                Uuid::from_u128(u128::from(self.seeds.fetch_add(1, Ordering::Relaxed)) << 64 | u128::from(n));
            let (link, account) = (LinkId::from(uuid), format!("account-{}", n % 100));
            let (access, refresh) = self
                .sealed(link, &account, &self.zoom.authorize(&link.to_string()))
                .await;
            made.push((uuid, account, access, refresh));
        }
        let ids: Vec<_> = made.iter().map(|row| row.0.to_string()).collect();
        let accounts: Vec<_> = made.iter().map(|row| row.1.clone()).collect();
        let (now, expires_at) = (now.to_rfc3339(), expires_at.to_rfc3339());
        let links = "INSERT INTO links (id, subject, zoom_client_id, zoom_account_id, zoom_user_id, status, scopes, created_at, updated_at)
                     SELECT id::uuid, 'user:' || id, 'client-of-eu', account, 'user-' || id, 'active', '{user:read:user}', at, at
                     FROM unnest($1::text[], $2::text[]) AS rows (id, account), CAST($3::text AS timestamptz) AS at";
        self.client
            .execute(links, &[&ids, &accounts, &now])
            .await
            .unwrap();
        let grants = "INSERT INTO grants (link_id, access_token_sealed, refresh_token_sealed, access_expires_at, api_url, generation, refreshed_at)
                      SELECT id::uuid, access, refresh, $4::text::timestamptz, $5, 1, $6::text::timestamptz
                      FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS rows (id, access, refresh)";
        let access: Vec<_> = made.iter().map(|row| row.2.clone()).collect();
        let refresh: Vec<_> = made.iter().map(|row| row.3.clone()).collect();
        self.client
            .execute(grants, &[&ids, &access, &refresh, &expires_at, api_url, &now])
            .await
            .unwrap();
        let jobs = "INSERT INTO jobs (id, kind, key, status, again, attempts, due_at, created_at, updated_at)
                    SELECT id::uuid, 'grant.refresh', id, 'queued', false, 0, at + interval '30 days', at, at
                    FROM unnest($1::text[]) AS rows (id), CAST($2::text AS timestamptz) AS at";
        self.client.execute(jobs, &[&ids, &now]).await.unwrap();
        made.into_iter().map(|row| LinkId::from(row.0)).collect()
    }

    async fn sealed(&self, link: LinkId, account: &str, pair: &Pair) -> (Vec<u8>, Vec<u8>) {
        let scope = KeyScope::Account(ZoomAccountId::new(account.to_owned()));
        let key = self.vault.key(&scope).await.unwrap();
        let seal = |column, text: &str| {
            key.seal(Place::new("grants", column, link), text.as_bytes())
                .unwrap()
        };
        (
            seal("access_token_sealed", &pair.access_token),
            seal("refresh_token_sealed", &pair.refresh_token),
        )
    }

    /// The user authorizes again, and what a confirmation writes is written.
    pub async fn reauthorize(&self, link: LinkId) {
        let pair = self.zoom.authorize(&link.to_string());
        let (access, refresh) = self.sealed(link, "account-0", &pair).await;
        let sql = "UPDATE grants SET access_token_sealed = $2, refresh_token_sealed = $3, access_expires_at = $4::text::timestamptz,
                          refreshed_at = $5::text::timestamptz,
                          generation = generation + 1, state = 'fresh', refresh_started_at = NULL, refresh_failures = 0,
                          refresh_not_before = NULL
                   WHERE link_id = $1::text::uuid";
        let expires_at = (self.now() + TimeDelta::hours(1)).to_rfc3339();
        let now = self.now().to_rfc3339();
        let rows = self
            .client
            .execute(sql, &[&link.to_string(), &access, &refresh, &expires_at, &now])
            .await
            .unwrap();
        assert_eq!(rows, 1);
    }

    /// The refresh token in the row, opened.
    pub async fn kept_refresh_token(&self, link: LinkId) -> String {
        let sql = "SELECT refresh_token_sealed FROM grants WHERE link_id = $1::text::uuid";
        let sealed: Vec<u8> = self
            .client
            .query_one(sql, &[&link.to_string()])
            .await
            .unwrap()
            .get(0);
        let place = Place::new("grants", "refresh_token_sealed", link);
        self.vault
            .open_text(place, &sealed)
            .await
            .unwrap()
            .expose()
            .clone()
    }

    pub async fn grant(&self, link: LinkId) -> GrantRow {
        let sql = "SELECT generation, state, refresh_lease_token IS NOT NULL, refresh_failures FROM grants WHERE link_id = $1::text::uuid";
        let row = self.client.query_one(sql, &[&link.to_string()]).await.unwrap();
        GrantRow {
            generation: row.get(0),
            state: row.get(1),
            held: row.get(2),
            failures: row.get(3),
        }
    }

    /// When the job of a link is due; none when it has none.
    pub async fn due_at(&self, link: LinkId) -> Option<Timestamp> {
        let column = micros("due_at");
        let sql = format!("SELECT {column} FROM jobs WHERE kind = 'grant.refresh' AND key = $1");
        let row = self.client.query_opt(&sql, &[&link.to_string()]).await.unwrap();
        row.map(|row| time(&row))
    }

    /// When a token of the link was last written down as used.
    pub async fn used_at(&self, link: LinkId) -> Timestamp {
        let column = micros("last_used_at");
        let sql = format!("SELECT {column} FROM grants WHERE link_id = $1::text::uuid");
        time(&self.client.query_one(&sql, &[&link.to_string()]).await.unwrap())
    }

    /// Types and data of the events about links, oldest first.
    pub async fn events(&self) -> Vec<(String, Value)> {
        let sql = "SELECT id::text, type, data_sealed FROM events ORDER BY sequence";
        let mut events = Vec::new();
        for row in self.client.query(sql, &[]).await.unwrap() {
            let place = Place::new(
                "events",
                "data_sealed",
                row.get::<_, String>(0).parse::<EventId>().unwrap(),
            );
            let data = self.vault.open(place, &row.get::<_, Vec<u8>>(2)).await.unwrap();
            events.push((row.get(1), serde_json::from_slice(data.expose()).unwrap()));
        }
        events
    }

    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by.to_std().unwrap());
    }

    /// Moves to the time when the idle grants are due.
    pub fn idle(&self) {
        self.advance(TimeDelta::days(40));
    }
}

/// The serial number of the pair that an access token belongs to.
pub fn serial(token: &AccessToken) -> u32 {
    token.token.expose().rsplit(':').next().unwrap().parse().unwrap()
}

/// A failure with all its causes, which must not show a token.
pub fn shown(error: &LinkingError) -> String {
    let mut text = format!("{error:?}");
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = next {
        text += &current.to_string();
        next = current.source();
    }
    assert!(!text.contains("refresh:") && !text.contains("access:"), "{text}");
    text
}

/// What stands in the way of a token.
pub async fn refused(region: &Region, link: LinkId) -> LinkingError {
    let error = region.linking.access_token(link).await.err().expect("no token");
    shown(&error);
    error
}

/// How long Zoom must be left alone.
pub fn wait_of(error: &LinkingError) -> Duration {
    match error {
        LinkingError::TokenUnavailable { retry_after, .. } => retry_after.expect("a time to wait"),
        other => panic!("{other:?}"),
    }
}

pub async fn link_of(region: &Region, link: LinkId) -> Link {
    region.linking.link(link).await.unwrap().unwrap()
}

/// A time as whole microseconds, which need no further types.
fn micros(column: &str) -> String {
    format!("(extract(epoch FROM {column}) * 1000000)::bigint")
}

fn time(row: &Row) -> Timestamp {
    DateTime::from_timestamp_micros(row.get(0)).unwrap()
}
