//! INV-10: complete or not at all.

use std::collections::BTreeMap;

use crate::harness::process::run;
use crate::harness::world::World;

fn text(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn config_check_lists_every_fault_and_never_a_value() {
    let environment: BTreeMap<_, _> = [
        ("DOMICILE_REGION_ID", "EU!"),
        ("DOMICILE_REGOIN_NAME", "European Union"),
        ("DOMICILE_HTTP_PUBLIC_URL", "http://zoom.eu.example.com"),
        (
            "DOMICILE_DATABASE_URL",
            "postgres://u:hunter2@db.example/d?sslmode=require",
        ),
        ("DOMICILE_ZOOM_CLIENT_SECRET_FILE", "/no/such/file"),
        ("DOMICILE_VAULT_KEYS", "k1:c2hvcnQ="),
        ("RUST_LOG", "domicile=loud"),
        ("DOMICILE_APP_EVENTS_URL", "https://app.example/events"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let output = run(&environment, &["config", "check"]);
    assert!(!output.status.success());
    let text = text(&output);
    for setting in [
        "DOMICILE_REGION_ID:",
        "DOMICILE_REGOIN_NAME: no such setting; did you mean DOMICILE_REGION_NAME?",
        "DOMICILE_REGION_NAME: is not set",
        "DOMICILE_REGION_ZOOM_CLUSTERS: is not set",
        "DOMICILE_HTTP_PUBLIC_URL:",
        "DOMICILE_DATABASE_URL: sslmode=require",
        "DOMICILE_ZOOM_CLIENT_SECRET_FILE: the file cannot be read",
        "DOMICILE_ZOOM_WEBHOOK_SECRETS: is not set",
        "DOMICILE_VAULT_KEYS: the key \"k1\"",
        "RUST_LOG:",
        "DOMICILE_OBJECTS_URL: is not set",
        "DOMICILE_APP_API_KEYS: is not set",
        "DOMICILE_APP_IDENTITY: is not set",
        "DOMICILE_APP_EVENTS_SECRETS: is not set, but DOMICILE_APP_EVENTS_URL is",
    ] {
        assert!(text.contains(setting), "{setting} in:\n{text}");
    }
    for secret in ["hunter2", "c2hvcnQ"] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn every_role_refuses_an_incomplete_environment() {
    for role in ["serve", "work", "run", "migrate"] {
        let output = run(&BTreeMap::new(), &[role]);
        assert!(!output.status.success());
        assert!(
            text(&output).contains("DOMICILE_REGION_ID: is not set"),
            "{}",
            text(&output)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_environment_passes_and_an_unknown_schema_stops_the_start() {
    let mut world = World::without_region().await;
    world.release_ports();
    let checked = run(&world.environment, &["config", "check"]);
    assert!(checked.status.success(), "{}", text(&checked));
    let client = world.db.client().await;
    client
        .execute(
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000001')",
            &[],
        )
        .await
        .unwrap();
    client
        .execute("UPDATE schema_floor SET version = '99990101000001'", &[])
        .await
        .unwrap();
    let output = run(&world.environment, &["run"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("99990101000001"), "{}", text(&output));
    client
        .batch_execute("DELETE FROM __diesel_schema_migrations")
        .await
        .unwrap();
    let output = run(&world.environment, &["run"]);
    assert!(!output.status.success());
    assert!(text(&output).contains("domicile migrate"), "{}", text(&output));
}

#[test]
fn the_help_names_every_command() {
    let output = run(&BTreeMap::new(), &["--help"]);
    assert!(output.status.success());
    for command in [
        "migrate", "serve", "work", "run", "keys", "region", "zoom-app", "app-key", "evidence", "config",
    ] {
        assert!(text(&output).contains(command));
    }
    let settings = run(&BTreeMap::new(), &["config", "settings"]);
    assert!(text(&settings).contains("DOMICILE_VAULT_KEYS"));
}
