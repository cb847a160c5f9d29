//! The store against a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domicile_kernel::RegionId;
use domicile_store::{
    Conn, SchemaError, StoreError, check_region_before_migrating, check_schema, listen, migrate, revert_all,
    wake,
};
use domicile_testkit::db::TestDb;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

async fn tables(client: &tokio_postgres::Client) -> Vec<String> {
    let sql = "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND relkind = 'r' AND relname <> '__diesel_schema_migrations' ORDER BY 1";
    client
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[tokio::test]
async fn every_down_undoes_its_up() {
    let db = TestDb::empty().await;
    assert!(!migrate(&db.settings()).await.unwrap().is_empty());
    let client = db.client().await;
    assert!(!tables(&client).await.is_empty());
    revert_all(&db.settings()).await.unwrap();
    assert_eq!(tables(&client).await, Vec::<String>::new());
    assert!(
        !migrate(&db.settings()).await.unwrap().is_empty(),
        "an up works again after its down"
    );
}

#[tokio::test]
async fn two_migrators_at_once_apply_each_migration_once() {
    let db = TestDb::empty().await;
    let settings = db.settings();
    let (one, two) = tokio::join!(migrate(&settings), migrate(&settings));
    let applied = [one.unwrap(), two.unwrap()];
    assert_eq!(applied.iter().filter(|applied| applied.is_empty()).count(), 1);
}

#[tokio::test]
async fn a_schema_that_is_behind_or_needs_newer_code_is_refused() {
    let db = TestDb::empty().await;
    assert!(matches!(
        check_schema(&db.db()).await,
        Err(SchemaError::Behind(_))
    ));
    migrate(&db.settings()).await.unwrap();
    check_schema(&db.db()).await.unwrap();
    let client = db.client().await;
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000001')";
    client.batch_execute(newer).await.unwrap();
    // The next release only added something: this one goes on.
    check_schema(&db.db()).await.unwrap();
    let raised = "UPDATE schema_floor SET version = '99990101000001'";
    client.batch_execute(raised).await.unwrap();
    match check_schema(&db.db()).await {
        Err(SchemaError::Unknown(versions)) => assert_eq!(versions, "99990101000001"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_table_and_column_has_its_sentence() {
    let db = TestDb::create().await;
    let sql = "SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c
               JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               WHERE c.relkind = 'r' AND c.relname <> '__diesel_schema_migrations'
               AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)";
    let silent: Vec<String> = db
        .client()
        .await
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}

/// INV-8: what these columns hold is personal or a credential, so only sealed or hashed forms may exist.
#[tokio::test]
async fn no_column_can_hold_personal_data_in_clear() {
    let db = TestDb::create().await;
    let sql = "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns
               WHERE table_schema = 'public' AND column_name ~ '(token|code|verifier|topic|body|data|email|name|secret|url)(_|$)'";
    for row in db.client().await.query(sql, &[]).await.unwrap() {
        let (column, data_type): (String, String) = (row.get(0), row.get(1));
        let sealed = (column.ends_with("_sealed") || column.ends_with("_hash")) && data_type == "bytea";
        let harmless = [
            // The app's own page, Zoom's API host, sizes, codings, statuses and the fencing tokens.
            "connect_sessions.return_url",
            "grants.api_url",
            "inbox.body_size_bytes",
            "inbox.body_encoding",
            "delivery_attempts.status_code",
            "jobs.lease_token",
            "grants.refresh_lease_token",
        ];
        assert!(
            sealed || harmless.contains(&column.as_str()),
            "{column} is {data_type}"
        );
    }
}

#[tokio::test]
async fn a_failed_closure_leaves_nothing_behind() {
    let db = TestDb::create().await;
    let result = db
        .db()
        .run_tx(
            "write_and_fail",
            async |conn: &mut Conn| -> Result<(), StoreError> {
                raw(
                    conn,
                    "INSERT INTO vault_keys (id, region_key_id, wrapped_key, created_at)
                       VALUES ('00000000-0000-0000-0000-000000000001', 'k', '\\x00', '2026-01-01')",
                )
                .await?;
                Err(StoreError::NotFound)
            },
        )
        .await;
    assert!(matches!(result, Err(StoreError::NotFound)));
    let count: i64 = db
        .client()
        .await
        .query_one("SELECT count(*) FROM vault_keys", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 0);
}

#[tokio::test]
async fn who_waits_is_woken_by_what_is_committed_once_and_never_by_what_is_undone() {
    const CHANNEL: &str = "a_channel";
    let db = TestDb::create().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let listening = tokio::spawn({
        let (settings, stop) = (db.settings(), stop.clone());
        async move {
            listen(&settings, CHANNEL, stop, |payload| {
                let _ = tell.send(payload.to_owned());
            })
            .await;
        }
    });
    // Without a transaction of the store's it is said at once; so it is known when somebody listens.
    let mut conn = db.db().conn().await.unwrap();
    loop {
        wake(&mut conn, CHANNEL, "begin").await.unwrap();
        if timeout(Duration::from_millis(50), told.recv()).await.is_ok() {
            break;
        }
    }
    drop(conn);
    let store = db.db();
    let undone = store.run_tx("undone", async |conn: &mut Conn| {
        wake(conn, CHANNEL, "undone").await?;
        Err::<(), _>(StoreError::NotFound)
    });
    assert!(undone.await.is_err());
    for payload in ["first", "last"] {
        let committed = store.run_tx("committed", async |conn: &mut Conn| {
            wake(conn, CHANNEL, payload).await?;
            wake(conn, CHANNEL, payload).await
        });
        committed.await.unwrap();
    }
    let mut payloads = Vec::new();
    while payloads.last().is_none_or(|last| last != "last") {
        payloads.push(told.recv().await.unwrap());
    }
    payloads.retain(|payload| payload != "begin");
    assert_eq!(payloads, ["first", "last"]);
    stop.cancel();
    listening.await.unwrap();
}

#[tokio::test]
async fn a_deadlock_is_repeated_until_both_succeed() {
    let test = TestDb::create().await;
    let client = test.client().await;
    client
        .batch_execute(
            "CREATE TABLE pair (id int PRIMARY KEY, n int); INSERT INTO pair VALUES (1, 0), (2, 0)",
        )
        .await
        .unwrap();
    let rounds = AtomicU32::new(0);
    let barrier = tokio::sync::Barrier::new(2);
    let db = test.db();
    let lock_both = async |first: i32, second: i32| {
        db.run_tx("lock_both", async |conn: &mut Conn| -> Result<(), StoreError> {
            raw(conn, &format!("UPDATE pair SET n = n + 1 WHERE id = {first}")).await?;
            // Only the first round of each meets the other, so the deadlock is certain once and impossible after.
            if rounds.fetch_add(1, Ordering::SeqCst) < 2 {
                barrier.wait().await;
            }
            raw(conn, &format!("UPDATE pair SET n = n + 1 WHERE id = {second}")).await
        })
        .await
    };
    let (one, two) = tokio::join!(lock_both(1, 2), lock_both(2, 1));
    one.unwrap();
    two.unwrap();
    assert_eq!(rounds.load(Ordering::SeqCst), 3);
    let sum: i64 = client
        .query_one("SELECT sum(n) FROM pair", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(sum, 4);
}

#[tokio::test]
async fn a_cancelled_transaction_keeps_nothing_and_frees_its_connection() {
    let test = TestDb::create().await;
    let mut settings = test.settings();
    settings.max_connections = 1;
    let db = domicile_store::Db::new(settings).unwrap();
    let (entered, wait_entered) = tokio::sync::oneshot::channel();
    let entered = std::sync::Mutex::new(Some(entered));
    let for_task = db.clone();
    let task = tokio::spawn(async move {
        for_task
            .run_tx("cancelled", async |conn: &mut Conn| -> Result<(), StoreError> {
                raw(
                    conn,
                    "INSERT INTO vault_keys (id, region_key_id, wrapped_key, created_at)
                           VALUES ('00000000-0000-0000-0000-000000000001', 'k', '\\x00', '2026-01-01')",
                )
                .await?;
                entered.lock().unwrap().take().unwrap().send(()).unwrap();
                std::future::pending().await
            })
            .await
    });
    wait_entered.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    db.run_tx("after", async |conn: &mut Conn| raw(conn, "SELECT 1").await)
        .await
        .unwrap();
    let count: i64 = test
        .client()
        .await
        .query_one("SELECT count(*) FROM vault_keys", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 0);
}

#[tokio::test]
async fn constraint_violations_are_told_apart_by_name() {
    let db = TestDb::create().await;
    let insert = "INSERT INTO jobs (id, kind, key, status, again, attempts, due_at, created_at, updated_at)
                  VALUES (gen_random_uuid(), 'k', 'x', 'queued', false, 0, '2026-01-01', '2026-01-01', '2026-01-01')";
    let twice = db
        .db()
        .run_tx("twice", async |conn: &mut Conn| -> Result<(), StoreError> {
            raw(conn, insert).await?;
            raw(conn, insert).await
        })
        .await
        .unwrap_err();
    assert!(twice.violates("jobs_unique_while_unfinished"), "{twice}");
    let broken = db
        .db()
        .run_tx("half_a_lease", async |conn: &mut Conn| {
            raw(conn, &insert.replace("'queued'", "'leased'")).await
        })
        .await
        .unwrap_err();
    assert!(matches!(broken, StoreError::Constraint(name) if name == "jobs_lease_is_whole"));
}

async fn raw(conn: &mut Conn, sql: &str) -> Result<(), StoreError> {
    use diesel_async::SimpleAsyncConnection;
    Ok(conn.batch_execute(sql).await?)
}

/// INV-1: a database belongs to the region that first started on it.
#[tokio::test]
async fn a_database_carries_the_mark_of_one_region() {
    let db = TestDb::empty().await;
    let (eu, us): (RegionId, RegionId) = ("eu".parse().unwrap(), "us".parse().unwrap());
    let now = "2026-11-26T12:00:00Z".parse().unwrap();
    // Nobody's yet, and not even migrated.
    check_region_before_migrating(&db.settings(), &us).await.unwrap();
    migrate(&db.settings()).await.unwrap();
    assert!(!db.db().region_mark(&eu).await.unwrap());
    check_region_before_migrating(&db.settings(), &us).await.unwrap();

    let pool = db.db();
    let (one, two) = tokio::join!(pool.mark_region(&eu, now), pool.mark_region(&us, now));
    let (owner, other) = if one.is_ok() { (&eu, &us) } else { (&us, &eu) };
    assert!(one.is_ok() != two.is_ok(), "one of them is refused");
    pool.mark_region(owner, now).await.unwrap();
    assert!(pool.region_mark(owner).await.unwrap());
    for refused in [
        pool.region_mark(other).await.map(drop),
        pool.mark_region(other, now).await,
        check_region_before_migrating(&db.settings(), other).await,
    ] {
        let text = refused.unwrap_err().to_string();
        let names = [
            format!("mark of the region {owner}"),
            format!("is of the region {other}"),
        ];
        assert!(
            names.iter().all(|name| text.contains(name)) && text.contains("DOMICILE_DATABASE_URL"),
            "{text}"
        );
    }
}
