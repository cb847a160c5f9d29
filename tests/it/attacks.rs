//! The ways to hijack a link. None ends in one; each leaves an entry in the audit; after each the honest user still links.

mod session_jwt;

use domicile_zoomsim::{Decision, User};
use http::Method;
use serde_json::json;
use url::Url;

use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::world::{ALICE, BOB, World, ticket_in};

/// Alice is honest, Mallory (who is the app's user Bob) is not. Each has a browser and a Zoom user of their own.
struct Cast {
    world: World,
    alice: Browser,
    alice_at_zoom: User,
    mallory: Browser,
    mallory_at_zoom: User,
}

impl Cast {
    async fn new() -> Self {
        let world = World::start().await;
        Self {
            alice_at_zoom: world.zoom_user(),
            mallory_at_zoom: world.zoom_user(),
            alice: Browser::new(),
            mallory: Browser::new(),
            world,
        }
    }

    /// Nothing came of it, the audit says why, and Alice can still link.
    async fn repelled(&self, reason: &str) {
        assert_eq!(self.world.links().await, 0);
        let refusals = self.world.refusals(None).await;
        assert!(
            refusals.iter().any(|refusal| refusal == reason),
            "{reason}: {refusals:?}"
        );
        self.world.honest_user_still_links().await;
    }
}

pub fn with_parameter(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<_> = url
        .query_pairs()
        .map(|(key, old)| {
            let new = if key == name {
                value.to_owned()
            } else {
                old.into_owned()
            };
            (key.into_owned(), new)
        })
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url
}

pub fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap()
}

/// INV-6, the forced link: Mallory sends Alice his own connect link. She consents at Zoom and lands in the app as herself.
#[tokio::test(flavor = "multi_thread")]
async fn forced_link() {
    let mut cast = Cast::new().await;
    let mallorys = cast.world.connect_url(BOB).await;
    let ticket = cast
        .world
        .ticket(&mut cast.alice, &mallorys, &cast.alice_at_zoom)
        .await;
    let answer = cast.world.confirm(&ticket, ALICE).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (403, "subject_mismatch")
    );
    // Mallory, who learned the ticket, is too late: the code is destroyed.
    let answer = cast.world.confirm(&ticket, BOB).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    assert!(
        cast.world.zoom.sim().grants().is_empty(),
        "the code was never exchanged"
    );
    let told = cast.world.told("link.refused").await;
    let refusal = &told.last().unwrap().event()["data"]["refusal"];
    assert_eq!(refusal["reason"], "subject_mismatch");
    // Both find it in their audit: whose session it was, and who tried to finish it.
    for subject in [ALICE, BOB] {
        let refusals = cast.world.refusals(Some(subject)).await;
        assert!(
            refusals.contains(&"subject_mismatch".to_owned()),
            "{subject}: {refusals:?}"
        );
    }
    cast.repelled("subject_mismatch").await;
}

/// Mallory got hold of Alice's connect link and finishes it with his own Zoom user; he comes back to the app as himself.
#[tokio::test(flavor = "multi_thread")]
async fn stolen_connect_link() {
    let mut cast = Cast::new().await;
    let alices = cast.world.connect_url(ALICE).await;
    let ticket = cast
        .world
        .ticket(&mut cast.mallory, &alices, &cast.mallory_at_zoom)
        .await;
    assert_eq!(
        cast.world.confirm(&ticket, BOB).await.problem(),
        "subject_mismatch"
    );
    cast.repelled("subject_mismatch").await;
}

/// Mallory consents himself and lures Alice's browser to the callback with his code and state.
#[tokio::test(flavor = "multi_thread")]
async fn callback_in_another_browser() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast
        .world
        .decide(
            &mut cast.mallory,
            &connect_url,
            &cast.mallory_at_zoom,
            Decision::Allow,
        )
        .await;
    let page = cast.alice.get(&callback).await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("another browser"));
    // The state is spent, so the browser that started cannot use it either.
    assert_eq!(cast.mallory.get(&callback).await.status, 404);
    cast.repelled("browser_mismatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_callback() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast
        .world
        .decide(
            &mut cast.alice,
            &connect_url,
            &cast.alice_at_zoom,
            Decision::Allow,
        )
        .await;
    let cookies = cast.alice.cookies().clone();
    cast.alice.get(&callback).await.location();
    assert!(cast.alice.cookies().is_empty(), "a spent cookie is taken away");
    for (name, value) in cookies {
        cast.alice.plant(&name, &value);
        cast.mallory.plant(&name, &value);
    }
    assert_eq!(cast.alice.get(&callback).await.status, 404);
    assert_eq!(cast.mallory.get(&callback).await.status, 404);
    cast.repelled("unknown_state").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_ticket() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let ticket = cast
        .world
        .ticket(&mut cast.alice, &connect_url, &cast.alice_at_zoom)
        .await;
    assert_eq!(cast.world.confirm(&ticket, ALICE).await.status, 200);
    for subject in [ALICE, BOB] {
        let again = cast.world.confirm(&ticket, subject).await;
        assert_eq!((again.status.as_u16(), again.problem().as_str()), (410, "gone"));
        assert!(
            cast.world
                .refusals(Some(subject))
                .await
                .contains(&"used".to_owned())
        );
    }
    assert_eq!(cast.world.links().await, 1);
}

