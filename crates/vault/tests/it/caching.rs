//! How long memory is believed.

use std::sync::Arc;
use std::time::Duration;

use domicile_kernel::Fate;
use domicile_store::{Conn, Db};
use domicile_testkit::clock::TestClock;
use domicile_testkit::db::TestDb;
use domicile_vault::{KeyError, Vault, VaultError};
use tokio::sync::oneshot;

use crate::support::{FakeKey, Mood, account, class, destroy, place, region_keys, ring, vault_with};

const BOUND: Duration = Duration::from_secs(300);
const RECHECK: Duration = Duration::from_secs(150);
const UNWRAP_AGAIN: Duration = Duration::from_secs(3600);

struct Replicas {
    db: TestDb,
    clock: TestClock,
    key: Arc<FakeKey>,
    one: Vault,
    other: Vault,
    sealed: Vec<u8>,
}

impl Replicas {
    /// Two that have opened the same ciphertext of the account A.
    async fn new() -> Self {
        let db = TestDb::create().await;
        let clock = TestClock::new();
        let key = FakeKey::new("k1");
        let one = vault_with(db.db(), &clock, 1, ring(&[&key]));
        let other = vault_with(db.db(), &clock, 2, ring(&[&key]));
        let sealed = one.key(&account("A")).await.unwrap().seal(place(), b"x").unwrap();
        other.open(place(), &sealed).await.unwrap();
        other.key(&account("A")).await.unwrap();
        Self {
            db,
            clock,
            key,
            one,
            other,
            sealed,
        }
    }

    async fn open(&self) -> &'static str {
        class(self.other.open(place(), &self.sealed).await)
    }
}

#[tokio::test]
async fn what_one_replica_destroyed_another_stops_opening_within_the_bound() {
    let replicas = Replicas::new().await;
    let old = replicas.other.key(&account("A")).await.unwrap().id();
    destroy(&replicas.one, &replicas.db, "A").await.unwrap();
    assert_eq!(
        class(replicas.one.open(place(), &replicas.sealed).await),
        "destroyed"
    );
    assert_eq!(replicas.open().await, "ok", "its memory is still believed");
    replicas.clock.advance(BOUND);
    assert_eq!(replicas.open().await, "destroyed");
    let new = replicas.other.key(&account("A")).await.unwrap().id();
    assert_ne!(new, old, "the account begins anew");
    assert_eq!(replicas.one.key(&account("A")).await.unwrap().id(), new);
}

#[tokio::test]
async fn a_replica_that_only_seals_also_learns_of_it() {
    let replicas = Replicas::new().await;
    let old = replicas.other.key(&account("A")).await.unwrap().id();
    destroy(&replicas.one, &replicas.db, "A").await.unwrap();
    replicas.clock.advance(RECHECK);
    assert_ne!(replicas.other.key(&account("A")).await.unwrap().id(), old);
}

