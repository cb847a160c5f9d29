//! Links, and the ways in which one must not come about.

use domicile_zoomsim::{Decision, FaultKind, NewFault, Target};
use http::Method;
use serde_json::json;

use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::world::{ALICE, BOB, World, ticket_in};

#[tokio::test(flavor = "multi_thread")]
async fn state_and_ticket_work_once() {
    let world = World::start().await;
    let (user, mut browser) = (world.zoom_user(), Browser::new());
    let connect_url = world.connect_url(ALICE).await;
    let callback = world
        .decide(&mut browser, &connect_url, &user, Decision::Allow)
        .await;
    let ticket = ticket_in(&browser.get(&callback).await.location());
    assert_eq!(browser.get(&callback).await.status, 404, "a replayed callback");
    assert_eq!(world.confirm(&ticket, ALICE).await.status, 200);
    let again = world.confirm(&ticket, ALICE).await;
    assert_eq!((again.status.as_u16(), again.problem().as_str()), (410, "gone"));
    assert_eq!(
        browser.get(&connect_url).await.status,
        410,
        "a finished connect link"
    );
    assert_eq!(world.links().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_confirmations_or_callbacks_at_once_one_counts() {
    let world = World::start().await;
    let user = world.zoom_user();
    let (mut browser, mut twin) = (Browser::new(), Browser::new());
    let connect_url = world.connect_url(ALICE).await;
    let callback = world
        .decide(&mut browser, &connect_url, &user, Decision::Allow)
        .await;
    for (name, value) in browser.cookies() {
        twin.plant(name, value);
    }
    let (one, two) = tokio::join!(browser.get(&callback), twin.get(&callback));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 404], "one state, one ticket");
    let winner = if one.status == 303 { one } else { two };
    let ticket = ticket_in(&winner.location());
    let (one, two) = tokio::join!(world.confirm(&ticket, ALICE), world.confirm(&ticket, ALICE));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410], "one ticket, one exchange");
    assert_eq!(world.links().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_start_counts_so_link_previews_do_no_harm() {
    let world = World::start().await;
    let (user, mut browser) = (world.zoom_user(), Browser::new());
    let connect_url = world.connect_url(ALICE).await;
    Browser::new().get(&connect_url).await.location();
    let first = world
        .decide(&mut browser, &connect_url, &user, Decision::Allow)
        .await;
    let second = world
        .decide(&mut browser, &connect_url, &user, Decision::Allow)
        .await;
    assert_eq!(browser.get(&first).await.status, 404);
    let ticket = ticket_in(&browser.get(&second).await.location());
    assert_eq!(world.confirm(&ticket, ALICE).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zoom_user_who_is_linked_keeps_the_link_and_its_grant_goes_on_working() {
    let world = World::start().await;
    let user = world.zoom_user();
    let alices = world.link(ALICE, &user).await;
    let connect_url = world.connect_url(BOB).await;
    let ticket = world.ticket(&mut Browser::new(), &connect_url, &user).await;
    let answer = world.confirm(&ticket, BOB).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (409, "link_exists")
    );
    let list = world.api(Method::GET, "/v1/links", None).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["id"], alices["id"]);
    // Zoom ended the first tokens when it gave the second; the link has those now.
    let generation: i64 = world
        .db
        .client()
        .await
        .query_one("SELECT generation FROM grants", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_with_another_zoom_user_is_refused_and_the_new_grant_is_revoked() {
    let world = World::start().await;
    let (first, second) = (world.zoom_user(), world.zoom_user());
    world.link(ALICE, &first).await;
    let connect_url = world.connect_url(ALICE).await;
    let ticket = world.ticket(&mut Browser::new(), &connect_url, &second).await;
    let answer = world.confirm(&ticket, ALICE).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (409, "link_exists")
    );
    let list = world.api(Method::GET, "/v1/links", None).await.json();
    assert_eq!(list["data"][0]["zoom"]["user_id"], first.id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_pair_again_renews_the_same_link() {
    let world = World::start().await;
    let user = world.zoom_user();
    let (first, second) = (world.link(ALICE, &user).await, world.link(ALICE, &user).await);
    assert_eq!(first["id"], second["id"]);
    assert_eq!(world.links().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn zoom_failing_at_the_exchange_spends_the_code_and_the_user_can_begin_again() {
    let world = World::start().await;
    let user = world.zoom_user();
    let connect_url = world.connect_url(ALICE).await;
    let ticket = world.ticket(&mut Browser::new(), &connect_url, &user).await;
    world
        .zoom
        .sim()
        .order_fault(NewFault::once(Target::Token, FaultKind::LostAnswer))
        .unwrap();
    let answer = world.confirm(&ticket, ALICE).await;
    assert_eq!(answer.problem(), "zoom_rejected");
    assert_eq!(world.links().await, 0);
    world.honest_user_still_links().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_carry_the_headers_that_a_security_review_asks_for() {
    let world = World::start().await;
    for path in [
        "/",
        "/install",
        "/connect/unknown",
        "/oauth/callback",
        "/oauth/callback?state=<script>&code=x",
        "/nothing",
    ] {
        let page = Browser::new().get(&world.public_url.join(path).unwrap()).await;
        let header = |name: &str| {
            page.headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        assert!(
            header("content-type").starts_with("text/html"),
            "{path}: {}",
            header("content-type")
        );
        assert!(
            header("content-security-policy").starts_with("default-src 'none'"),
            "{path}"
        );
        assert!(
            header("content-security-policy").contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(!page.text().contains("<script"), "{path}");
    }
    let started = Browser::new().get(&world.connect_url(ALICE).await).await;
    let cookie = started.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
        "{cookie}"
    );
    let authorize: std::collections::HashMap<_, _> = started.location().query_pairs().into_owned().collect();
    assert_eq!(authorize["code_challenge_method"], "S256");
    assert!(authorize["state"].len() >= 43);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_page_by_page() {
    let world = World::start().await;
    for n in 0..3 {
        let user = world.zoom_user();
        world.link(&format!("user:{n}"), &user).await;
    }
    let first = world.api(Method::GET, "/v1/links?limit=2", None).await.json();
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world
        .api(Method::GET, &format!("/v1/links?limit=2&cursor={cursor}"), None)
        .await
        .json();
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    assert_eq!(second["next_cursor"], json!(null));
    assert_eq!(second["data"][0]["subject"], "user:0", "newest first");
    let of_one = world
        .api(Method::GET, "/v1/links?subject=user:1", None)
        .await
        .json();
    assert_eq!(of_one["data"].as_array().unwrap().len(), 1);
}

/// Lets the access token run out, so that the grant's job is due.
async fn token_runs_out(world: &World) {
    let sql = "UPDATE grants SET access_expires_at = '2000-01-01', refreshed_at = now() - interval '50 days';
               UPDATE jobs SET due_at = '2000-01-01' WHERE kind = 'grant.refresh'";
    world.db.client().await.batch_execute(sql).await.unwrap();
}

async fn generation_becomes(world: &World, generation: i64) {
    let client = world.db.client().await;
    eventually("the rotation", async || {
        let row = client
            .query_one("SELECT generation FROM grants", &[])
            .await
            .unwrap();
        (row.get::<_, i64>(0) == generation).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_refreshed_and_an_outage_at_zoom_does_not_end_it() {
    let world = World::start().await;
    let user = world.zoom_user();
    let link = world.link(ALICE, &user).await;
    token_runs_out(&world).await;
    generation_becomes(&world, 2).await;
    let outage = NewFault::once(Target::Token, FaultKind::ServerError { status: 502 });
    world.zoom.sim().order_fault(outage).unwrap();
    token_runs_out(&world).await;
    generation_becomes(&world, 3).await;
    let path = format!("/v1/links/{}", link["id"].as_str().unwrap());
    assert_eq!(
        world.api(Method::GET, &path, None).await.json()["status"],
        "active"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_zoom_ended_is_told_and_a_new_consent_recovers_the_same_link() {
    let world = World::start().await;
    let user = world.zoom_user();
    let link = world.link(ALICE, &user).await;
    world
        .zoom
        .sim()
        .order_fault(NewFault::once(Target::Token, FaultKind::InvalidGrant))
        .unwrap();
    token_runs_out(&world).await;
    let told = world.told("link.needs_reauthorization").await;
    assert_eq!(
        told.last().unwrap().event()["data"]["link"]["status"],
        "needs_reauthorization"
    );
    let recovered = world.link(ALICE, &user).await;
    assert_eq!(
        (&recovered["id"], &recovered["status"]),
        (&link["id"], &json!("active"))
    );
    world.told("link.recovered").await;
}