/// Alice's browser brings the state of a session that another browser started, with its own cookie.
#[tokio::test(flavor = "multi_thread")]
async fn state_of_another_session() {
    let mut cast = Cast::new().await;
    let (alices, mallorys) = (
        cast.world.connect_url(ALICE).await,
        cast.world.connect_url(BOB).await,
    );
    let hers = cast
        .world
        .decide(&mut cast.alice, &alices, &cast.alice_at_zoom, Decision::Allow)
        .await;
    let his = cast
        .world
        .decide(
            &mut cast.mallory,
            &mallorys,
            &cast.mallory_at_zoom,
            Decision::Allow,
        )
        .await;
    let crossed = with_parameter(&hers, "state", &parameter(&his, "state"));
    assert_eq!(cast.alice.get(&crossed).await.status, 403);
    let unknown = with_parameter(&hers, "state", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(cast.alice.get(&unknown).await.status, 404);
    cast.repelled("browser_mismatch").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_of_another_session_or_none() {
    let cast = Cast::new().await;
    for tamper in [Browser::forget_cookies as fn(&mut Browser), swap_cookie_values] {
        let mut browser = Browser::new();
        browser.get(&cast.world.connect_url(BOB).await).await.location();
        let connect_url = cast.world.connect_url(ALICE).await;
        let callback = cast
            .world
            .decide(&mut browser, &connect_url, &cast.alice_at_zoom, Decision::Allow)
            .await;
        tamper(&mut browser);
        assert_eq!(browser.get(&callback).await.status, 403);
    }
    cast.repelled("browser_mismatch").await;
}

fn swap_cookie_values(browser: &mut Browser) {
    let cookies: Vec<_> = browser
        .cookies()
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let [(one, its), (two, others)] = &cookies[..] else {
        panic!("two sessions, two cookies: {}", cookies.len())
    };
    browser.plant(one, others);
    browser.plant(two, its);
}

/// A neighbouring host plants a cookie of the same name beside the true one, as `Domain` allows it to.
#[tokio::test(flavor = "multi_thread")]
async fn cookie_tossing() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast
        .world
        .decide(
            &mut cast.alice,
            &connect_url,
            &cast.alice_at_zoom,
            Decision::Allow,
        )
        .await;
    let (name, _) = cast.alice.cookies().first_key_value().unwrap();
    let tossed = format!("{name}=of-the-neighbour");
    let page = cast.alice.get_with_cookie_before(&callback, &tossed).await;
    assert_eq!(page.status, 403, "two cookies of one name are believed neither");
    cast.repelled("browser_mismatch").await;
}

/// Mallory puts his own code into Alice's callback: the verifier of her session does not open it (RFC 7636).
#[tokio::test(flavor = "multi_thread")]
async fn code_injection() {
    let mut cast = Cast::new().await;
    let (alices, mallorys) = (
        cast.world.connect_url(ALICE).await,
        cast.world.connect_url(BOB).await,
    );
    let hers = cast
        .world
        .decide(&mut cast.alice, &alices, &cast.alice_at_zoom, Decision::Allow)
        .await;
    let his = cast
        .world
        .decide(
            &mut cast.mallory,
            &mallorys,
            &cast.mallory_at_zoom,
            Decision::Allow,
        )
        .await;
    let injected = with_parameter(&hers, "code", &parameter(&his, "code"));
    let ticket = ticket_in(&cast.alice.get(&injected).await.location());
    assert_eq!(
        cast.world.confirm(&ticket, ALICE).await.problem(),
        "zoom_rejected"
    );
    assert!(cast.world.zoom.sim().grants().is_empty());
    cast.repelled("code_rejected").await;
}

/// The answer of one region's Zoom app is brought to another region, and its ticket too (RFC 9700 section 4.4).
#[tokio::test(flavor = "multi_thread")]
async fn mix_up_with_the_other_region() {
    let mut cast = Cast::new().await;
    let other = World::start_with(&[
        ("DOMICILE_REGION_ID", "us"),
        ("DOMICILE_REGION_NAME", "United States"),
        ("DOMICILE_REGION_ZOOM_CLUSTERS", "us"),
    ])
    .await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast
        .world
        .decide(
            &mut cast.alice,
            &connect_url,
            &cast.alice_at_zoom,
            Decision::Allow,
        )
        .await;
    let mut elsewhere = other.public_url.join("/oauth/callback").unwrap();
    elsewhere.set_query(callback.query());
    let page = cast.alice.get(&elsewhere).await;
    assert_eq!(page.status, 421);
    assert!(
        page.text().contains("begun in the region “eu”") && page.text().contains("this is the region “us”"),
        "{}",
        page.text()
    );
    assert_eq!(other.refusals(None).await, ["other_region"]);
    // The region whose answer it is was not touched.
    let ticket = ticket_in(&cast.alice.get(&callback).await.location());
    let answer = other.confirm(&ticket, ALICE).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (400, "ticket_invalid")
    );
    assert!(
        answer.text().contains("the region eu") && answer.text().contains("the region us"),
        "{}",
        answer.text()
    );
    assert_eq!(other.refusals(Some(ALICE)).await, ["other_region"]);
    assert_eq!(other.links().await, 0);
    assert_eq!(cast.world.confirm(&ticket, ALICE).await.status, 200);
    other.honest_user_still_links().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ticket_of_nobody() {
    let cast = Cast::new().await;
    for ticket in [
        "eu.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "",
        "eu.",
        "nonsense",
        "EU.x",
    ] {
        let answer = cast.world.confirm(ticket, ALICE).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (400, "ticket_invalid"),
            "{ticket}"
        );
    }
    cast.repelled("unknown_ticket").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_redirect_through_the_return_url() {
    let cast = Cast::new().await;
    let good = cast.world.app.return_url();
    let host = good.host_str().unwrap();
    for bad in [
        "https://evil.example/".to_owned(),
        format!("https://{host}.evil.example/"),
        format!("https://{host}@evil.example/"),
        format!("http://evil.example/{good}"),
        good.as_str().replace("http://", "https://"),
        good.as_str().replace("http://", "http://user:pass@"),
        good.join("/elsewhere").unwrap().to_string(),
        format!("{good}/../elsewhere"),
        format!("{good}/%2e%2e/elsewhere"),
        format!("{good}/..%5celsewhere"),
        "//evil.example/".to_owned(),
        "/settings".to_owned(),
        "javascript:alert(1)".to_owned(),
        "data:text/html,x".to_owned(),
        String::new(),
    ] {
        let body = json!({ "subject": ALICE, "return_url": bad });
        let answer = cast
            .world
            .api(Method::POST, "/v1/connect-sessions", Some(body))
            .await;
        assert_eq!(answer.status, 422, "{bad}: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["field"], "return_url");
    }
    assert_eq!(cast.world.links().await, 0);
    cast.world.honest_user_still_links().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_and_log_injection() {
    let mut cast = Cast::new().await;
    let good = cast.world.app.return_url();
    for subject in [
        "user:a\r\nSet-Cookie: x=y",
        "user:a\u{0}",
        "user:a\u{1b}[31m",
        "user:a\u{85}b",
    ] {
        let body = json!({ "subject": subject, "return_url": good });
        let answer = cast
            .world
            .api(Method::POST, "/v1/connect-sessions", Some(body))
            .await;
        assert_eq!(answer.status, 422, "{subject:?}");
    }
    // What a return URL holds comes back encoded, in one header.
    let url = format!("{good}?next=%0d%0aset-cookie:%20a=b\r\n");
    let body = json!({ "subject": ALICE, "return_url": url });
    let answer = cast
        .world
        .api(Method::POST, "/v1/connect-sessions", Some(body))
        .await;
    let connect_url = Url::parse(answer.json()["connect_url"].as_str().unwrap()).unwrap();
    let callback = cast
        .world
        .decide(
            &mut cast.alice,
            &connect_url,
            &cast.alice_at_zoom,
            Decision::Decline,
        )
        .await;
    for path in [
        "/oauth/callback?state=%0d%0aset-cookie:a=b&code=x",
        "/oauth/callback?state=<script>alert(1)</script>&code=<b>",
        "/connect/%0d%0aset-cookie:a=b",
    ] {
        let page = Browser::new()
            .get(&cast.world.public_url.join(path).unwrap())
            .await;
        assert_eq!(page.status, 404, "{path}");
        assert!(!page.headers.contains_key("set-cookie"), "{path}");
        assert!(
            !page.text().contains("alert(1)") && !page.text().contains("<b>"),
            "{path}"
        );
    }
    assert_eq!(cast.alice.get(&callback).await.status, 200);
    cast.repelled("consent_denied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marketplace_add_without_state_and_code_without_state() {
    let cast = Cast::new().await;
    for query in [
        "code=from-the-marketplace",
        "code=from-the-marketplace&state=",
        "",
    ] {
        let callback = cast
            .world
            .public_url
            .join(&format!("/oauth/callback?{query}"))
            .unwrap();
        let page = Browser::new().get(&callback).await;
        assert_eq!(page.status, 200, "{query}");
        assert!(page.text().contains(cast.world.app.start_url().as_str()));
        assert!(
            !page.text().contains("from-the-marketplace"),
            "a code is never echoed"
        );
    }
    assert!(cast.world.zoom.sim().grants().is_empty());
    cast.repelled("no_state").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_consent() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast
        .world
        .decide(
            &mut cast.alice,
            &connect_url,
            &cast.alice_at_zoom,
            Decision::Decline,
        )
        .await;
    let page = cast.alice.get(&callback).await;
    assert_eq!(page.status, 200);
    assert!(
        page.text().contains("Zoom was not connected")
            && page.text().contains(cast.world.app.start_url().as_str())
    );
    cast.repelled("consent_denied").await;
}

/// A parameter that stands twice voids the callback, whichever of the two is the true one (RFC 6749 section 3.1).
#[tokio::test(flavor = "multi_thread")]
async fn parameter_pollution() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast
        .world
        .decide(
            &mut cast.alice,
            &connect_url,
            &cast.alice_at_zoom,
            Decision::Allow,
        )
        .await;
    for more in ["code=mallorys", "state=mallorys"] {
        let polluted = Url::parse(&format!("{callback}&{more}")).unwrap();
        assert_eq!(cast.alice.get(&polluted).await.status, 404);
    }
    cast.repelled("malformed_return").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_at_each_step() {
    let mut cast = Cast::new().await;
    // Before a browser started.
    let connect_url = cast.world.connect_url(ALICE).await;
    cast.world.sessions_run_out().await;
    assert_eq!(cast.alice.get(&connect_url).await.status, 410);
    assert_eq!(cast.world.refusals(Some(ALICE)).await, ["expired"]);
    // While the person was at Zoom.
    let connect_url = cast.world.connect_url(ALICE).await;
    let callback = cast
        .world
        .decide(
            &mut cast.alice,
            &connect_url,
            &cast.alice_at_zoom,
            Decision::Allow,
        )
        .await;
    cast.world.sessions_run_out().await;
    assert_eq!(cast.alice.get(&callback).await.status, 410);
    assert_eq!(cast.world.refusals(Some(ALICE)).await.len(), 2);
    // Before the app confirmed.
    let connect_url = cast.world.connect_url(ALICE).await;
    let ticket = cast
        .world
        .ticket(&mut cast.alice, &connect_url, &cast.alice_at_zoom)
        .await;
    cast.world.sessions_run_out().await;
    for _ in 0..2 {
        let answer = cast.world.confirm(&ticket, ALICE).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (410, "ticket_expired")
        );
    }
    cast.repelled("expired").await;
}

/// A session that nobody finished is ended by its job, and its code destroyed.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_session() {
    let mut cast = Cast::new().await;
    let connect_url = cast.world.connect_url(ALICE).await;
    let ticket = cast
        .world
        .ticket(&mut cast.alice, &connect_url, &cast.alice_at_zoom)
        .await;
    cast.world.sessions_run_out().await;
    let client = cast.world.db.client().await;
    let due = "UPDATE jobs SET due_at = '2000-01-01' WHERE kind = 'connect_session.expire'";
    client.batch_execute(due).await.unwrap();
    eventually("the expiry", async || {
        let sql =
            "SELECT count(*) FROM connect_sessions WHERE status = 'refused' AND refusal_reason = 'expired'
                   AND code_sealed IS NULL AND pkce_verifier_sealed IS NULL";
        (client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    cast.world.told("link.refused").await;
    assert_eq!(
        cast.world.confirm(&ticket, ALICE).await.problem(),
        "ticket_expired"
    );
    cast.repelled("expired").await;
}
