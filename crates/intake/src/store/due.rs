//! Which rows are dispatched next.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use domicile_kernel::{Timestamp, ZoomAccountId, ZoomUserId};
use domicile_store::{Conn, StoreError};
use uuid::Uuid;

use super::PendingRow;

/// Jumps from account to account on the index `inbox_pending_by_account`, so that it costs as much as there are accounts that
/// wait, however many rows one of them has. The accounts whose oldest row is due longest have equal shares of the batch, so
/// that nobody waits for the end of another's flood.
const DUE: &str = "
    WITH RECURSIVE accounts AS (
        (SELECT COALESCE(zoom_account_id, '') AS account, due_at FROM inbox
         WHERE status = 'pending'
         ORDER BY COALESCE(zoom_account_id, ''), due_at, id LIMIT 1)
        UNION ALL
        SELECT next.account, next.due_at FROM accounts CROSS JOIN LATERAL (
            SELECT COALESCE(inbox.zoom_account_id, '') AS account, inbox.due_at FROM inbox
            WHERE inbox.status = 'pending' AND COALESCE(inbox.zoom_account_id, '') > accounts.account
            ORDER BY COALESCE(inbox.zoom_account_id, ''), inbox.due_at, inbox.id LIMIT 1
        ) AS next
    ), heads AS (
        SELECT account FROM accounts WHERE due_at <= $1 ORDER BY due_at LIMIT $2
    ), share AS (
        SELECT GREATEST($2::bigint / GREATEST(count(*), 1), 1) AS rows FROM heads
    )
    SELECT due.* FROM heads CROSS JOIN LATERAL (
        SELECT inbox.id, inbox.endpoint, inbox.event_type, inbox.zoom_account_id, inbox.zoom_user_id, inbox.zoom_client_id,
            inbox.traceparent, inbox.attempts, inbox.due_at
        FROM inbox
        WHERE inbox.status = 'pending' AND COALESCE(inbox.zoom_account_id, '') = heads.account AND inbox.due_at <= $1
        ORDER BY inbox.due_at, inbox.id LIMIT (SELECT rows FROM share)
        FOR UPDATE SKIP LOCKED
    ) AS due
    ORDER BY due.due_at, due.id LIMIT $2";

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    endpoint: String,
    #[diesel(sql_type = Nullable<Text>)]
    event_type: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    zoom_account_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    zoom_user_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    zoom_client_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    traceparent: Option<String>,
    #[diesel(sql_type = SmallInt)]
    attempts: i16,
}

/// Locks up to `limit` rows that are due, by turns of their accounts, passing over those that others hold.
pub(crate) async fn lock_due(
    conn: &mut Conn,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<PendingRow>, StoreError> {
    let rows: Vec<DueRow> = diesel::sql_query(DUE)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(limit)
        .load(conn)
        .await?;
    let row = |row: DueRow| {
        Ok(PendingRow {
            id: row.id.into(),
            endpoint: row.endpoint.parse().map_err(|_| StoreError::Corrupt {
                column: "inbox.endpoint",
            })?,
            event_type: row.event_type,
            zoom_account_id: row.zoom_account_id.map(ZoomAccountId::new),
            zoom_user_id: row.zoom_user_id.map(ZoomUserId::new),
            zoom_client_id: row.zoom_client_id,
            traceparent: row.traceparent,
            attempts: row.attempts,
        })
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domicile_testkit::db::{TestDb, rows_read};

    use super::*;

    /// Ten thousand rows of one account, due for long; a few of others, due since; some of nobody, and one not due.
    const ROWS: &str = "
        INSERT INTO inbox (id, endpoint, digest, status, zoom_account_id, zoom_request_id, received_at, body_sealed,
            body_size_bytes, attempts, due_at)
        SELECT gen_random_uuid(), 'events', sha256(name::bytea), 'pending', account, name, now(), '\\x00', 1, 0, due::timestamptz
        FROM (
            SELECT 'a' || n AS name, 'account-a' AS account, '2020-01-01' AS due FROM generate_series(1, 10000) n
            UNION ALL SELECT 'b' || n, 'account-b', '2020-02-0' || n FROM generate_series(1, 6) n
            UNION ALL SELECT 'x' || n, NULL, '2020-03-01' FROM generate_series(1, 2) n
            UNION ALL SELECT 'c1', 'account-c', '2100-01-01'
        ) AS rows;
        ANALYZE inbox;";

    async fn due(db: &TestDb, limit: i64) -> Vec<String> {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let rows = db
            .db()
            .run_tx("due", async |conn: &mut Conn| lock_due(conn, now, limit).await)
            .await
            .unwrap();
        let client = db.client().await;
        let mut names = Vec::new();
        for row in rows {
            let sql = "SELECT zoom_request_id FROM inbox WHERE id = $1";
            names.push(client.query_one(sql, &[&row.id.as_uuid()]).await.unwrap().get(0));
        }
        names
    }

    #[tokio::test]
    async fn a_batch_is_shared_by_the_accounts_that_wait() {
        let db = TestDb::create().await;
        let client = db.client().await;
        client.batch_execute(ROWS).await.unwrap();
        let of = |names: &[String], account: char| {
            let names = names.iter().filter(|name| name.starts_with(account));
            names.count()
        };
        let batch = due(&db, 12).await;
        assert_eq!((of(&batch, 'a'), of(&batch, 'b'), of(&batch, 'x')), (4, 4, 2));
        assert_eq!(batch[4..8], ["b1", "b2", "b3", "b4"].map(str::to_owned));
        // Fewer places than accounts: those who wait longest.
        let batch = due(&db, 2).await;
        assert_eq!((of(&batch, 'a'), batch[1].as_str()), (1, "b1"));
        // An account that is alone has the whole batch.
        let rest = "DELETE FROM inbox WHERE zoom_account_id IS DISTINCT FROM 'account-a'";
        client.batch_execute(rest).await.unwrap();
        assert_eq!(due(&db, 32).await.len(), 32);
    }

    #[tokio::test]
    async fn the_flood_of_one_account_is_not_read() {
        let db = TestDb::create().await;
        let client = db.client().await;
        client.batch_execute(ROWS).await.unwrap();
        client
            .batch_execute(&format!("PREPARE due (timestamptz, bigint) AS {DUE}"))
            .await
            .unwrap();
        let read = rows_read(&client, "EXECUTE due('2023-01-01', 32)").await;
        assert!(read < 300.0, "{read} rows are read");
    }
}
