//! INV-1: database, keys and storage belong to the region that first started with them, and the settings say what its file says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use domicile_testkit::db::TestDb;
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use crate::harness::process::run;
use crate::harness::world::World;

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn refused(environment: &BTreeMap<String, String>, arguments: &[&str]) -> String {
    let output = run(environment, arguments);
    assert!(!output.status.success(), "{arguments:?} did not refuse");
    text(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_meets_another_regions_mark_refuses_to_start_and_names_both() {
    let mut world = World::without_region().await;
    world.release_ports();
    // The first command that works with the region marks what it works with.
    let first = run(&world.environment, &["admission", "list"]);
    assert!(first.status.success(), "{}", text(&first));
    assert_eq!(
        std::fs::read_to_string(world.storage.path().join("domicile-region")).unwrap(),
        "eu\n"
    );

    let mut us = world.environment.clone();
    us.insert("DOMICILE_REGION_ID".to_owned(), "us".to_owned());
    for command in ["serve", "work", "run"] {
        let told = refused(&us, &[command]);
        for setting in [
            "DOMICILE_DATABASE_URL",
            "DOMICILE_VAULT_KEYS",
            "DOMICILE_OBJECTS_URL",
        ] {
            assert!(
                told.contains(setting),
                "{command} does not name {setting}: {told}"
            );
        }
        assert!(
            told.contains("the mark of the region eu") && told.contains("this process is of the region us"),
            "{told}"
        );
    }
    for arguments in [["keys", "status"].as_slice(), &["migrate"], &["inbox", "list"]] {
        assert!(
            refused(&us, arguments).contains("the mark of the region eu"),
            "{arguments:?}"
        );
    }

    // The storage alone: the region's own database stays without a mark.
    let db = TestDb::create().await;
    us.insert("DOMICILE_DATABASE_URL".to_owned(), db.url().expose().clone());
    let told = refused(&us, &["run"]);
    assert!(
        told.contains("DOMICILE_OBJECTS_URL") && !told.contains("DOMICILE_DATABASE_URL"),
        "{told}"
    );
    let marks = db
        .client()
        .await
        .query("SELECT 1 FROM region_mark", &[])
        .await
        .unwrap();
    assert!(marks.is_empty());

    // The keys alone: whoever takes the database's mark away has not got the key that would make another.
    let storage = TempDir::new().unwrap();
    us.insert(
        "DOMICILE_OBJECTS_URL".to_owned(),
        Url::from_directory_path(storage.path()).unwrap().to_string(),
    );
    us.insert(
        "DOMICILE_DATABASE_URL".to_owned(),
        world.db.url().expose().clone(),
    );
    world
        .db
        .client()
        .await
        .batch_execute("DELETE FROM region_mark")
        .await
        .unwrap();
    let told = refused(&us, &["run"]);
    assert!(
        told.contains("DOMICILE_VAULT_KEYS") && !told.contains("DOMICILE_DATABASE_URL"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(storage.path()).unwrap().count(), 0);

    // And with everything of its own it starts.
    us.insert("DOMICILE_DATABASE_URL".to_owned(), db.url().expose().clone());
    let own = run(&us, &["admission", "list"]);
    assert!(own.status.success(), "{}", text(&own));
    let again = run(&us, &["admission", "list"]);
    assert!(again.status.success(), "{}", text(&again));
}

fn regions() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../regions")
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_contradict_the_regions_file_stop_the_start() {
    let mut world = World::without_region().await;
    world.release_ports();
    let file = regions().join("eu.yaml").display().to_string();
    world.environment.insert("DOMICILE_REGION_FILE".to_owned(), file);
    for arguments in [["config", "check"].as_slice(), &["run"], &["serve"], &["work"]] {
        let told = refused(&world.environment, arguments);
        for fault in [
            "DOMICILE_HTTP_PUBLIC_URL: contradicts the region's file, which says https://zoom.eu.example.com",
            "DOMICILE_REGION_UNKNOWN_CLUSTER: contradicts",
            "DOMICILE_BOT_CLIENT_ID: is not set, but the region's file says",
            "AWS_REGION: is not set, but",
        ] {
            assert!(told.contains(fault), "{fault} in:\n{told}");
        }
    }
}

#[test]
fn the_commands_on_files_need_no_environment_and_fail_where_they_must() {
    let none = BTreeMap::new();
    let samples = regions().display().to_string();
    let checked = run(&none, &["region", "check", &samples]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    assert!(text(&checked).contains("4 files, no finding."));

    let copy = TempDir::new().unwrap();
    for name in ["eu.yaml", "uk.yaml", "us.yaml", "directory.yaml"] {
        let sample = std::fs::read_to_string(regions().join(name)).unwrap();
        let text = sample.replace("name: domicile_us", "name: domicile_eu");
        std::fs::write(copy.path().join(name), text).unwrap();
    }
    let folder = copy.path().display().to_string();
    let human = run(&none, &["region", "check", &folder]);
    assert_eq!(human.status.code(), Some(1));
    assert!(
        text(&human).contains("us.yaml:") && text(&human).contains("database.name [shared-database-name]")
    );
    let sarif = run(&none, &["region", "check", &folder, "--format", "sarif"]);
    assert_eq!(sarif.status.code(), Some(1));
    let log: Value = serde_json::from_slice(&sarif.stdout).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "shared-database-name");
    let json = run(&none, &["region", "check", &folder, "--format", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 1);
    assert_eq!(
        run(&none, &["region", "check", "/no/such/folder"]).status.code(),
        Some(1)
    );

    let eu = regions().join("eu.yaml").display().to_string();
    let us = regions().join("us.yaml").display().to_string();
    for (arguments, shown) in [
        (
            ["region", "env", eu.as_str()].as_slice(),
            "DOMICILE_REGION_ID=eu\n",
        ),
        (
            &["region", "env", &eu, "--drop-in"],
            "LoadCredential=domicile-eu-zoom_client-secret:",
        ),
        (&["region", "show", &eu], "European Union (eu)"),
        (&["region", "diff", &eu, &us], "+ us: us-east-2"),
        (&["region", "rules"], "shared-client-id\n"),
        (&["region", "schema"], "\"$schema\""),
    ] {
        let output = run(&none, arguments);
        assert!(
            output.status.success() && text(&output).contains(shown),
            "{}",
            text(&output)
        );
    }
}
