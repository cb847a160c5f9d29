//! The same where the region reads the app's session token from the browser, at the start and at the callback.

use domicile_zoomsim::{Decision, User};
use http::Method;
use url::Url;

use super::{parameter, with_parameter};
use crate::harness::browser::Browser;
use crate::harness::world::{ALICE, BOB, World};

/// Alice is honest, Mallory (who is the app's user Bob) is not. Each is signed in to the app in a browser of their own.
struct Cast {
    world: World,
    alice: Browser,
    alice_at_zoom: User,
    mallory: Browser,
    mallory_at_zoom: User,
}

impl Cast {
    async fn new() -> Self {
        let world = World::start_session_jwt().await;
        let mut cast = Self {
            alice_at_zoom: world.zoom_user(),
            mallory_at_zoom: world.zoom_user(),
            alice: Browser::new(),
            mallory: Browser::new(),
            world,
        };
        sign_in(&cast.world, &mut cast.alice, ALICE);
        sign_in(&cast.world, &mut cast.mallory, BOB);
        cast
    }

    /// Nothing came of it, the audit says why, and Alice can still link.
    async fn repelled(&mut self, reason: &str) {
        assert_eq!(self.world.links().await, 0);
        let refusals = self.world.refusals(None).await;
        assert!(
            refusals.iter().any(|refusal| refusal == reason),
            "{reason}: {refusals:?}"
        );
        let link = self.alice_links().await;
        assert_eq!(self.world.links().await, 1);
        let path = format!("/v1/links/{link}");
        let link = self.world.api(Method::GET, &path, None).await.json();
        assert_eq!(
            (&link["subject"], &link["status"]),
            (&ALICE.into(), &"active".into())
        );
    }

    /// The whole journey of the honest user; gives the id of her link.
    async fn alice_links(&mut self) -> String {
        let mut browser = Browser::new();
        sign_in(&self.world, &mut browser, ALICE);
        let user = self.world.zoom_user();
        let connect_url = self.world.connect_url(ALICE).await;
        let callback = self
            .world
            .decide(&mut browser, &connect_url, &user, Decision::Allow)
            .await;
        let back = browser.get(&callback).await.location();
        assert!(back.as_str().starts_with(self.world.app.return_url().as_str()));
        assert!(
            !back.as_str().contains("ticket"),
            "nobody has to confirm anything"
        );
        parameter(&back, "link_id")
    }

    async fn callback_of(&mut self, mallory: bool, connect_url: &Url) -> Url {
        let (browser, user) = if mallory {
            (&mut self.mallory, &self.mallory_at_zoom)
        } else {
            (&mut self.alice, &self.alice_at_zoom)
        };
        self.world
            .decide(browser, connect_url, user, Decision::Allow)
            .await
    }
}

fn sign_in(world: &World, browser: &mut Browser, subject: &str) {
    browser.plant(&world.app.session_cookie(), &world.app.session_jwt_for(subject));
}

