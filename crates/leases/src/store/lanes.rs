//! Which jobs are next where jobs have lanes.

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use domicile_kernel::Timestamp;
use domicile_store::{Conn, StoreError};
use uuid::Uuid;

use crate::handler::JobKind;
use crate::lanes::Room;

/// Jumps from lane to lane on the index `jobs_by_lane`, so that it costs as much as there are lanes, and not as there are
/// jobs: a lane that has no room may have any number of them. Of the lanes with room, those whose oldest job is due
/// longest come first. Jobs without a lane are in one of no name, which always has room.
const DUE: &str = "
    WITH RECURSIVE lanes AS (
        (SELECT COALESCE(lane, '') AS lane, due_at FROM jobs
         WHERE kind = $1 AND status = 'queued'
         ORDER BY COALESCE(lane, ''), due_at LIMIT 1)
        UNION ALL
        SELECT next.lane, next.due_at FROM lanes CROSS JOIN LATERAL (
            SELECT COALESCE(jobs.lane, '') AS lane, jobs.due_at FROM jobs
            WHERE jobs.kind = $1 AND jobs.status = 'queued' AND COALESCE(jobs.lane, '') > lanes.lane
            ORDER BY COALESCE(jobs.lane, ''), jobs.due_at LIMIT 1
        ) AS next
    ), heads AS (
        SELECT lanes.lane, $4::bigint - COALESCE(busy.running, 0) AS room
        FROM lanes LEFT JOIN unnest($5::text[], $6::bigint[]) AS busy (lane, running) ON busy.lane = lanes.lane
        WHERE lanes.due_at <= $2 AND COALESCE(busy.running, 0) < $4::bigint
        ORDER BY lanes.due_at LIMIT $3
    )
    SELECT job.id FROM heads CROSS JOIN LATERAL (
        SELECT jobs.id, jobs.due_at FROM jobs
        WHERE jobs.kind = $1 AND jobs.status = 'queued' AND COALESCE(jobs.lane, '') = heads.lane AND jobs.due_at <= $2
        ORDER BY jobs.due_at LIMIT LEAST(heads.room, $3)
        FOR UPDATE SKIP LOCKED
    ) AS job
    ORDER BY job.due_at LIMIT $3";

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Locks up to `limit` due jobs, of each lane no more than it has room for, passing over those that others are taking.
pub(super) async fn due(
    conn: &mut Conn,
    kind: JobKind,
    limit: i64,
    now: Timestamp,
    room: &Room,
) -> Result<Vec<Uuid>, StoreError> {
    let (lanes, running): (Vec<&str>, Vec<i64>) = room
        .running
        .iter()
        .map(|(lane, count)| (lane.as_str(), *count))
        .unzip();
    let due: Vec<Due> = diesel::sql_query(DUE)
        .bind::<Text, _>(kind.0)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(room.limit)
        .bind::<Array<Text>, _>(lanes)
        .bind::<Array<BigInt>, _>(running)
        .load(conn)
        .await?;
    Ok(due.into_iter().map(|it| it.id).collect())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domicile_testkit::db::{TestDb, rows_read};

    use super::*;

    /// Ten thousand jobs of one account, due for long; a few of others, due since; some without a lane, and one not due.
    const ROWS: &str = "
        INSERT INTO jobs (id, kind, key, lane, status, again, attempts, due_at, created_at, updated_at)
        SELECT gen_random_uuid(), 'k', 'a' || n, 'account-a', 'queued', false, 0, timestamptz '2020-01-01', now(), now()
        FROM generate_series(1, 10000) n
        UNION ALL
        SELECT gen_random_uuid(), 'k', 'b' || n, 'account-b', 'queued', false, 0, ('2020-02-0' || n)::timestamptz, now(), now()
        FROM generate_series(1, 6) n
        UNION ALL
        SELECT gen_random_uuid(), 'k', 'x' || n, NULL, 'queued', false, 0, '2020-03-01', now(), now()
        FROM generate_series(1, 2) n
        UNION ALL
        SELECT gen_random_uuid(), 'k', 'c1', 'account-c', 'queued', false, 0, '2100-01-01', now(), now();
        ANALYZE jobs;";

    async fn keys(db: &TestDb, limit: i64, running: &[(&str, i64)]) -> Vec<String> {
        let room = Room {
            limit: 4,
            running: running
                .iter()
                .map(|(lane, count)| ((*lane).to_owned(), *count))
                .collect(),
        };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let ids = db
            .db()
            .run_tx("due", async |conn: &mut Conn| {
                due(conn, JobKind("k"), limit, now, &room).await
            })
            .await
            .unwrap();
        let client = db.client().await;
        let mut keys = Vec::new();
        for id in ids {
            let row = client
                .query_one("SELECT key FROM jobs WHERE id = $1", &[&id])
                .await;
            keys.push(row.unwrap().get(0));
        }
        keys
    }

    #[tokio::test]
    async fn each_lane_gets_what_it_has_room_for_and_the_longest_due_comes_first() {
        let db = TestDb::create().await;
        db.client().await.batch_execute(ROWS).await.unwrap();
        let of = |keys: &[String], lane: char| keys.iter().filter(|key| key.starts_with(lane)).count();

        let all = keys(&db, 32, &[]).await;
        assert_eq!((of(&all, 'a'), all.len()), (4, 10));
        assert_eq!(all[4..], ["b1", "b2", "b3", "b4", "x1", "x2"].map(str::to_owned));

        let rest = keys(&db, 32, &[("account-a", 4), ("account-b", 3)]).await;
        assert_eq!(rest[0], "b1");
        assert_eq!((of(&rest, 'x'), rest.len()), (2, 3));

        let two = keys(&db, 2, &[("account-a", 3)]).await;
        assert_eq!((of(&two, 'a'), two[1].as_str()), (1, "b1"));
    }

    #[tokio::test]
    async fn what_waits_in_a_full_lane_is_not_read() {
        let db = TestDb::create().await;
        let client = db.client().await;
        client.batch_execute(ROWS).await.unwrap();
        let types = "text, timestamptz, bigint, bigint, text[], bigint[]";
        client
            .batch_execute(&format!("PREPARE due ({types}) AS {DUE}"))
            .await
            .unwrap();
        for full in ["account-a", "account-b"] {
            let sql = format!("EXECUTE due('k', '2023-01-01', 16, 4, ARRAY['{full}'], ARRAY[4])");
            let read = rows_read(&client, &sql).await;
            assert!(read < 200.0, "{read} rows are read");
        }
    }
}
