//! Rotation while traffic flows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use domicile_kernel::ZoomAccountId;
use domicile_store::Conn;
use domicile_testkit::clock::TestClock;
use domicile_testkit::db::TestDb;
use domicile_vault::{RotationProgress, Vault, VaultError};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::{FakeKey, Mood, account, class, destroy, place, region_keys, ring, vault, vault_with};

const OLD_FIRST: &[(&str, u8)] = &[("old", 1), ("new", 2)];
const NEW_FIRST: &[(&str, u8)] = &[("new", 2), ("old", 1)];

/// Makes the data keys of so many accounts and seals something under each.
async fn accounts(vault: &Vault, count: usize) -> Vec<Vec<u8>> {
    let mut sealed = Vec::new();
    for number in 0..count {
        let key = vault.key(&account(number)).await.unwrap();
        sealed.push(key.seal(place(), number.to_string().as_bytes()).unwrap());
    }
    sealed
}

async fn all_open(vault: &Vault, sealed: &[Vec<u8>]) {
    for (number, sealed) in sealed.iter().enumerate() {
        let opened = vault.open_text(place(), sealed).await.unwrap();
        assert_eq!(*opened.expose(), number.to_string());
    }
}

async fn hanging_on(vault: &Vault, region_key: &str) -> u64 {
    let status = vault.status().await.unwrap();
    let key = status.region_keys.iter().find(|key| key.id == region_key);
    key.map_or(0, |key| key.data_keys)
}

#[tokio::test]
async fn a_rotation_moves_every_key_and_then_the_old_region_key_is_not_needed() {
    let db = TestDb::create().await;
    let sealed = accounts(&vault(&db, 1, OLD_FIRST), 250).await;
    let operator = vault(&db, 2, NEW_FIRST);
    assert_eq!(operator.status().await.unwrap().to_rotate, 250);
    let mut told: Vec<RotationProgress> = Vec::new();
    let report = operator.rotate(|progress| told.push(progress)).await.unwrap();
    assert!(report.is_complete() && report.failures.is_empty());
    assert_eq!((report.rotated, report.sealing.as_str()), (250, "new"));
    let rotated: Vec<_> = told.iter().map(|it| (it.rotated, it.of)).collect();
    assert_eq!(rotated, [(100, 250), (200, 250), (250, 250)]);
    let old = report
        .status
        .region_keys
        .iter()
        .find(|key| key.id == "old")
        .unwrap();
    assert!(old.removable && old.data_keys == 0 && !old.seals);
    all_open(&vault(&db, 3, &[("new", 2)]), &sealed).await;
    let again = operator.rotate(|_| ()).await.unwrap();
    assert_eq!((again.rotated, again.is_complete()), (0, true));
}