fn sign_out(world: &World, browser: &mut Browser) {
    browser.forget(&world.app.session_cookie());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_honest_user_is_linked_when_she_comes_back() {
    let mut cast = Cast::new().await;
    cast.alice_links().await;
    let told = cast.world.told("link.active").await;
    assert_eq!(told.last().unwrap().event()["subject"], ALICE);
    let entries = cast.world.audit(Some(ALICE)).await;
    let activated = entries
        .iter()
        .find(|entry| entry["action"] == "link.activate")
        .unwrap();
    assert_eq!(activated["actor"], "browser");
}

/// INV-6, the forced link: Alice opens Mallory's link. She is signed in as herself, so she does not even get to Zoom.
#[tokio::test(flavor = "multi_thread")]
async fn forced_link() {
    let mut cast = Cast::new().await;
    let mallorys = cast.world.connect_url(BOB).await;
    let page = cast.alice.get(&mallorys).await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("made for somebody else"));
    assert!(cast.alice.cookies().len() == 1, "no session was begun");
    cast.repelled("subject_mismatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stolen_connect_link() {
    let mut cast = Cast::new().await;
    let alices = cast.world.connect_url(ALICE).await;
    assert_eq!(cast.mallory.get(&alices).await.status, 403);
    // It did no harm to the session: she can still use it.
    let callback = cast.callback_of(false, &alices).await;
    let back = cast.alice.get(&callback).await.location();
    assert!(back.as_str().contains("link_id"));
    assert_eq!(cast.world.links().await, 1);
    assert!(
        cast.world
            .refusals(Some(ALICE))
            .await
            .contains(&"subject_mismatch".to_owned())
    );
}

/// Between start and callback the person at the browser changes.
#[tokio::test(flavor = "multi_thread")]
async fn another_user_at_the_callback() {
    let mut cast = Cast::new().await;
    let mallorys = cast.world.connect_url(BOB).await;
    let callback = cast.callback_of(true, &mallorys).await;
    sign_in(&cast.world, &mut cast.mallory, ALICE);
    let page = cast.mallory.get(&callback).await;
    assert_eq!(page.status, 403);
    assert!(
        cast.world.zoom.sim().grants().is_empty(),
        "the code was never exchanged"
    );
    sign_in(&cast.world, &mut cast.mallory, BOB);
    assert_eq!(
        cast.mallory.get(&callback).await.status,
        404,
        "the state is spent"
    );
    cast.repelled("subject_mismatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_out_at_start_and_at_the_callback() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let page = Browser::new().get(&connect_url).await;
    assert_eq!(page.status, 401);
    assert!(page.text().contains("Sign in first"));
    let callback = cast.callback_of(false, &connect_url).await;
    sign_out(&cast.world, &mut cast.alice);
    let page = cast.alice.get(&callback).await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("signed out"));
    cast.repelled("not_signed_in").await;
}

/// Mallory lures Alice's browser, which is signed in, to the callback with his code and state.
#[tokio::test(flavor = "multi_thread")]
async fn callback_in_another_browser() {
    let mut cast = Cast::new().await;
    let mallorys = cast.world.connect_url(BOB).await;
    let callback = cast.callback_of(true, &mallorys).await;
    assert_eq!(cast.alice.get(&callback).await.status, 403);
    cast.repelled("browser_mismatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_injection() {
    let mut cast = Cast::new().await;
    let (alices, mallorys) = (
        cast.world.connect_url(ALICE).await,
        cast.world.connect_url(BOB).await,
    );
    let hers = cast.callback_of(false, &alices).await;
    let his = cast.callback_of(true, &mallorys).await;
    let injected = with_parameter(&hers, "code", &parameter(&his, "code"));
    let page = cast.alice.get(&injected).await;
    assert_eq!(page.status, 502);
    assert!(page.text().contains("Zoom did not agree"));
    cast.repelled("code_rejected").await;
}

/// A token that the app did not sign, or not for this region, is none at all.
#[tokio::test(flavor = "multi_thread")]
async fn forged_session_token() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let hers = cast.world.app.session_jwt_for(ALICE);
    let his = cast.world.app.session_jwt_for(BOB);
    let other = World::start_session_jwt().await;
    let (head, _) = hers.split_once('.').unwrap();
    let parts: Vec<_> = his.split('.').collect();
    let her_parts: Vec<_> = hers.split('.').collect();
    for forged in [
        format!("{}.{}.{}", parts[0], her_parts[1], parts[2]),
        format!("{}.{}.", her_parts[0], her_parts[1]),
        head.to_owned(),
        "null".to_owned(),
        other.app.session_jwt_for(ALICE),
    ] {
        let mut browser = Browser::new();
        browser.plant(&cast.world.app.session_cookie(), &forged);
        assert_eq!(browser.get(&connect_url).await.status, 401, "{forged}");
    }
    // Two cookies of one name are believed neither.
    let tossed = format!("{}={his}", cast.world.app.session_cookie());
    let page = cast.alice.get_with_cookie_before(&connect_url, &tossed).await;
    assert_eq!(page.status, 401);
    cast.repelled("not_signed_in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_app_changes_its_key_tokens_under_both_published_keys_are_good() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let before = cast.world.app.session_jwt_for(ALICE);
    cast.world.app.rotate_key();
    let after = cast.world.app.session_jwt_for(ALICE);
    assert_ne!(
        before.split('.').next(),
        after.split('.').next(),
        "the key's id stands in the head"
    );
    for token in [before, after] {
        cast.alice.plant(&cast.world.app.session_cookie(), &token);
        cast.alice.get(&connect_url).await.location();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_and_replayed() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast.callback_of(false, &connect_url).await;
    cast.world.sessions_run_out().await;
    assert_eq!(cast.alice.get(&callback).await.status, 410);
    assert_eq!(cast.alice.get(&callback).await.status, 404);
    assert_eq!(cast.alice.get(&connect_url).await.status, 410);
    cast.repelled("expired").await;
}

/// A ticket means nothing here: the region gives out none.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_confirms_nothing() {
    let mut cast = Cast::new().await;
    let ticket = "eu.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(
        cast.world.confirm(ticket, ALICE).await.problem(),
        "ticket_invalid"
    );
    cast.repelled("unknown_ticket").await;
}

/// A user whose home is elsewhere sees a page that says so; a Zoom user who is linked sees one too.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_after_the_exchange_have_a_page() {
    let mut cast = Cast::new().await;
    cast.alice_links().await;
    // Alice again, with another Zoom user.
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast.callback_of(false, &connect_url).await;
    let page = cast.alice.get(&callback).await;
    assert_eq!(page.status, 409);
    assert!(page.text().contains("You are connected already"));
    // Bob, whose home is the other region.
    let port = cast.world.zoom.api_url().port().unwrap();
    let new = domicile_zoomsim::NewUser {
        api_url: Some(format!("http://api-us.localhost:{port}")),
        ..domicile_zoomsim::NewUser::default()
    };
    cast.mallory_at_zoom = cast.world.zoom.sim().create_user(new).unwrap();
    let connect_url = cast.world.connect_url(BOB).await;
    let callback = cast.callback_of(true, &connect_url).await;
    let page = cast.mallory.get(&callback).await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("belongs to another region") && page.text().contains("us"));
    assert_eq!(cast.world.links().await, 1);
}
