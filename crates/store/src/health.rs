//! What the database says of itself, for the metrics.

use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use domicile_kernel::{Clock, Timestamp};
use opentelemetry::{KeyValue, global};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::db::Db;
use crate::error::StoreError;
use crate::metrics::METRICS;

/// How often the server is asked. The size of a database is the sum over its files, so this is not done more often.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(30);

/// An answer that took longer says nothing of clocks.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(2);

/// Sums and settings alone: every role may read these, and none of them walks a table of ours.
const QUERY: &str = "SELECT pg_database_size(current_database()) AS size_bytes, \
     (SELECT sum(numbackends)::bigint FROM pg_stat_database) AS connections, \
     current_setting('max_connections')::bigint AS max_connections, \
     (SELECT age(datfrozenxid)::bigint FROM pg_database WHERE datname = current_database()) AS transaction_age, \
     clock_timestamp() AS now";

/// What the server says.
#[derive(Debug, QueryableByName)]
pub(crate) struct ServerHealth {
    #[diesel(sql_type = BigInt)]
    pub(crate) size_bytes: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) connections: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) max_connections: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) transaction_age: i64,
    #[diesel(sql_type = Timestamptz)]
    now: Timestamp,
}

impl Db {
    /// Shows the pool in the metrics whenever they are read, and measures the server until `stop` is cancelled: whether it
    /// answers, how large the database is, how many connections there are, and how far this clock is ahead of the server's.
    /// Run it once in a process.
    pub async fn sample(&self, clock: &dyn Clock, stop: CancellationToken) {
        self.show_pool();
        while !stop.is_cancelled() {
            let measured = self.health(clock).await;
            METRICS.up(measured.is_ok());
            match measured {
                Ok((health, skew_seconds)) => {
                    METRICS.server(&health);
                    if let Some(skew_seconds) = skew_seconds {
                        METRICS.clock_skew(skew_seconds);
                    }
                }
                Err(error) => warn!(%error, "the database could not be measured"),
            }
            let _ = timeout(SAMPLE_INTERVAL, stop.cancelled()).await;
        }
    }

    /// What the server says, and by how many seconds this clock is ahead of its.
    async fn health(&self, clock: &dyn Clock) -> Result<(ServerHealth, Option<f64>), StoreError> {
        // The wait for a connection is no part of the round trip.
        let mut conn = self.conn().await?;
        let before = clock.now();
        let health: ServerHealth = diesel::sql_query(QUERY).get_result(&mut conn).await?;
        let after = clock.now();
        let skew = skew(before, health.now, after);
        Ok((health, skew))
    }

    fn show_pool(&self) {
        let meter = global::meter("domicile.store");
        let pool = || [KeyValue::new("db.client.connection.pool.name", "domicile")];
        let db = self.clone();
        // Names and units: OpenTelemetry's semantic conventions of database clients.
        meter
            .u64_observable_gauge("db.client.connection.count")
            .with_unit("{connection}")
            .with_description("Connections of the pool, by whether they are used or idle")
            .with_callback(move |observer| {
                let pool_state = db.pool_state();
                let [name] = pool();
                for (state, count) in [("used", pool_state.used), ("idle", pool_state.idle)] {
                    let labels = [name.clone(), KeyValue::new("db.client.connection.state", state)];
                    observer.observe(count as u64, &labels);
                }
            })
            .build();
        let db = self.clone();
        meter
            .u64_observable_gauge("db.client.connection.max")
            .with_unit("{connection}")
            .with_description("Connections that the pool opens at most")
            .with_callback(move |observer| observer.observe(db.pool_state().max as u64, &pool()))
            .build();
        let db = self.clone();
        meter
            .u64_observable_gauge("db.client.connection.pending_requests")
            .with_unit("{request}")
            .with_description("Who waits for a connection of the pool")
            .with_callback(move |observer| observer.observe(db.pool_state().waiting as u64, &pool()))
            .build();
    }
}

/// The server read its clock somewhere within the round trip, so the error is at most half of it.
fn skew(before: Timestamp, server: Timestamp, after: Timestamp) -> Option<f64> {
    let round_trip = after - before;
    let trustworthy = (Duration::ZERO..=LONGEST_ROUND_TRIP).contains(&round_trip.to_std().ok()?);
    let ahead = (before + round_trip / 2) - server;
    trustworthy.then(|| ahead.as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn the_skew_is_measured_from_the_middle_of_the_round_trip() {
        let before = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let after = before + TimeDelta::milliseconds(200);
        let of = |ahead_ms: i64| before + TimeDelta::milliseconds(100 - ahead_ms);
        assert_eq!(skew(before, of(0), after), Some(0.0));
        assert_eq!(skew(before, of(1500), after), Some(1.5));
        assert_eq!(skew(before, of(-2500), after), Some(-2.5));
    }

    #[test]
    fn an_answer_that_took_long_or_a_clock_that_went_back_says_nothing() {
        let before = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(skew(before, before, before + TimeDelta::seconds(3)), None);
        assert_eq!(skew(before, before, before - TimeDelta::seconds(1)), None);
    }
}
