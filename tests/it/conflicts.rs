//! Who is linked already, and what the app may do about it: keep it, or have it replaced.

use domicile_testkit::app::ReceivedEvent;
use domicile_zoomsim::User;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::harness::PATIENCE;
use crate::harness::browser::{Answer, Browser};
use crate::harness::world::{ALICE, BOB, World, types};

/// The whole journey of a session that may replace what stands in the way.
async fn replace(world: &World, subject: &str, user: &User) -> Answer {
    let body = json!({ "subject": subject, "return_url": world.app.return_url(), "replace": true });
    let answer = world.api(Method::POST, "/v1/connect-sessions", Some(body)).await;
    let connect_url = Url::parse(answer.json()["connect_url"].as_str().unwrap()).unwrap();
    let ticket = world.ticket(&mut Browser::new(), &connect_url, user).await;
    world.confirm(&ticket, subject).await
}

/// The links by subject: status and Zoom user, newest first.
async fn links_of(world: &World, subject: &str) -> Vec<(String, String)> {
    let path = format!("/v1/links?subject={subject}");
    let list = world.api(Method::GET, &path, None).await.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| (text(&link["status"]), text(&link["zoom"]["user_id"])))
        .collect()
}

fn state(status: &str, user: &User) -> (String, String) {
    (status.to_owned(), user.id.clone())
}

async fn told_of(world: &World, event_type: &str, subject: &str) -> Value {
    let wanted = |event: &Value| event["type"] == event_type && event["subject"] == subject;
    let told = |events: &[ReceivedEvent]| events.iter().any(|event| wanted(&event.event()));
    let events = world.app.wait_for_events(PATIENCE, told).await;
    let events =
        events.unwrap_or_else(|events| panic!("no {event_type} of {subject} among {:?}", types(&events)));
    events.iter().map(ReceivedEvent::event).find(wanted).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_word_replace_nothing_is_overwritten_and_everybody_is_told() {
    let world = World::start().await;
    let (one, two) = (world.zoom_user(), world.zoom_user());
    world.link(ALICE, &one).await;
    for (subject, user, reason) in [(BOB, &one, "zoom_user_linked"), (ALICE, &two, "subject_linked")] {
        let connect_url = world.connect_url(subject).await;
        let ticket = world.ticket(&mut Browser::new(), &connect_url, user).await;
        let answer = world.confirm(&ticket, subject).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (409, "link_exists")
        );
        assert!(answer.text().contains("replace"), "{}", answer.text());
        assert_eq!(world.refusals(Some(subject)).await, [reason]);
        let told = told_of(&world, "link.refused", subject).await;
        assert_eq!(told["data"]["refusal"]["reason"], reason);
    }
    assert_eq!(links_of(&world, ALICE).await, [state("active", &one)]);
    assert_eq!(links_of(&world, BOB).await, []);
}

/// The Zoom user moves from Bob to Alice; what was his ends, and its grant is not revoked, for that would end hers.
#[tokio::test(flavor = "multi_thread")]
async fn a_zoom_user_moves_to_another_subject_when_the_session_said_replace() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(BOB, &user).await;
    let answer = replace(&world, ALICE, &user).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(links_of(&world, BOB).await, [state("revoked", &user)]);
    assert_eq!(links_of(&world, ALICE).await, [state("active", &user)]);
    assert_eq!(
        told_of(&world, "link.revoked", BOB).await["data"]["reason"],
        "replaced"
    );
    told_of(&world, "link.active", ALICE).await;
    let audit = world.audit(Some(BOB)).await;
    // Its grant may have ended since, which is an entry too.
    let ended = audit
        .iter()
        .find(|entry| entry["action"] == "link.revoke")
        .unwrap();
    assert_eq!(
        (&ended["reason"], &ended["actor"]),
        (&json!("replaced"), &json!("app:test"))
    );
    // Her grant works.
    let me = format!(
        "/v1/links/{}/zoom/users/me",
        answer.json()["id"].as_str().unwrap()
    );
    let me = world.api(Method::GET, &me, None).await;
    assert_eq!(me.status, 200, "{}", me.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_moves_to_another_zoom_user_when_the_session_said_replace() {
    let world = World::start().await;
    let (one, two) = (world.zoom_user(), world.zoom_user());
    let former = world.link(ALICE, &one).await;
    let answer = replace(&world, ALICE, &two).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_ne!(answer.json()["id"], former["id"]);
    assert_eq!(
        links_of(&world, ALICE).await,
        [state("active", &two), state("revoked", &one)]
    );
    told_of(&world, "link.revoked", ALICE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_obstacles_at_once_end_in_one_step() {
    let world = World::start().await;
    let (one, two) = (world.zoom_user(), world.zoom_user());
    world.link(ALICE, &one).await;
    world.link(BOB, &two).await;
    let answer = replace(&world, ALICE, &two).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        links_of(&world, ALICE).await,
        [state("active", &two), state("revoked", &one)]
    );
    assert_eq!(links_of(&world, BOB).await, [state("revoked", &two)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_pair_is_renewed_also_by_a_session_that_said_replace() {
    let world = World::start().await;
    let user = world.zoom_user();
    let first = world.link(ALICE, &user).await;
    let again = replace(&world, ALICE, &user).await.json();
    assert_eq!(first["id"], again["id"]);
    let reasons: Vec<_> = world
        .audit(Some(ALICE))
        .await
        .iter()
        .filter(|entry| entry["action"] == "link.activate")
        .map(|entry| entry["reason"].clone())
        .collect();
    assert_eq!(reasons, [json!("renewed"), json!("new")]);
}
