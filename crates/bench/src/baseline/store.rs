//! The table of the baseline, and its one statement.

use std::error::Error;
use std::fmt;

use diesel::prelude::*;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domicile_kernel::{Ids, InboxId, ZoomAccountId, ZoomUserId};
use domicile_web::extract::VerifiedZoomRequest;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Outcome};

/// Connections of the baseline.
const POOL_SIZE: usize = 16;

/// Makes the table.
const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS bench_baseline (
        id uuid PRIMARY KEY,
        endpoint text NOT NULL,
        digest bytea NOT NULL UNIQUE,
        event_type text,
        zoom_account_id text,
        zoom_user_id text,
        received_at timestamptz NOT NULL,
        body bytea NOT NULL
    )";

/// Makes the table where it is absent, and empties it.
pub const UNTIL_EMPTY: &[&str] = &[
    CREATE,
    // As in the inbox: PostgreSQL's own compression is no part of the comparison.
    "ALTER TABLE bench_baseline ALTER COLUMN body SET STORAGE EXTERNAL",
    "TRUNCATE bench_baseline",
];

diesel::table! {
    bench_baseline (id) {
        id -> Uuid,
        endpoint -> Text,
        digest -> Bytea,
        event_type -> Nullable<Text>,
        zoom_account_id -> Nullable<Text>,
        zoom_user_id -> Nullable<Text>,
        received_at -> Timestamptz,
        body -> Bytea,
    }
}

/// The table, through a pool with the settings that it has by itself.
#[derive(Clone)]
pub struct Table(Pool<AsyncPgConnection>);

/// A row could not be kept.
#[derive(Debug)]
pub struct NotKept(String);

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotKept {}

impl Table {
    /// Makes the pool; connections are opened when they are first needed.
    pub fn open(url: &str) -> Outcome<Self> {
        let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
        let pool = Pool::builder(manager).max_size(POOL_SIZE).build();
        pool.map(Self).map_err(|error| Failure(error.to_string()))
    }

    /// Keeps what was sent, in a transaction of its own.
    pub async fn keep(&self, ids: &Ids, request: &VerifiedZoomRequest) -> Result<(), NotKept> {
        let id: InboxId = ids.make();
        let envelope = request.envelope.as_ref().ok();
        let mut connection = self.0.get().await.map_err(|error| NotKept(error.to_string()))?;
        diesel::insert_into(bench_baseline::table)
            .values(
                (
                    bench_baseline::id.eq(id.as_uuid()),
                    bench_baseline::endpoint.eq(request.endpoint),
                    bench_baseline::digest.eq(Sha256::digest(&request.body).as_slice()),
                    bench_baseline::event_type.eq(envelope.map(|envelope| envelope.event.as_str())),
                    bench_baseline::zoom_account_id
                        .eq(envelope
                            .and_then(|envelope| envelope.account_id.as_ref().map(ZoomAccountId::as_str))),
                    bench_baseline::zoom_user_id
                        .eq(envelope.and_then(|envelope| envelope.user_id.as_ref().map(ZoomUserId::as_str))),
                    bench_baseline::received_at.eq(request.received_at),
                    bench_baseline::body.eq(request.body.as_ref()),
                ),
            )
            .on_conflict(bench_baseline::digest)
            .do_nothing()
            .execute(&mut *connection)
            .await
            .map_err(|error| NotKept(error.to_string()))?;
        Ok(())
    }
}
