//! What one region made is worth nothing in another, and the refusal says whose it is.

use bytes::Bytes;
use domicile_kernel::Secret;
use domicile_web::extract::AppKeys;
use domicile_zoomsim::Decision;
use http::Request;
use url::Url;

use crate::bad_input::now;
use crate::forgery::{EVENTS, event, send_signed};
use crate::harness::browser::{Answer, Browser, call, client};
use crate::harness::process;
use crate::harness::world::{ALICE, World};

const SECRET_OF_US: &str = "the-secret-token-of-us";

async fn us() -> World {
    World::start_with(&[
        ("DOMICILE_REGION_ID", "us"),
        ("DOMICILE_REGION_NAME", "United States"),
        ("DOMICILE_REGION_ZOOM_CLUSTERS", "us"),
    ])
    .await
}

/// The page names both regions and offers a way on.
fn belongs_to_us(page: &Answer) {
    assert_eq!(page.status, 421, "{}", page.text());
    for words in [
        "begun in the region “us”",
        "this is the region “eu”",
        "Nothing was connected",
    ] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
}

/// The same path and query on another host.
fn at(base: &Url, url: &Url) -> Url {
    let mut there = base.join(url.path()).unwrap();
    there.set_query(url.query());
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_link_of_another_region_opens_nothing() {
    let (eu, us) = (World::start().await, us().await);
    let connect_url = us.connect_url(ALICE).await;
    belongs_to_us(&Browser::new().get(&at(&eu.public_url, &connect_url)).await);
    assert_eq!(eu.refusals(None).await, ["other_region"]);
    // Where it belongs it still works.
    assert_eq!(Browser::new().get(&connect_url).await.status, 303);
    eu.honest_user_still_links().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_another_region_proves_nothing() {
    let (eu, us) = (World::start().await, us().await);
    let mut american = Browser::new();
    american.get(&us.connect_url(ALICE).await).await;
    let (_, cookie_of_us) = american.cookies().first_key_value().unwrap();

    let mut browser = Browser::new();
    let connect_url = eu.connect_url(ALICE).await;
    let callback = eu
        .decide(&mut browser, &connect_url, &eu.zoom_user(), Decision::Allow)
        .await;
    let name = browser.cookies().keys().next().unwrap().clone();
    browser.plant(&name, cookie_of_us);
    belongs_to_us(&browser.get(&callback).await);
    assert_eq!(eu.links().await, 0);
    assert_eq!(eu.refusals(Some(ALICE)).await, ["browser_mismatch"]);
    eu.honest_user_still_links().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_of_another_region_opens_nothing_even_where_its_digest_is_listed() {
    let key = |region: &str| {
        let made = process::run(&[].into(), &["app-key", "backend", "--region", region]);
        assert!(made.status.success());
        let text = String::from_utf8(made.stdout).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{text}");
        lines[0].clone()
    };
    let (ours, theirs) = (key("eu"), key("us"));
    assert!(ours.starts_with("domicile_eu_") && theirs.starts_with("domicile_us_"));
    let entry = |name: &str, key: &str| AppKeys::entry(name, &Secret::from(key));
    let keys = format!("{},{}", entry("ours", &ours), entry("theirs", &theirs));
    let world = World::start_with(&[("DOMICILE_APP_API_KEYS", &keys)]).await;
    let url = world.app_url.join("/v1/links").unwrap();
    let links = async |key: &str| {
        let request = Request::get(url.as_str()).header("authorization", format!("Bearer {key}"));
        call(&client(), request.body(Bytes::new()).unwrap()).await
    };

    assert_eq!(links(&ours).await.status, 200);
    let answer = links(&theirs).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        (401, "unauthenticated")
    );
    assert!(
        answer.text().contains("the region us") && answer.text().contains("the region eu"),
        "{}",
        answer.text()
    );
    // A region that nobody has is no more than an unknown key.
    assert_eq!(
        links(&ours.replace("domicile_eu", "domicile_EU")).await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_zoom_signed_for_another_region_is_not_kept() {
    let world = World::start().await;
    let answer = send_signed(&world, EVENTS, SECRET_OF_US, now(), &event("theirs")).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(world.inbox().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_domain_is_proved_only_where_a_proof_is_set() {
    const PATH: &str = "/zoomverify/verifyzoom.html";
    let proof = "9f2b-the-proof";
    let world = World::start_with(&[("DOMICILE_ZOOM_DOMAIN_PROOF", proof)]).await;
    let answer = Browser::new().get(&world.public_url.join(PATH).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, proof));
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let world = World::start().await;
    let answer = Browser::new().get(&world.public_url.join(PATH).unwrap()).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_install_page_is_the_same_for_everybody_and_leads_only_to_install_pages() {
    let world = World::start().await;
    let url = world.public_url.join("/install").unwrap();
    let mut browser = Browser::new();
    let page = browser.get(&url).await;
    assert!(browser.cookies().is_empty() && !page.headers.contains_key("set-cookie"));
    let mut with_everything = url.clone();
    with_everything.set_query(Some("code=c0de&state=st4te&ticket=t1cket&region=us"));
    let again = Browser::new()
        .get_with_cookie_before(&with_everything, "a=b")
        .await;
    assert_eq!(page.text(), again.text(), "nothing of the visit is in the page");
    assert!(!page.text().contains("<script"));
}
