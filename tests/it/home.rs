//! Who may link here at all: by home cluster, by admission, by the kind of the app, by what was granted.

use std::io::Write;

use domicile_zoomsim::{NewUser, User};
use http::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::harness::browser::{Answer, Browser};
use crate::harness::process;
use crate::harness::world::{ALICE, World};

/// A Zoom user whose token answer names this API host.
fn user_at(world: &World, api_url: &str) -> User {
    let new = NewUser {
        api_url: Some(api_url.to_owned()),
        ..NewUser::default()
    };
    world.zoom.sim().create_user(new).unwrap()
}

fn american(world: &World) -> User {
    let port = world.zoom.api_url().port().unwrap();
    user_at(world, &format!("http://api-us.localhost:{port}"))
}

async fn try_to_link(world: &World, subject: &str, user: &User) -> Answer {
    let connect_url = world.connect_url(subject).await;
    let ticket = world.ticket(&mut Browser::new(), &connect_url, user).await;
    world.confirm(&ticket, subject).await
}

/// Nothing is linked, nothing is sealed for the account, Zoom was told to forget, and the app knows why.
async fn refused(world: &World, user: &User, answer: &Answer, problem: (u16, &str), reason: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.problem().as_str()),
        problem,
        "{}",
        answer.text()
    );
    assert_eq!(world.links().await, 0);
    let keys = "SELECT count(*) FROM vault_keys WHERE zoom_account_id IS NOT NULL";
    let client = world.db.client().await;
    assert_eq!(client.query_one(keys, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(world.zoom.sim().live_tokens(&user.id), 0, "the grant is revoked");
    assert!(world.refusals(None).await.contains(&reason.to_owned()));
    let told = world.told("link.refused").await;
    assert_eq!(told.last().unwrap().event()["data"]["refusal"]["reason"], reason);
}

fn directory() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    let text = "
regions:
  - { id: eu, name: European Union, install_url: 'https://zoom.eu.example.com/install', zoom_clusters: [eu] }
  - { id: us, name: United States, install_url: 'https://zoom.us.example.com/install', zoom_clusters: [us] }
";
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_another_region_is_pointed_there_and_nothing_is_kept() {
    let file = directory();
    let path = file.path().to_str().unwrap();
    let world = World::start_with(&[("DOMICILE_REGION_DIRECTORY_FILE", path)]).await;
    let user = american(&world);
    let answer = try_to_link(&world, ALICE, &user).await;
    refused(&world, &user, &answer, (403, "wrong_region"), "wrong_cluster").await;
    assert!(
        answer.text().contains("United States")
            && answer.text().contains("https://zoom.us.example.com/install")
    );
    let told = world.told("link.refused").await;
    assert_eq!(
        told.last().unwrap().event()["data"]["refusal"]["home"],
        json!({
            "cluster": "us",
            "region": { "id": "us", "name": "United States", "install_url": "https://zoom.us.example.com/install" },
        })
    );
    // The install page leads to the others too.
    let page = Browser::new()
        .get(&world.public_url.join("/install").unwrap())
        .await;
    assert!(
        page.text()
            .contains("href=\"https://zoom.us.example.com/install\"")
    );
    assert!(!page.text().contains("zoom.eu.example.com"), "not to itself");
    world.honest_user_still_links().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_directory_the_cluster_is_named() {
    let world = World::start().await;
    let user = american(&world);
    let answer = try_to_link(&world, ALICE, &user).await;
    refused(&world, &user, &answer, (403, "wrong_region"), "wrong_cluster").await;
    assert!(answer.text().contains("cluster is us"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_on_a_host_that_is_not_allowed_is_refused_and_not_taken_for_the_default() {
    let world = World::start().await;
    let user = user_at(&world, "https://api-us.zoom.example");
    let answer = try_to_link(&world, ALICE, &user).await;
    refused(&world, &user, &answer, (403, "wrong_region"), "wrong_cluster").await;
    world.honest_user_still_links().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_home_zoom_does_not_name_is_refused_where_the_policy_says_so() {
    let world = World::start_with(&[("DOMICILE_REGION_UNKNOWN_CLUSTER", "refuse")]).await;
    let user = world.zoom_user();
    let answer = try_to_link(&world, ALICE, &user).await;
    refused(&world, &user, &answer, (403, "wrong_region"), "unknown_cluster").await;
    assert!(answer.text().contains("DOMICILE_REGION_UNKNOWN_CLUSTER"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_admission_is_by_account_only_admitted_accounts_link() {
    let world = World::start_with(&[("DOMICILE_REGION_ADMISSION", "accounts")]).await;
    let user = world.zoom_user();
    let answer = try_to_link(&world, ALICE, &user).await;
    refused(
        &world,
        &user,
        &answer,
        (403, "account_not_admitted"),
        "account_not_admitted",
    )
    .await;

    let account = format!("/v1/admitted-accounts/{}", user.account_id);
    for _ in 0..2 {
        let admitted = world.api(Method::PUT, &account, None).await;
        assert_eq!(admitted.status, 200, "{}", admitted.text());
        assert_eq!(admitted.json()["admitted_by"], "app:test");
    }
    let list = world.api(Method::GET, "/v1/admitted-accounts", None).await.json();
    assert_eq!(list["data"][0]["zoom_account_id"], user.account_id.as_str());
    assert_eq!(try_to_link(&world, ALICE, &user).await.status, 200);

    // An admission that is taken back keeps nobody out who is in.
    for _ in 0..2 {
        assert_eq!(world.api(Method::DELETE, &account, None).await.status, 204);
    }
    assert_eq!(world.links().await, 1);
    let other = world.zoom_user();
    assert_eq!(
        try_to_link(&world, "user:2", &other).await.problem(),
        "account_not_admitted"
    );
    let actions: Vec<_> = world.audit(None).await;
    for action in ["account.admit", "account.dismiss"] {
        let count = actions.iter().filter(|entry| entry["action"] == action).count();
        assert_eq!(count, 1, "{action}: what changes nothing is not written");
    }
    let bad = world.api(Method::PUT, "/v1/admitted-accounts/%0a", None).await;
    assert_eq!(bad.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_admits_by_command() {
    let world = World::start_with(&[("DOMICILE_REGION_ADMISSION", "accounts")]).await;
    let run = |arguments: &[&str]| {
        let output = process::run(&world.environment, arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["admission", "add", "abcDEF_-1"]).contains("may link"));
    assert!(run(&["admission", "add", "zzz"]).contains("may link"));
    let table = run(&["admission", "list"]);
    let rows: Vec<_> = table.lines().map(|line| line.split_whitespace().next()).collect();
    assert_eq!(rows, [Some("ACCOUNT"), Some("abcDEF_-1"), Some("zzz")]);
    let page: Value =
        serde_json::from_str(&run(&["admission", "list", "--limit", "1", "--format", "json"])).unwrap();
    assert_eq!(page["data"][0]["admitted_by"], "operator");
    let next = page["next_cursor"].as_str().unwrap();
    assert!(run(&["admission", "list", "--after", next]).contains("zzz"));
    assert!(run(&["admission", "show", "zzz"]).contains("\"admitted_by\": \"operator\""));
    assert!(run(&["admission", "remove", "zzz"]).contains("not link any more"));
    let gone = process::run(&world.environment, &["admission", "show", "zzz"]);
    assert_eq!(gone.status.code(), Some(3));
    assert!(run(&["admission", "remove", "abcDEF_-1"]).contains("not link any more"));
    assert_eq!(run(&["admission", "list"]).lines().count(), 1);
    let wrong = process::run(&world.environment, &["admission", "add", "a b"]);
    assert!(!wrong.status.success());
    assert_eq!(world.audit(None).await[0]["actor"], "operator");
}

/// A user-managed app's token sees one user: it must never stand for a whole account.
#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_needs_an_admin_managed_app_and_a_user_a_user_managed_one() {
    let world = World::start().await;
    let user = world.zoom_user();
    let answer = try_to_link(&world, "org:acme", &user).await;
    refused(&world, &user, &answer, (409, "conflict"), "wrong_app_kind").await;

    let admin = World::without_app().await;
    admin.register_app_as(domicile_zoomsim::Usage::AdminManaged).await;
    let owner = admin.zoom_user();
    let answer = try_to_link(&admin, ALICE, &owner).await;
    refused(&admin, &owner, &answer, (409, "conflict"), "wrong_app_kind").await;
    let link = try_to_link(&admin, "org:acme", &owner).await;
    assert_eq!(link.status, 200, "{}", link.text());
    assert_eq!(link.json()["zoom"]["user_id"], json!(null));
    assert_eq!(link.json()["zoom"]["account_id"], owner.account_id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_was_not_granted_is_named_with_what_it_disables() {
    let world = World::without_app().await;
    world
        .register_app_with_scopes(&["user:read:user", "cloud_recording:read:recording"])
        .await;
    let user = world.zoom_user();
    let link = world.link(ALICE, &user).await;
    let missing = link["missing_scopes"].as_array().unwrap();
    assert!(
        missing.iter().any(
            |missing| missing["scope"] == "cloud_recording:read:list_recording_files"
                && missing["disables"].as_str().unwrap().contains("fetching")
        ),
        "{link}"
    );
    assert!(!missing.iter().any(|missing| missing["scope"] == "user:read:user"));
    let told = world.told("link.active").await;
    assert_eq!(
        told.last().unwrap().event()["data"]["link"]["missing_scopes"],
        link["missing_scopes"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_scope_that_says_who_it_is_nothing_is_linked() {
    let world = World::without_app().await;
    world
        .register_app_with_scopes(&["cloud_recording:read:recording"])
        .await;
    let user = world.zoom_user();
    let answer = try_to_link(&world, ALICE, &user).await;
    refused(&world, &user, &answer, (502, "zoom_rejected"), "scope_missing").await;
    assert!(answer.text().contains("user:read:user"));
}
