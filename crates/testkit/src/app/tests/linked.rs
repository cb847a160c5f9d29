//! What the settings page shows of a connection, and how it is changed.

use serde_json::json;

use super::browser::Browser;
use super::region::{CONNECT_URL, Region};

#[tokio::test]
async fn a_user_disconnects_zoom() {
    let region = Region::start();
    region.has_link("user:1001", json!({}));
    let alice = Browser::new(region.app.url());
    alice.sign_in("alice").await;
    let page = alice.get("/settings").await;
    assert!(page.text().contains("Disconnect") && !page.text().contains("Connect Zoom<"));
    let fields = [
        ("form_token", page.field("form_token")),
        ("link_id", page.field("link_id")),
    ];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = alice.post("/zoom/disconnect", &fields).await;
    assert_eq!(answer.leads_to(), "/settings");
    let page = alice.get("/settings").await;
    assert!(page.flash().contains("Zoom is disconnected"), "{}", page.flash());
    assert!(page.text().contains("not connected"));
    assert_eq!(region.asked(), [("unlink".to_owned(), json!("l1"))]);
}

#[tokio::test]
async fn nobody_disconnects_another_users_zoom() {
    let region = Region::start();
    region.has_link("user:1001", json!({}));
    let bob = Browser::new(region.app.url());
    bob.sign_in("bob").await;
    let token = bob.get("/settings").await.field("form_token");
    for link_id in ["l1", "l2", "../links/l1"] {
        let fields = [("form_token", token.as_str()), ("link_id", link_id)];
        assert_eq!(
            bob.post("/zoom/disconnect", &fields).await.leads_to(),
            "/settings"
        );
        let flash = bob.get("/settings").await.flash();
        assert!(flash.contains("Nothing was disconnected"), "{flash}");
    }
    assert_eq!(region.asked(), []);
}

#[tokio::test]
async fn a_connection_that_asks_for_consent_says_why_and_what_is_missing() {
    let region = Region::start();
    let missing = json!([{ "scope": "cloud_recording:read:recording", "disables": "fetching <recordings>" }]);
    let more = json!({
        "status": "needs_reauthorization", "reauthorization_reason": "grant_revoked", "missing_scopes": missing,
    });
    region.has_link("user:1001", more);
    let alice = Browser::new(region.app.url());
    alice.sign_in("alice").await;
    let page = alice.get("/settings").await;
    for words in [
        "asks for your consent again",
        "needs reauthorization",
        "grant revoked",
        "fetching &lt;recordings&gt;",
        "cloud_recording:read:recording",
        "Reconnect",
        "Disconnect",
    ] {
        assert!(page.text().contains(words), "{words}");
    }
    let token = page.field("form_token");
    let answer = alice.post("/zoom/connect", &[("form_token", &token)]).await;
    assert_eq!(answer.leads_to(), CONNECT_URL);
}

#[tokio::test]
async fn a_connection_in_the_way_is_replaced_only_when_the_user_says_so() {
    let region = Region::start();
    region.is_taken();
    let alice = Browser::new(region.app.url());
    alice.sign_in("alice").await;
    let token = alice.get("/settings").await.field("form_token");
    alice.post("/zoom/connect", &[("form_token", &token)]).await;
    alice.get("/zoom/return?ticket=t1").await;
    let page = alice.get("/settings").await;
    assert!(
        page.flash().contains("There is another link already"),
        "{}",
        page.flash()
    );
    assert!(page.text().contains("Replace the existing connection"));
    let fields = [("form_token", token.as_str()), ("replace", "true")];
    assert_eq!(alice.post("/zoom/connect", &fields).await.leads_to(), CONNECT_URL);
    alice.get("/zoom/return?ticket=t1").await;
    let page = alice.get("/settings").await;
    assert!(page.flash().contains("Zoom is connected"), "{}", page.flash());
    assert!(!page.text().contains("Replace the existing connection"));
    let asked = region.asked();
    assert!(asked[0].1.get("replace").is_none());
    assert_eq!(asked[2].1["replace"], true);
}
