//! Whose the region's keys are.

use domicile_kernel::RegionId;
use domicile_testkit::clock::TestClock;
use domicile_testkit::db::TestDb;
use domicile_vault::{ForeignKey, KeyMarkError};

use crate::support::{FakeKey, Mood, ring, vault, vault_with};

fn region(id: &str) -> RegionId {
    id.parse().unwrap()
}

fn foreign(outcome: Result<(), KeyMarkError>) -> Vec<ForeignKey> {
    match outcome {
        Err(KeyMarkError::Foreign(keys)) => keys,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_belongs_to_the_region_that_first_started_with_it() {
    let db = TestDb::create().await;
    let (eu, longest) = (region("eu"), region("a23456789-123456789-123456789-12"));
    vault(&db, 1, &[("k1", 1)]).mark(&eu).await.unwrap();
    vault(&db, 2, &[("k2", 2), ("k1", 1)]).mark(&eu).await.unwrap();
    vault(&db, 3, &[("k1", 1), ("k2", 2)])
        .check_marks(&eu)
        .await
        .unwrap();

    let text = vault(&db, 4, &[("k1", 1)])
        .mark(&longest)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("mark of the region eu") && text.contains(longest.as_str()),
        "{text}"
    );
    // A key that has no mark is nobody's yet, and the mark of the longest id is read back whole.
    vault(&db, 5, &[("k3", 3)]).mark(&longest).await.unwrap();
    let keys = foreign(vault(&db, 6, &[("k3", 3), ("k2", 2)]).check_marks(&eu).await);
    assert_eq!(
        keys,
        [ForeignKey::Region {
            region_key: "k3".to_owned(),
            ours: eu,
            theirs: longest.as_str().to_owned(),
        }]
    );
}

#[tokio::test]
async fn a_mark_cannot_be_forged_without_its_key() {
    let db = TestDb::create().await;
    let (eu, us) = (region("eu"), region("us"));
    vault(&db, 1, &[("k1", 1)]).mark(&eu).await.unwrap();
    vault(&db, 2, &[("k2", 2)]).mark(&us).await.unwrap();
    // Another key under the id of a marked one.
    let keys = foreign(vault(&db, 3, &[("k1", 9)]).check_marks(&eu).await);
    assert!(matches!(keys.as_slice(), [ForeignKey::Other { region_key, .. }] if region_key == "k1"));
    // The row of one key under the id of the other.
    let client = db.client().await;
    let copied = "UPDATE region_key_marks SET (id, region_id_sealed) =
                  (SELECT gen_random_uuid(), region_id_sealed FROM region_key_marks WHERE region_key_id = 'k1')
                  WHERE region_key_id = 'k2'";
    client.batch_execute(copied).await.unwrap();
    let keys = foreign(vault(&db, 4, &[("k2", 2)]).check_marks(&us).await);
    assert!(matches!(keys.as_slice(), [ForeignKey::Other { region_key, .. }] if region_key == "k2"));
}

#[tokio::test]
async fn a_key_service_that_is_away_stops_nothing_and_the_mark_is_made_later() {
    let db = TestDb::create().await;
    let key = FakeKey::new("k1");
    let vault = vault_with(db.db(), &TestClock::new(), 1, ring(&[&key]));
    let count = async || -> i64 {
        let sql = "SELECT count(*) FROM region_key_marks";
        db.client().await.query_one(sql, &[]).await.unwrap().get(0)
    };
    key.set(Mood::Unreachable);
    vault.mark(&region("eu")).await.unwrap();
    assert_eq!(count().await, 0);
    key.set(Mood::Works);
    vault.mark(&region("eu")).await.unwrap();
    assert_eq!(count().await, 1);
    key.set(Mood::Unreachable);
    vault.check_marks(&region("us")).await.unwrap();
    key.set(Mood::Works);
    assert_eq!(foreign(vault.check_marks(&region("us")).await).len(), 1);
}
