//! What the start finds out.

use domicile_testkit::clock::TestClock;
use domicile_testkit::db::TestDb;
use domicile_vault::{CheckError, UnfitKey, VaultError};

use crate::support::{FakeKey, Mood, account, ring, vault, vault_with};

fn unfit(outcome: Result<(), CheckError>) -> Vec<UnfitKey> {
    match outcome {
        Err(CheckError::Unfit(keys)) => keys,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_region_key_that_is_missing_or_wrong_is_listed() {
    let db = TestDb::create().await;
    for (seed, id) in [(1, "k1"), (2, "k2"), (3, "k3")] {
        let byte = u8::try_from(seed).unwrap();
        vault(&db, seed, &[(id, byte)]).key(&account(id)).await.unwrap();
    }
    let right = vault(&db, 4, &[("new", 9), ("k3", 3), ("k2", 2), ("k1", 1)]);
    right.check().await.unwrap();
    let keys = unfit(vault(&db, 5, &[("k3", 7)]).check().await);
    let [
        UnfitKey::Missing {
            region_key: first,
            data_keys: 1,
        },
        UnfitKey::Missing {
            region_key: second,
            data_keys: 1,
        },
        UnfitKey::Refused(VaultError::RegionKeyWrong {
            region_key: third, ..
        }),
    ] = keys.as_slice()
    else {
        panic!("{keys:?}");
    };
    assert_eq!([first, second, third], ["k1", "k2", "k3"]);
    let text = vault(&db, 6, &[("k3", 7)]).check().await.unwrap_err().to_string();
    assert!(text.contains("DOMICILE_VAULT_KEYS") && text.contains("\"k1\"") && text.contains("put it back"));
}

#[tokio::test]
async fn destroyed_keys_need_no_region_key() {
    let db = TestDb::create().await;
    let old = vault(&db, 1, &[("k1", 1)]);
    old.key(&account("A")).await.unwrap();
    crate::support::destroy(&old, &db, "A").await.unwrap();
    vault(&db, 2, &[("k2", 2)]).check().await.unwrap();
}

#[tokio::test]
async fn a_key_service_that_refuses_stops_the_start_and_one_that_is_away_does_not() {
    let db = TestDb::create().await;
    let key = FakeKey::new("k1");
    let vault = vault_with(db.db(), &TestClock::new(), 1, ring(&[&key]));
    vault.check().await.unwrap();
    vault.key(&account("A")).await.unwrap();
    key.set(Mood::Unreachable);
    vault.check().await.unwrap();
    key.set(Mood::OnlyWraps);
    assert_eq!(unfit(vault.check().await).len(), 2, "sealing and opening");
    key.set(Mood::Disabled);
    let text = vault.check().await.unwrap_err().to_string();
    assert!(text.contains("disabled") && text.contains("\"k1\""), "{text}");
}
