//! The queries of this crate.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use domicile_egress::{Contact, Refusals};
use domicile_kernel::Timestamp;
use domicile_store::{Conn, StoreError};

use crate::evidence::{Contacted, Erased, Refused, Stored};

const LET_OUT: &str = "let_out";
const REFUSED: &str = "refused";

/// Adds counts to the hour of `now`.
pub(crate) async fn add(
    conn: &mut Conn,
    now: Timestamp,
    made: &[Contact],
    refused: &[Refusals],
) -> Result<(), StoreError> {
    // In one order everywhere, so that two processes never wait for each other: both lists come sorted.
    for contact in made {
        let line = Line {
            outcome: LET_OUT,
            host: &contact.host,
            port: i32::from(contact.port),
            purpose: contact.purpose,
            reason: "",
            calls: contact.calls,
            failed: contact.failed,
            sent_bytes: contact.sent_bytes,
            received_bytes: contact.received_bytes,
        };
        line.add(conn, now).await?;
    }
    for refusals in refused {
        let line = Line {
            outcome: REFUSED,
            host: &refusals.host,
            port: 0,
            purpose: "",
            reason: refusals.reason,
            calls: refusals.calls,
            failed: 0,
            sent_bytes: 0,
            received_bytes: 0,
        };
        line.add(conn, now).await?;
    }
    Ok(())
}

struct Line<'a> {
    outcome: &'static str,
    host: &'a str,
    port: i32,
    purpose: &'static str,
    reason: &'static str,
    calls: u64,
    failed: u64,
    sent_bytes: u64,
    received_bytes: u64,
}

impl Line<'_> {
    async fn add(&self, conn: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
        diesel::sql_query(
            "INSERT INTO egress_contacts AS c
                 (hour, outcome, host, port, purpose, reason, calls, failed, sent_bytes, received_bytes)
             VALUES (date_trunc('hour', $1), $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (hour, outcome, host, port, purpose, reason) DO UPDATE SET
                 calls = c.calls + excluded.calls, failed = c.failed + excluded.failed,
                 sent_bytes = c.sent_bytes + excluded.sent_bytes,
                 received_bytes = c.received_bytes + excluded.received_bytes",
        )
        .bind::<Timestamptz, _>(now)
        .bind::<Text, _>(self.outcome)
        .bind::<Text, _>(self.host)
        .bind::<diesel::sql_types::Integer, _>(self.port)
        .bind::<Text, _>(self.purpose)
        .bind::<Text, _>(self.reason)
        .bind::<BigInt, _>(signed(self.calls))
        .bind::<BigInt, _>(signed(self.failed))
        .bind::<BigInt, _>(signed(self.sent_bytes))
        .bind::<BigInt, _>(signed(self.received_bytes))
        .execute(conn)
        .await?;
        Ok(())
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Makes all queries of this transaction see the same moment, and lets them count as long as many rows take.
pub(crate) async fn look_from_one_moment(conn: &mut Conn) -> Result<(), StoreError> {
    diesel::sql_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(conn)
        .await?;
    diesel::sql_query("SET LOCAL statement_timeout = '15min'")
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct StoredRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    zoom_account_id: Option<String>,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    size_bytes: i64,
}

/// What is stored now, by kind and account. Sizes are those of what is kept: sealed bodies, stored objects.
pub(crate) async fn stored(conn: &mut Conn) -> Result<Vec<Stored>, StoreError> {
    let rows: Vec<StoredRow> = diesel::sql_query(
        "SELECT 'inbox.bodies' AS kind, zoom_account_id, count(*) AS count,
                coalesce(sum(octet_length(body_sealed)), 0)::bigint AS size_bytes
         FROM inbox GROUP BY zoom_account_id
         UNION ALL
         SELECT 'links', zoom_account_id, count(*), 0 FROM links GROUP BY zoom_account_id
         UNION ALL
         SELECT 'grants', l.zoom_account_id, count(*), 0
         FROM grants AS g JOIN links AS l ON l.id = g.link_id GROUP BY l.zoom_account_id
         UNION ALL
         SELECT 'recordings', zoom_account_id, count(*), 0 FROM recordings GROUP BY zoom_account_id
         UNION ALL
         SELECT 'recording_files.objects', r.zoom_account_id, count(*), coalesce(sum(f.size_bytes), 0)::bigint
         FROM recording_files AS f JOIN recordings AS r ON r.id = f.recording_id
         WHERE f.status = 'stored' GROUP BY r.zoom_account_id
         UNION ALL
         SELECT 'events', l.zoom_account_id, count(*), coalesce(sum(octet_length(e.data_sealed)), 0)::bigint
         FROM events AS e LEFT JOIN links AS l ON l.id = e.mailbox GROUP BY l.zoom_account_id
         UNION ALL
         SELECT 'data_keys', zoom_account_id, count(*), 0 FROM vault_keys WHERE destroyed_at IS NULL GROUP BY zoom_account_id
         ORDER BY 1, 2",
    )
    .load(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Stored {
            kind: row.kind,
            zoom_account_id: row.zoom_account_id,
            count: row.count,
            size_bytes: row.size_bytes,
        })
        .collect())
}

#[derive(QueryableByName)]
struct ContactRow {
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = diesel::sql_types::Integer)]
    port: i32,
    #[diesel(sql_type = Text)]
    purpose: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    sent_bytes: i64,
    #[diesel(sql_type = BigInt)]
    received_bytes: i64,
    #[diesel(sql_type = Timestamptz)]
    first_hour: Timestamp,
    #[diesel(sql_type = Timestamptz)]
    last_hour: Timestamp,
}