#[tokio::test]
async fn a_row_that_lives_is_looked_at_again_without_calling_the_key_service() {
    let replicas = Replicas::new().await;
    let before = replicas.key.unwraps();
    for _ in 0..11 {
        replicas.clock.advance(BOUND);
        assert_eq!(replicas.open().await, "ok");
    }
    assert_eq!(replicas.key.unwraps(), before);
    replicas.clock.advance(BOUND);
    assert_eq!(replicas.open().await, "ok");
    assert_eq!(
        replicas.key.unwraps(),
        before + 1,
        "once an hour it is asked again"
    );
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_nothing_younger() {
    let replicas = Replicas::new().await;
    destroy(&replicas.one, &replicas.db, "A").await.unwrap();
    let earlier = "2026-05-01T00:00:00Z".parse().unwrap();
    replicas.clock.set(earlier);
    assert_eq!(replicas.open().await, "destroyed");
}

#[tokio::test]
async fn an_outage_of_the_key_service_does_not_stop_what_is_in_memory() {
    let replicas = Replicas::new().await;
    replicas.key.set(Mood::Unreachable);
    for _ in 0..3 {
        replicas.clock.advance(UNWRAP_AGAIN);
        assert_eq!(replicas.open().await, "ok");
    }
    let cold = vault_with(replicas.db.db(), &replicas.clock, 3, ring(&[&replicas.key]));
    let error = cold.open(place(), &replicas.sealed).await.err().unwrap();
    assert_eq!((error.class(), error.fate()), ("unreachable", Fate::RETRY));
}

#[tokio::test]
async fn a_region_key_that_was_withdrawn_stops_opening_within_an_hour_and_a_bound() {
    let replicas = Replicas::new().await;
    replicas.key.set(Mood::Disabled);
    replicas.clock.advance(RECHECK);
    assert_eq!(replicas.open().await, "ok");
    replicas.clock.advance(UNWRAP_AGAIN);
    let error = replicas
        .other
        .open(place(), &replicas.sealed)
        .await
        .err()
        .unwrap();
    assert!(matches!(
        &error,
        VaultError::RegionKey { region_key, source: KeyError::Disabled { .. }, .. } if region_key == "k1"
    ));
    assert_eq!(replicas.open().await, "disabled", "and memory has forgotten it");
    replicas.key.set(Mood::Works);
    assert_eq!(replicas.open().await, "ok");
}

#[tokio::test]
async fn a_database_outage_is_bridged_only_to_the_bound() {
    let replicas = Replicas::new().await;
    let mut settings = replicas.db.settings();
    settings.max_connections = 1;
    settings.wait_timeout = Duration::from_secs(2);
    let db = Db::new(settings).unwrap();
    let vault = vault_with(db.clone(), &replicas.clock, 3, ring(&[&replicas.key]));
    vault.open(place(), &replicas.sealed).await.unwrap();
    let busy = db.conn().await.unwrap();
    replicas.clock.advance(RECHECK);
    assert_eq!(class(vault.open(place(), &replicas.sealed).await), "ok");
    replicas.clock.advance(RECHECK);
    let error = vault.open(place(), &replicas.sealed).await.err().unwrap();
    assert_eq!((error.class(), error.fate()), ("store", Fate::RETRY));
    drop(busy);
    assert_eq!(class(vault.open(place(), &replicas.sealed).await), "ok");
}

#[tokio::test]
async fn many_who_need_one_key_make_one_call() {
    let replicas = Replicas::new().await;
    let cold = vault_with(replicas.db.db(), &replicas.clock, 3, ring(&[&replicas.key]));
    let before = replicas.key.unwraps();
    replicas.key.close();
    let opening: Vec<_> = (0..50)
        .map(|_| {
            let (cold, sealed) = (cold.clone(), replicas.sealed.clone());
            tokio::spawn(async move { class(cold.open(place(), &sealed).await) })
        })
        .collect();
    replicas.key.gate.add_permits(50);
    for opened in opening {
        assert_eq!(opened.await.unwrap(), "ok");
    }
    assert_eq!(replicas.key.unwraps(), before + 1);
}

#[tokio::test]
async fn a_new_account_on_many_tasks_makes_one_key() {
    let replicas = Replicas::new().await;
    let made: Vec<_> = (0..50)
        .map(|_| {
            let vault = replicas.one.clone();
            tokio::spawn(async move { vault.key(&account("new")).await.unwrap().id() })
        })
        .collect();
    let first = replicas.other.key(&account("new")).await.unwrap().id();
    for id in made {
        assert_eq!(id.await.unwrap(), first);
    }
    assert!(replicas.key.wraps.load(std::sync::atomic::Ordering::Relaxed) <= 3);
}

#[tokio::test]
async fn no_data_key_is_kept_that_its_region_key_does_not_unwrap() {
    let db = TestDb::create().await;
    let key = FakeKey::new("k1");
    key.set(Mood::OnlyWraps);
    let vault = vault_with(db.db(), &TestClock::new(), 1, ring(&[&key]));
    assert_eq!(class(vault.key(&account("A")).await), "denied");
    assert_eq!(vault.status().await.unwrap().region_keys[0].data_keys, 0);
}

#[tokio::test]
async fn a_key_that_is_held_outlives_the_transaction_and_a_destroyed_one_is_not_held() {
    let db = TestDb::create().await;
    let clock = TestClock::new();
    let one = vault_with(db.db(), &clock, 1, region_keys(&[("k1", 1)]));
    let other = vault_with(db.db(), &clock, 2, region_keys(&[("k1", 1)]));
    let key = one.key(&account("A")).await.unwrap();
    let (held, is_held) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let (held, ended) = (
        std::sync::Mutex::new(Some(held)),
        tokio::sync::Mutex::new(Some(ended)),
    );
    let writing = {
        let (db, one, key) = (db.db(), one.clone(), key.clone());
        tokio::spawn(async move {
            db.run_tx("write", async |conn: &mut Conn| -> Result<(), VaultError> {
                one.hold(conn, &key).await?;
                held.lock().unwrap().take().unwrap().send(()).unwrap();
                ended.lock().await.take().unwrap().await.unwrap();
                Ok(())
            })
            .await
            .unwrap();
        })
    };
    is_held.await.unwrap();
    // What a destruction does to the row, but without patience.
    let destruction =
        "SET lock_timeout = '50ms'; UPDATE vault_keys SET wrapped_key = NULL, destroyed_at = now()";
    let refused = db.client().await.batch_execute(destruction).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "55P03", "the key is held");
    end.send(()).unwrap();
    writing.await.unwrap();
    destroy(&other, &db, "A").await.unwrap();
    let outcome = db
        .db()
        .run_tx("write", async |conn: &mut Conn| one.hold(conn, &key).await)
        .await;
    assert_eq!(class(outcome), "destroyed");
    assert_ne!(one.key(&account("A")).await.unwrap().id(), key.id());
}
