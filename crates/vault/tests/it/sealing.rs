//! Sealing and opening.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock};

use domicile_kernel::ZoomAccountId;
use domicile_store::Conn;
use domicile_testkit::db::TestDb;
use domicile_vault::{DataKey, KeyScope, Place, VaultError};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::support::{ROW, account, destroy, place, vault};

const TOPIC: &str = "the quarter's numbers";

#[tokio::test]
async fn what_one_process_seals_another_opens() {
    let db = TestDb::create().await;
    let key = vault(&db, 1, &[("k1", 1)]).key(&account("A")).await.unwrap();
    let sealed = key.seal(place(), TOPIC.as_bytes()).unwrap();
    assert!(
        !sealed
            .windows(TOPIC.len())
            .any(|window| window == TOPIC.as_bytes())
    );
    let opened = vault(&db, 2, &[("k1", 1)])
        .open_text(place(), &sealed)
        .await
        .unwrap();
    assert_eq!(opened.expose(), TOPIC);
}

#[tokio::test]
async fn two_processes_that_meet_a_new_account_at_once_use_one_key() {
    let db = TestDb::create().await;
    let (one, two) = (vault(&db, 1, &[("k1", 1)]), vault(&db, 2, &[("k1", 1)]));
    let scope = account("A");
    let (first, second) = tokio::join!(one.key(&scope), two.key(&scope));
    assert_eq!(first.unwrap().id(), second.unwrap().id());
}

#[tokio::test]
async fn each_account_has_a_key_of_its_own() {
    let db = TestDb::create().await;
    let vault = vault(&db, 1, &[("k1", 1)]);
    let (a, b) = (
        vault.key(&account("A")).await.unwrap(),
        vault.key(&account("B")).await.unwrap(),
    );
    let region = vault.key(&KeyScope::Region).await.unwrap();
    assert!(a.id() != b.id() && a.id() != region.id() && b.id() != region.id());
    let sealed = a.seal(place(), b"x").unwrap();
    assert!(matches!(b.open(place(), &sealed), Err(VaultError::Unknown(id)) if id == a.id()));
}

#[tokio::test]
async fn a_ciphertext_that_was_moved_does_not_open() {
    let db = TestDb::create().await;
    let vault = vault(&db, 1, &[("k1", 1)]);
    let sealed = vault
        .key(&account("A"))
        .await
        .unwrap()
        .seal(place(), b"x")
        .unwrap();
    for elsewhere in [
        Place::new("recordings", "topic_sealed", Uuid::from_u128(8)),
        Place::new("recordings", "other", ROW),
        Place::new("links", "topic_sealed", ROW),
    ] {
        assert!(matches!(
            vault.open(elsewhere, &sealed).await,
            Err(VaultError::Forged { .. })
        ));
    }
}

#[tokio::test]
async fn a_wrapped_key_that_was_moved_to_another_row_does_not_unwrap() {
    let db = TestDb::create().await;
    let vault_1 = vault(&db, 1, &[("k1", 1)]);
    let (a, b) = (
        vault_1.key(&account("A")).await.unwrap(),
        vault_1.key(&account("B")).await.unwrap(),
    );
    let sealed = [a.seal(place(), b"x").unwrap(), b.seal(place(), b"x").unwrap()];
    let swap = "UPDATE vault_keys k SET wrapped_key = o.wrapped_key FROM vault_keys o WHERE o.id <> k.id";
    assert_eq!(db.client().await.execute(swap, &[]).await.unwrap(), 2);
    let elsewhere = vault(&db, 2, &[("k1", 1)]);
    for sealed in sealed {
        assert!(matches!(
            elsewhere.open(place(), &sealed).await,
            Err(VaultError::RegionKeyWrong { region_key, .. }) if region_key == "k1"
        ));
    }
}

#[tokio::test]
async fn a_lost_region_key_is_named_and_a_wrong_one_told_apart() {
    let db = TestDb::create().await;
    let key = vault(&db, 1, &[("k1", 1)]).key(&account("A")).await.unwrap();
    let sealed = key.seal(place(), b"x").unwrap();
    let missing = vault(&db, 2, &[("k2", 2)]).open(place(), &sealed).await;
    assert!(matches!(missing, Err(VaultError::RegionKeyMissing { region_key, .. }) if region_key == "k1"));
    let wrong = vault(&db, 3, &[("k1", 9)]).open(place(), &sealed).await;
    assert!(matches!(wrong, Err(VaultError::RegionKeyWrong { region_key, .. }) if region_key == "k1"));
    let both = vault(&db, 4, &[("k2", 2), ("k1", 1)]);
    assert_eq!(both.open(place(), &sealed).await.ok().unwrap().expose(), b"x");
}