/// Whom the processes called in the hours that lie in the span or touch it.
pub(crate) async fn contacted(
    conn: &mut Conn,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Contacted>, StoreError> {
    let rows: Vec<ContactRow> = diesel::sql_query(
        "SELECT host, port, purpose, sum(calls)::bigint AS calls, sum(failed)::bigint AS failed,
                sum(sent_bytes)::bigint AS sent_bytes, sum(received_bytes)::bigint AS received_bytes,
                min(hour) AS first_hour, max(hour) AS last_hour
         FROM egress_contacts WHERE outcome = 'let_out' AND hour >= date_trunc('hour', $1) AND hour < $2
         GROUP BY host, port, purpose ORDER BY host, port, purpose",
    )
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .load(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Contacted {
            host: row.host,
            port: row.port,
            purpose: row.purpose,
            calls: row.calls,
            failed: row.failed,
            sent_bytes: row.sent_bytes,
            received_bytes: row.received_bytes,
            first_hour: row.first_hour,
            last_hour: row.last_hour,
        })
        .collect())
}

#[derive(QueryableByName)]
struct RefusedRow {
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = BigInt)]
    calls: i64,
}

/// What the fence refused in the same hours.
pub(crate) async fn refused(
    conn: &mut Conn,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Refused>, StoreError> {
    let rows: Vec<RefusedRow> = diesel::sql_query(
        "SELECT host, reason, sum(calls)::bigint AS calls
         FROM egress_contacts WHERE outcome = 'refused' AND hour >= date_trunc('hour', $1) AND hour < $2
         GROUP BY host, reason ORDER BY host, reason",
    )
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .load(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Refused {
            host: row.host,
            reason: row.reason,
            calls: row.calls,
        })
        .collect())
}

#[derive(QueryableByName)]
struct ErasedRow {
    #[diesel(sql_type = Text)]
    what: String,
    #[diesel(sql_type = Nullable<Text>)]
    zoom_account_id: Option<String>,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// What was erased in the span: links with everything of theirs, and data keys without which nothing can be read.
pub(crate) async fn erased(
    conn: &mut Conn,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Erased>, StoreError> {
    let rows: Vec<ErasedRow> = diesel::sql_query(
        "SELECT action AS what, zoom_account_id, count(*) AS count FROM audit_entries
         WHERE action IN ('link.erase', 'link.revoke', 'grant.revoke') AND outcome = 'done'
           AND occurred_at >= $1 AND occurred_at < $2
         GROUP BY action, zoom_account_id
         UNION ALL
         SELECT 'data_key.destroy', zoom_account_id, count(*) FROM vault_keys
         WHERE destroyed_at >= $1 AND destroyed_at < $2 GROUP BY zoom_account_id
         ORDER BY 1, 2",
    )
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .load(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Erased {
            what: row.what,
            zoom_account_id: row.zoom_account_id,
            count: row.count,
        })
        .collect())
}
