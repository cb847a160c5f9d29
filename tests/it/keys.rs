//! The region's keys, from the operator's side.

use std::collections::BTreeMap;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domicile::outside;
use domicile::region::Region;
use domicile::settings::{Environment, Settings};
use domicile_kernel::ZoomAccountId;
use domicile_vault::{KeyScope, Place};
use nix::sys::signal::Signal;
use serde_json::Value;
use uuid::Uuid;

use crate::harness::eventually;
use crate::harness::process::{Process, run};
use crate::harness::world::{ALICE, BOB, VAULT_KEY, World};

const KEYS: &str = "DOMICILE_VAULT_KEYS";
const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

type Variables = BTreeMap<String, String>;

/// The environment with these region keys; `k1` is the world's own.
fn with_keys(environment: &Variables, ids: &[&str]) -> Variables {
    let entries: Vec<_> = ids
        .iter()
        .map(|id| match *id {
            "k1" => format!("k1:{VAULT_KEY}"),
            other => format!("{other}:{}", STANDARD.encode([other.as_bytes()[1]; 32])),
        })
        .collect();
    let mut environment = environment.clone();
    environment.insert(KEYS.to_owned(), entries.join(","));
    environment
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn rotate(environment: &Variables) -> String {
    let output = run(environment, &["keys", "rotate"]);
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn status(environment: &Variables) -> Value {
    let output = run(environment, &["keys", "status", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn region(environment: &Variables) -> Region {
    let environment: Environment = environment.clone().into_iter().collect();
    let settings = Settings::from_environment(&environment).unwrap_or_else(|faults| panic!("{faults}"));
    Region::build(settings, outside::ids()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_takes_over_while_the_region_runs_and_the_old_one_goes_only_when_nothing_hangs_on_it() {
    let mut world = World::without_region().await;
    let k1 = world.environment.clone();
    // The first step of the procedure: every process knows the new key, and none seals with it.
    world.environment = with_keys(&k1, &["k1", "k2"]);
    world.start_region().await;
    world.register_app().await;
    let alice = world.zoom_user();
    world.link(ALICE, &alice).await;
    let new_first = with_keys(&k1, &["k2", "k1"]);
    assert!(status(&new_first)["to_rotate"].as_u64().unwrap() >= 2);
    let said = rotate(&new_first);
    assert!(said.contains("re-wrapped under the region key \"k2\""), "{said}");
    assert!(said.contains("Nothing hangs on \"k1\""), "{said}");
    assert_eq!(status(&new_first)["to_rotate"], 0);

    // The region still runs with the list in which the old key is first, and what is new hangs on that one.
    world.link(BOB, &world.zoom_user()).await;
    assert_eq!(status(&new_first)["to_rotate"], 1, "another Zoom account");

    let mut without_old = with_keys(&k1, &["k2"]);
    for listener in ["PUBLIC", "APP", "OPS"] {
        without_old.insert(
            format!("DOMICILE_HTTP_{listener}_LISTEN"),
            "127.0.0.1:0".to_owned(),
        );
    }
    for command in [["run"].as_slice(), &["keys", "rotate"]] {
        let refused = run(&without_old, command);
        let said = text(&refused);
        assert!(!refused.status.success(), "{said}");
        assert!(
            said.contains(KEYS) && said.contains("1 data key") && said.contains("\"k1\""),
            "{said}"
        );
    }
    let listed = run(&without_old, &["keys", "status"]);
    assert!(text(&listed).contains("not configured"), "{}", text(&listed));
    rotate(&new_first);
    assert_eq!(status(&without_old)["to_rotate"], 0);
    assert_eq!(status(&without_old)["region_keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_at_once_is_begun_again_and_ends() {
    let world = World::without_region().await;
    let old_first = with_keys(&world.environment, &["k1", "k2"]);
    let new_first = with_keys(&world.environment, &["k2", "k1"]);
    let place = Place::new("links", "x", Uuid::from_u128(1));
    let writer = region(&old_first);
    let mut sealed = Vec::new();
    for number in 0..150 {
        let scope = KeyScope::Account(ZoomAccountId::new(number.to_string()));
        let key = writer.vault.key(&scope).await.unwrap();
        sealed.push(key.seal(place, b"x").unwrap());
    }
    // A row that is locked holds the rotation up in its second batch.
    let mut client = world.db.client().await;
    let lock = client.transaction().await.unwrap();
    let last = "SELECT id FROM vault_keys ORDER BY id DESC LIMIT 1 FOR UPDATE";
    lock.query_one(last, &[]).await.unwrap();
    let mut rotating = Process::start_command(&new_first, &["keys", "rotate"]);
    let watcher = world.db.client().await;
    let moved = "SELECT count(*) FROM vault_keys WHERE region_key_id = 'k2'";
    eventually("the first batch", async || {
        (watcher.query_one(moved, &[]).await.unwrap().get::<_, i64>(0) >= 100).then_some(())
    })
    .await;
    rotating.signal(Signal::SIGKILL);
    rotating.ended().await;
    // PostgreSQL would end the dead process's statement as soon as it gets the lock.
    let orphans = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the end of the dead process's session", async || {
        (watcher.query_one(orphans, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    lock.rollback().await.unwrap();
    let reader = region(&old_first);
    for sealed in &sealed {
        reader.vault.open(place, sealed).await.unwrap();
    }
    let left = status(&new_first)["to_rotate"].as_u64().unwrap();
    assert!((1..=50).contains(&left), "{left}");
    let said = rotate(&new_first);
    assert!(said.contains("re-wrapped under the region key \"k2\""), "{said}");
    let reader = region(&with_keys(&world.environment, &["k2"]));
    for sealed in &sealed {
        reader.vault.open(place, sealed).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_at_kms_need_aws_settings_and_each_fault_is_named() {
    let world = World::without_region().await;
    let check = |variables: &[(&str, &str)]| {
        let mut environment = world.environment.clone();
        for (name, value) in variables {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        let output = run(&environment, &["config", "check"]);
        (output.status.success(), text(&output))
    };
    let at_kms = format!("k2:aws-kms:{ARN},k1:{VAULT_KEY}");
    let (passes, said) = check(&[(KEYS, &at_kms)]);
    assert!(
        !passes && said.contains(KEYS) && said.contains("AWS_ACCESS_KEY_ID"),
        "{said}"
    );
    let alias = at_kms.replace("key/1234", "alias/1234");
    let (passes, said) = check(&[(KEYS, &alias)]);
    assert!(
        !passes && said.contains("names an alias") && said.contains("\"k2\""),
        "{said}"
    );
    let credentials = [
        (KEYS, at_kms.as_str()),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret-value"),
    ];
    let (passes, said) = check(&credentials);
    assert!(passes, "{said}");
    let elsewhere = [
        credentials.as_slice(),
        &[("AWS_ENDPOINT_URL_KMS", "http://kms.example")],
    ]
    .concat();
    let (passes, said) = check(&elsewhere);
    assert!(!passes && said.contains("AWS_ENDPOINT_URL_KMS"), "{said}");
    assert!(!said.contains("secret-value") && !said.contains(VAULT_KEY));
}
