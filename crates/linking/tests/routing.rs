//! INV-7: an event goes to the link of exactly its Zoom user, else to that of exactly its Zoom account, else to nobody.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

use domicile_kernel::{ZoomAccountId, ZoomUserId};
use domicile_linking::Linking;
use domicile_testkit::db::TestDb;

/// Subject, account, user and status of each link.
const LINKS: &[(&str, &str, Option<&str>, &str)] = &[
    ("user:alice", "bank", Some("alice"), "active"),
    ("user:bob", "bank", Some("bob"), "needs_reauthorization"),
    ("user:gone", "bank", Some("gone"), "revoked"),
    ("org:insurer", "insurer", None, "active"),
    ("user:carol", "insurer", Some("carol"), "active"),
    ("org:former", "former", None, "revoked"),
];

async fn links() -> TestDb {
    let db = TestDb::create().await;
    let client = db.client().await;
    for (subject, account, user, status) in LINKS {
        let sql =
            "INSERT INTO links (id, subject, zoom_client_id, zoom_account_id, zoom_user_id, status, scopes,
                                      created_at, updated_at, revoked_at)
                   VALUES (gen_random_uuid(), $1, 'c', $2, $3, $4, '{}', now(), now(),
                           CASE WHEN $4 = 'revoked' THEN now() END)";
        client
            .execute(sql, &[subject, account, user, status])
            .await
            .unwrap();
    }
    db
}

async fn route(db: &TestDb, account: &str, user: Option<&str>) -> Option<String> {
    let (account, user) = (ZoomAccountId::new(account), user.map(ZoomUserId::new));
    let mut conn = db.db().conn().await.unwrap();
    let link = Linking::route(&mut conn, &account, user.as_ref()).await.unwrap();
    link.map(|link| link.subject.to_string())
}

#[tokio::test]
async fn an_event_goes_to_exactly_its_user_else_to_exactly_its_account() {
    let db = links().await;
    for (account, user, subject) in [
        ("bank", Some("alice"), "user:alice"),
        ("bank", Some("bob"), "user:bob"),
        ("insurer", Some("carol"), "user:carol"),
        ("insurer", Some("somebody else"), "org:insurer"),
        ("insurer", None, "org:insurer"),
    ] {
        assert_eq!(
            route(&db, account, user).await.as_deref(),
            Some(subject),
            "{account} {user:?}"
        );
    }
}

#[tokio::test]
async fn an_event_that_matches_no_link_exactly_goes_to_nobody() {
    let db = links().await;
    for (account, user) in [
        // A colleague of a linked user, and the account alone, where only users are linked.
        ("bank", Some("mallory")),
        ("bank", None),
        // The right user id in another account, and near misses.
        ("former", Some("alice")),
        ("elsewhere", Some("alice")),
        ("bank", Some("Alice")),
        ("Bank", Some("alice")),
        ("bank", Some("")),
        // What was unlinked.
        ("bank", Some("gone")),
        ("former", None),
    ] {
        assert_eq!(route(&db, account, user).await, None, "{account} {user:?}");
    }
}