/// Seals and opens over and over, half of the time with nothing in memory, and counts; any failure ends the test.
async fn traffic(
    vault: Vault,
    cold: impl Fn(u64) -> Vault,
    sealed: Arc<Vec<Vec<u8>>>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        for (number, ciphertext) in sealed.iter().enumerate() {
            let vault = if done % 2 == 0 { cold(done) } else { vault.clone() };
            let opened = vault.open_text(place(), ciphertext).await.expect("it opens");
            assert_eq!(*opened.expose(), number.to_string());
            let key = vault.key(&account(number)).await.expect("there is a key");
            let fresh = key.seal(place(), b"fresh").expect("it seals");
            vault.open(place(), &fresh).await.expect("it opens");
            // Accounts that come while a rotation runs.
            let newcomer = vault.key(&account(format!("new-{}", done % 97))).await;
            newcomer.expect("there is a key");
            done += 1;
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_fails_to_seal_or_open_while_rotations_run_to_and_fro() {
    let db = Arc::new(TestDb::create().await);
    let sealed = Arc::new(accounts(&vault(&db, 1, OLD_FIRST), 40).await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    // Two replicas in the middle of a roll-out: one seals with the old key, one with the new.
    for (replica, keys) in [(10_u64, OLD_FIRST), (20, NEW_FIRST)] {
        let warm = vault(&db, replica, keys);
        for task in 0..3 {
            let (pool, warm) = (db.db(), warm.clone());
            let cold = move |done: u64| {
                let seed = replica * 1_000_000 + task * 100_000 + done;
                vault_with(pool.clone(), &TestClock::new(), seed, region_keys(keys))
            };
            tasks.spawn(traffic(warm, cold, Arc::clone(&sealed), Arc::clone(&stop)));
        }
    }
    let mut rotated = 0;
    for round in 0..12_u64 {
        let keys = if round % 2 == 0 { NEW_FIRST } else { OLD_FIRST };
        let operator = vault(&db, 100 + round, keys);
        let report = operator.rotate(|_| ()).await.unwrap();
        assert!(report.failures.is_empty(), "{report:?}");
        rotated += report.rotated;
        assert!(!tasks.is_empty());
    }
    stop.store(true, Ordering::Relaxed);
    let done: u64 = tasks.join_all().await.into_iter().sum();
    assert!(
        rotated >= 40 * 12 / 2 && done > 100,
        "{rotated} rotated, {done} rounds"
    );
    let last = vault(&db, 200, NEW_FIRST);
    assert!(last.rotate(|_| ()).await.unwrap().is_complete());
    all_open(&vault(&db, 201, &[("new", 2)]), &sealed).await;
}

#[tokio::test]
async fn a_rotation_that_is_killed_leaves_everything_open_and_is_resumed() {
    let db = TestDb::create().await;
    let sealed = accounts(&vault(&db, 1, OLD_FIRST), 250).await;
    let operator = vault(&db, 2, NEW_FIRST);
    let killed = Notify::new();
    tokio::select! {
        biased;
        () = killed.notified() => {}
        _ = operator.rotate(|_| killed.notify_one()) => panic!("it was to be killed"),
    }
    let moved = hanging_on(&operator, "new").await;
    assert!((1..250).contains(&moved), "{moved}");
    all_open(&vault(&db, 3, OLD_FIRST), &sealed).await;
    let report = operator.rotate(|_| ()).await.unwrap();
    assert_eq!((report.rotated, report.is_complete()), (250 - moved, true));
    all_open(&vault(&db, 4, &[("new", 2)]), &sealed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rotations_at_once_do_each_key_once() {
    let db = TestDb::create().await;
    let sealed = accounts(&vault(&db, 1, OLD_FIRST), 150).await;
    let (one, other) = (vault(&db, 2, NEW_FIRST), vault(&db, 3, NEW_FIRST));
    let (one, other) = tokio::join!(one.rotate(|_| ()), other.rotate(|_| ()));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.rotated + other.rotated, 150);
    assert!(one.failures.is_empty() && other.failures.is_empty());
    all_open(&vault(&db, 4, &[("new", 2)]), &sealed).await;
}

#[tokio::test]
async fn a_key_that_is_destroyed_while_it_is_rewrapped_stays_destroyed() {
    let db = TestDb::create().await;
    let clock = TestClock::new();
    let (old, new) = (FakeKey::new("old"), FakeKey::new("new"));
    let traffic = vault_with(db.db(), &clock, 1, ring(&[&old, &new]));
    let sealed = accounts(&traffic, 2).await;
    let operator = vault_with(db.db(), &clock, 2, ring(&[&new, &old]));
    new.close();
    let rotating = tokio::spawn(async move { operator.rotate(|_| ()).await.unwrap() });
    while new.wraps.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    destroy(&traffic, &db, "0").await.unwrap();
    new.gate.add_permits(100);
    let report = rotating.await.unwrap();
    assert_eq!(
        (report.rotated, report.overtaken, report.is_complete()),
        (1, 1, true)
    );
    let cold = vault_with(db.db(), &clock, 3, ring(&[&new, &old]));
    assert_eq!(class(cold.open(place(), &sealed[0]).await), "destroyed");
    assert_eq!(class(cold.open(place(), &sealed[1]).await), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn destruction_wins_against_rotations_whatever_the_order() {
    let db = Arc::new(TestDb::create().await);
    let first = vault(&db, 1, OLD_FIRST);
    let sealed = accounts(&first, 60).await;
    let mut tasks = JoinSet::new();
    for seed in 10..12 {
        let operator = vault(&db, seed, if seed == 10 { NEW_FIRST } else { OLD_FIRST });
        tasks.spawn(async move {
            for _ in 0..4 {
                assert!(operator.rotate(|_| ()).await.unwrap().failures.is_empty());
            }
        });
    }
    let gone = Arc::new(AtomicU64::new(0));
    for part in 0..3_usize {
        let (pool, vault, gone) = (db.db(), first.clone(), Arc::clone(&gone));
        tasks.spawn(async move {
            for number in (0..60).filter(|number| number % 3 == part && number % 2 == 0) {
                let name = ZoomAccountId::new(number.to_string());
                pool.run_tx("erase", async |conn: &mut Conn| -> Result<_, VaultError> {
                    vault.destroy(conn, &name).await
                })
                .await
                .unwrap();
                gone.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(gone.load(Ordering::Relaxed), 30);
    let cold = vault(&db, 20, NEW_FIRST);
    for (number, sealed) in sealed.iter().enumerate() {
        let expected = if number % 2 == 0 { "destroyed" } else { "ok" };
        assert_eq!(class(cold.open(place(), sealed).await), expected, "{number}");
    }
}

#[tokio::test]
async fn what_hangs_on_a_region_key_that_is_missing_or_wrong_is_left_and_named() {
    let db = TestDb::create().await;
    accounts(&vault(&db, 1, &[("lost", 5)]), 3).await;
    vault(&db, 2, &[("old", 1)]).key(&account("A")).await.unwrap();
    vault(&db, 3, &[("changed", 6)]).key(&account("B")).await.unwrap();
    let operator = vault(&db, 4, &[("new", 2), ("old", 1), ("changed", 7)]);
    let report = operator.rotate(|_| ()).await.unwrap();
    assert_eq!((report.rotated, report.is_complete()), (1, false));
    let missing: Vec<_> = report
        .status
        .missing()
        .map(|key| (key.id.as_str(), key.data_keys))
        .collect();
    assert_eq!(missing, [("lost", 3)]);
    let [failure] = report.failures.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(
        (failure.region_key.as_str(), failure.class, failure.data_keys),
        ("changed", "wrong", 1)
    );
}

#[tokio::test]
async fn a_new_region_key_that_does_not_unwrap_gets_nothing() {
    let db = TestDb::create().await;
    let clock = TestClock::new();
    let (old, new) = (FakeKey::new("old"), FakeKey::new("new"));
    let traffic = vault_with(db.db(), &clock, 1, ring(&[&old, &new]));
    let sealed = accounts(&traffic, 250).await;
    new.set(Mood::OnlyWraps);
    let operator = vault_with(db.db(), &clock, 2, ring(&[&new, &old]));
    let report = operator.rotate(|_| ()).await.unwrap();
    assert_eq!((report.rotated, report.status.to_rotate), (0, 250));
    let failure = &report.failures[0];
    assert!(
        failure.gave_up && failure.class == "denied" && failure.data_keys == 100,
        "{failure:?}"
    );
    assert!(failure.reason.contains("kms:Decrypt"));
    all_open(&vault_with(db.db(), &clock, 3, ring(&[&old])), &sealed).await;
    new.set(Mood::Works);
    assert!(operator.rotate(|_| ()).await.unwrap().is_complete());
}
