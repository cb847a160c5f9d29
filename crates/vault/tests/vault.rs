//! The vault over a real database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domicile_kernel::{Secret, ZoomAccountId};
use domicile_store::Conn;
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use domicile_vault::{DataKey, KeyScope, Place, RegionKeys, Vault, VaultError};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use uuid::Uuid;

fn region_keys(entries: &[(&str, u8)]) -> RegionKeys {
    let text: Vec<_> = entries
        .iter()
        .map(|(id, byte)| format!("{id}:{}", STANDARD.encode([*byte; 32])))
        .collect();
    RegionKeys::parse(&Secret::new(text.join(","))).unwrap()
}

fn vault(db: &TestDb, seed: u64, keys: &[(&str, u8)]) -> Vault {
    Vault::new(
        db.db(),
        ids(&TestClock::new(), &SeededRng::new(seed)),
        region_keys(keys),
    )
}

fn account(name: &str) -> KeyScope {
    KeyScope::Account(ZoomAccountId::new(name))
}

const ROW: Uuid = Uuid::from_u128(7);
const TOPIC: &str = "the quarter's numbers";

fn place() -> Place {
    Place::new("recordings", "topic_sealed", ROW)
}

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
    let destroyed = db
        .db()
        .run_tx("erase", async |conn: &mut Conn| {
            vault.destroy(conn, &ZoomAccountId::new("A")).await
        })
        .await
        .unwrap();
    assert_eq!(destroyed, Some(old.id()));
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
        let again = key.seal(place(), &plaintext).unwrap();
        prop_assert_ne!(&again, &sealed, "a nonce was used twice");
        let at = position.index(sealed.len());
        sealed[at] ^= change;
        prop_assert!(key.open(place(), &sealed).is_err());
    }
}
