//! Sign-in, "Connect Zoom", and the way back.

use http::StatusCode;
use serde_json::json;

use super::super::{ReceivingApp, ReceivingAppSettings};
use super::browser::Browser;
use super::region::{CONNECT_URL, Region};

/// Presses the button on the settings page.
async fn connect(browser: &Browser) {
    let token = browser.get("/settings").await.field("form_token");
    let answer = browser.post("/zoom/connect", &[("form_token", &token)]).await;
    assert_eq!(answer.leads_to(), CONNECT_URL);
}

#[tokio::test]
async fn a_user_connects_zoom_and_is_told_so() {
    let region = Region::start();
    let alice = Browser::new(region.app.url());
    assert_eq!(alice.get("/settings").await.leads_to(), "/sign-in");
    alice.sign_in("alice").await;
    assert!(alice.get("/settings").await.text().contains("not connected"));
    connect(&alice).await;
    let back = alice.get("/zoom/return?ticket=t1").await;
    assert_eq!(back.leads_to(), "/settings");
    let page = alice.get("/settings").await;
    assert!(page.flash().contains("Zoom is connected"), "{}", page.flash());
    assert!(page.text().contains("<code>zu</code>"));
    assert!(!alice.get("/settings").await.text().contains("class=\"flash"));
    let return_url = region.app.return_url();
    let begun = (
        "begin".to_owned(),
        json!({ "subject": "user:1001", "return_url": return_url }),
    );
    let confirmed = (
        "confirm".to_owned(),
        json!({ "subject": "user:1001", "ticket": "t1" }),
    );
    assert_eq!(region.asked(), [begun, confirmed]);
}

/// INV-6: the app confirms for whoever is signed in, so the region refuses another user's ticket.
#[tokio::test]
async fn a_ticket_that_lands_in_another_users_session_is_refused_in_words() {
    let region = Region::start();
    let (alice, bob) = (Browser::new(region.app.url()), Browser::new(region.app.url()));
    alice.sign_in("alice").await;
    bob.sign_in("bob").await;
    connect(&alice).await;
    assert_eq!(
        bob.get("/zoom/return?ticket=t1&subject=user:1001")
            .await
            .leads_to(),
        "/settings"
    );
    let page = bob.get("/settings").await;
    let flash = page.flash();
    assert!(flash.contains("Zoom was not connected"), "{flash}");
    assert!(
        flash.contains("The region says: The ticket belongs to another &lt;subject&gt;."),
        "{flash}"
    );
    assert!(
        flash.contains("Reference: req-7.") && flash.contains("role=\"alert\""),
        "{flash}"
    );
    assert!(page.text().contains("not connected"));
    assert_eq!(region.asked()[1].1["subject"], "user:1002");
}

#[tokio::test]
async fn who_comes_back_signed_out_signs_in_first_and_the_ticket_is_kept() {
    let region = Region::start();
    let first = Browser::new(region.app.url());
    first.sign_in("alice").await;
    connect(&first).await;
    let second = Browser::new(region.app.url());
    let page = second.get("/zoom/return?ticket=t1").await;
    assert_eq!(page.status, StatusCode::OK);
    let (token, ticket) = (page.field("form_token"), page.field("ticket"));
    let fields = [
        ("user", "alice"),
        ("form_token", token.as_str()),
        ("ticket", ticket.as_str()),
    ];
    let answer = second.post("/sign-in", &fields).await;
    assert_eq!(answer.leads_to(), "/zoom/return?ticket=t1");
    assert_eq!(region.asked().len(), 1, "nothing is confirmed before sign-in");
    assert_eq!(second.get(answer.leads_to()).await.leads_to(), "/settings");
    assert!(
        second
            .get("/settings")
            .await
            .flash()
            .contains("Zoom is connected")
    );
}

#[tokio::test]
async fn a_form_of_another_session_does_nothing() {
    let region = Region::start();
    let (alice, bob) = (Browser::new(region.app.url()), Browser::new(region.app.url()));
    alice.sign_in("alice").await;
    bob.sign_in("bob").await;
    let foreign = bob.get("/settings").await.field("form_token");
    for path in ["/zoom/connect", "/sign-out"] {
        let answer = alice.post(path, &[("form_token", &foreign)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    let fields = [("user", "bob"), ("form_token", foreign.as_str())];
    assert_eq!(
        alice.post("/sign-in", &fields).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(region.asked(), []);
    assert!(alice.get("/settings").await.text().contains("Alice Archer"));
}

#[tokio::test]
async fn signing_in_and_out_ends_the_session_before() {
    let region = Region::start();
    let alice = Browser::new(region.app.url());
    let before = alice.get("/sign-in").await.header("set-cookie").to_owned();
    alice.sign_in("alice").await;
    let page = alice.get("/recordings").await;
    let old = before.split_once(';').unwrap().0;
    let stranger = Browser::new(region.app.url());
    assert_eq!(
        stranger
            .get_with("/recordings", &[("cookie", old)])
            .await
            .leads_to(),
        "/sign-in"
    );
    let answer = alice
        .post("/sign-out", &[("form_token", &page.field("form_token"))])
        .await;
    assert_eq!(answer.leads_to(), "/sign-in");
    assert!(alice.get("/sign-in").await.flash().contains("You are signed out"));
    assert_eq!(alice.get("/recordings").await.leads_to(), "/sign-in");
}

#[tokio::test]
async fn a_region_that_does_not_answer_is_told_in_words_on_every_page() {
    let region = Region::start();
    let alice = Browser::new(region.app.url());
    alice.sign_in("alice").await;
    region.vanish().await;
    for path in ["/settings", "/recordings"] {
        let page = alice.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            page.text().contains("The region did not answer"),
            "{}",
            page.text()
        );
    }
    let token = alice.get("/settings").await.field("form_token");
    let answer = alice.post("/zoom/connect", &[("form_token", &token)]).await;
    assert_eq!(answer.leads_to(), "/settings");
    assert!(
        alice
            .get("/settings")
            .await
            .flash()
            .contains("Zoom could not be connected")
    );
}

#[tokio::test]
async fn an_app_that_knows_no_region_yet_says_so() {
    let app = ReceivingApp::start(ReceivingAppSettings::default()).unwrap();
    let bob = Browser::new(app.url());
    bob.sign_in("bob").await;
    assert!(
        bob.get("/settings")
            .await
            .text()
            .contains("has not been told where its region is")
    );
    app.stop().await;
}

#[tokio::test]
async fn pages_forbid_scripts_frames_and_outside_resources() {
    let region = Region::start_with(ReceivingAppSettings {
        connect_origins: vec![
            "http://127.0.0.1:7/x".parse().unwrap(),
            "http://127.0.0.1:8".parse().unwrap(),
        ],
        ..ReceivingAppSettings::default()
    });
    let page = Browser::new(region.app.url()).get("/sign-in").await;
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self';"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        policy.ends_with("form-action 'self' http://127.0.0.1:7 http://127.0.0.1:8"),
        "{policy}"
    );
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(
        !page.text().contains("<script") && !page.text().contains("//"),
        "{}",
        page.text()
    );
}