#[tokio::test]
async fn a_destroyed_key_opens_nothing_and_the_account_gets_a_new_one() {
    let db = TestDb::create().await;
    let vault = vault(&db, 1, &[("k1", 1)]);
    let scope = account("A");
    let old = vault.key(&scope).await.unwrap();
    let sealed = old.seal(place(), b"x").unwrap();
    assert_eq!(destroy(&vault, &db, "A").await, Some(old.id()));
    assert!(matches!(vault.open(place(), &sealed).await, Err(VaultError::Destroyed(id)) if id == old.id()));
    assert_ne!(vault.key(&scope).await.unwrap().id(), old.id());
}

#[tokio::test]
async fn a_key_that_another_process_destroyed_seals_nothing_any_more() {
    let db = TestDb::create().await;
    let (here, there) = (vault(&db, 1, &[("k1", 1)]), vault(&db, 2, &[("k1", 1)]));
    let old = here.key(&account("A")).await.unwrap();
    let hold = async |key: &DataKey| {
        let hold = async |conn: &mut Conn| here.hold(conn, key).await;
        db.db().run_tx("hold", hold).await
    };
    hold(&old).await.unwrap();
    db.db()
        .run_tx("erase", async |conn: &mut Conn| {
            there.destroy(conn, &ZoomAccountId::new("A")).await
        })
        .await
        .unwrap();
    assert!(matches!(hold(&old).await, Err(VaultError::Destroyed(id)) if id == old.id()));
    let new = here.key(&account("A")).await.unwrap();
    assert_ne!(new.id(), old.id());
    hold(&new).await.unwrap();
}

/// One key for all cases of the property; its database lives as long as the process.
fn some_key() -> &'static DataKey {
    static KEY: OnceLock<(Runtime, TestDb, DataKey)> = OnceLock::new();
    let (_, _, key) = KEY.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let (db, key) = runtime.block_on(async {
            let db = TestDb::create().await;
            let key = vault(&db, 1, &[("k1", 1)]).key(&account("A")).await.unwrap();
            (db, key)
        });
        (runtime, db, key)
    });
    key
}

fn a_place() -> impl Strategy<Value = Place> {
    let names = || prop::sample::select(vec!["links", "grants", "a", "ab", "b", ""]);
    (names(), names(), 0_u128..3)
        .prop_map(|(table, column, row)| Place::new(table, column, Uuid::from_u128(row)))
}

proptest! {
    #[test]
    fn any_bytes_come_back_and_no_changed_byte_opens(
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        position: prop::sample::Index,
        change in 1_u8..,
    ) {
        let key = some_key();
        let mut sealed = key.seal(place(), &plaintext).unwrap();
        let opened = key.open(place(), &sealed).ok().unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
        let at = position.index(sealed.len());
        sealed[at] ^= change;
        prop_assert!(key.open(place(), &sealed).is_err());
    }

    #[test]
    fn what_is_cut_or_grown_or_no_ciphertext_at_all_does_not_open(
        plaintext in prop::collection::vec(any::<u8>(), 0..60),
        cut: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let key = some_key();
        let sealed = key.seal(place(), &plaintext).unwrap();
        prop_assert!(key.open(place(), &sealed[..cut.index(sealed.len())]).is_err());
        prop_assert!(key.open(place(), &more).is_err());
        let grown = [sealed, more].concat();
        prop_assert!(key.open(place(), &grown).is_err());
    }

    #[test]
    fn a_ciphertext_opens_in_its_own_place_and_in_no_other(from in a_place(), to in a_place()) {
        let key = some_key();
        let sealed = key.seal(from, b"x").unwrap();
        prop_assert_eq!(key.open(to, &sealed).is_ok(), from == to);
    }

    #[test]
    fn no_nonce_is_used_twice(plaintexts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3), 1..300)) {
        static SEEN: Mutex<Option<HashSet<Vec<u8>>>> = Mutex::new(None);
        let key = some_key();
        let mut seen = SEEN.lock().unwrap();
        let seen = seen.get_or_insert_default();
        for plaintext in plaintexts {
            let sealed = key.seal(place(), &plaintext).unwrap();
            // The version, the key's id, then the nonce of 96 bits.
            prop_assert!(seen.insert(sealed[17..29].to_vec()));
        }
    }
}
