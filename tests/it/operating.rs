//! The operators' commands, with the real binary.

use std::collections::BTreeMap;
use std::process::Output;

use domicile_zoomsim::{FaultKind, FileKind, NewFault, Target};
use serde_json::Value;

use crate::crash::world_with;
use crate::harness::eventually;
use crate::harness::process::{Process, run};
use crate::harness::world::{ALICE, World};

const NOBODY: &str = "00000000-0000-0000-0000-00000000dead";

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn done(world: &World, arguments: &[&str]) -> String {
    let output = run(&world.environment, arguments);
    let text = out(&output);
    assert!(
        output.status.success(),
        "{arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn listed(world: &World, arguments: &[&str]) -> Value {
    let arguments: Vec<_> = arguments.iter().copied().chain(["--format", "json"]).collect();
    serde_json::from_str(&done(world, &arguments)).unwrap()
}

async fn operator_acts(world: &World) -> Vec<String> {
    let sql = "SELECT action FROM audit_entries WHERE actor = 'operator' ORDER BY sequence";
    let rows = world.db.client().await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn quarantined(world: &World, kind: &str) {
    let client = world.db.client().await;
    let sql = "SELECT count(*) FROM jobs WHERE kind = $1 AND status = 'quarantined'";
    eventually("a job in quarantine", async || {
        (client.query_one(sql, &[&kind]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_failed_is_found_and_fetched_again() {
    let (world, process) = world_with("run").await;
    let user = world.zoom_user();
    let link = world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Mp4, 40_000)]);
    let fault = NewFault::once(
        Target::Media,
        FaultKind::Stalled {
            at_bytes: 10_000,
            millis: 600_000,
        },
    );
    world.zoom.sim().order_fault(fault).unwrap();
    world.finish(&uuid).await;
    eventually("the fault", async || {
        world.zoom.sim().faults().is_empty().then_some(())
    })
    .await;
    drop(process);
    // The worker died with the last attempt that the job had.
    let spent = "UPDATE jobs SET status = 'quarantined', lease_owner = NULL, lease_token = NULL, lease_expires_at = NULL,
                 last_error_class = 'timeout' WHERE kind = 'recording.fetch';
                 UPDATE recording_files SET status = 'failed', failure_class = 'timeout';
                 UPDATE recordings SET status = 'incomplete'";
    world.db.client().await.batch_execute(spent).await.unwrap();
    quarantined(&world, "recording.fetch").await;

    // Found, in every way in which it can be looked for.
    let jobs = listed(
        &world,
        &[
            "jobs",
            "list",
            "--status",
            "quarantined",
            "--kind",
            "recording.fetch",
        ],
    );
    let job = &jobs["data"][0];
    assert_eq!(
        (&job["last_error_class"], &jobs["next_cursor"]),
        (&"timeout".into(), &Value::Null)
    );
    let id = job["id"].as_str().unwrap();
    assert!(done(&world, &["jobs", "show", id]).contains("recording.fetch"));
    assert!(done(&world, &["jobs", "status"]).contains("quarantined"));
    let none = listed(
        &world,
        &["jobs", "list", "--status", "quarantined", "--older-than", "1d"],
    );
    assert_eq!(none["data"].as_array().unwrap().len(), 0);
    let recordings = listed(
        &world,
        &["recordings", "list", "--status", "incomplete", "--subject", ALICE],
    );
    let recording = recordings["data"][0]["id"].as_str().unwrap();
    let shown = done(&world, &["recordings", "show", recording]);
    assert!(shown.contains("\"failure_class\": \"timeout\""), "{shown}");
    assert!(
        !shown.contains("Quarterly numbers"),
        "topics stay sealed: {shown}"
    );

    // Dry runs change nothing.
    let dry = done(
        &world,
        &["jobs", "redrive", "--kind", "recording.fetch", "--dry-run"],
    );
    assert_eq!(dry, "1 jobs would start afresh.\n");
    assert!(done(&world, &["recordings", "retry", recording, "--dry-run"]).contains("1 recordings"));
    quarantined(&world, "recording.fetch").await;
    assert_eq!(operator_acts(&world).await, [""; 0]);

    let redriven = done(
        &world,
        &[
            "jobs",
            "redrive",
            "--kind",
            "recording.fetch",
            "--class",
            "timeout",
        ],
    );
    assert_eq!(redriven, "1 jobs start afresh.\n");
    let retried = done(&world, &["recordings", "retry", recording]);
    assert_eq!(retried, "1 files of 1 recordings are fetched.\n");
    assert_eq!(operator_acts(&world).await, ["jobs.redrive", "recording.retry"]);
    let _again = Process::start(&world.environment, "run");
    world.told("recording.stored").await;

    // Links, with how their grant does, and without a token.
    let links = listed(&world, &["links", "list", "--status", "active"]);
    assert_eq!(links["data"][0]["id"], link["id"]);
    let shown = done(&world, &["links", "show", link["id"].as_str().unwrap()]);
    assert!(
        shown.contains("\"state\": \"fresh\"") && !shown.contains("token"),
        "{shown}"
    );
    let table = done(&world, &["links", "list"]);
    assert!(table.starts_with("SINCE") && table.contains(ALICE), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_the_app_lost_are_delivered_again_with_their_ids() {
    let (world, _process) = world_with("run").await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    world.stored_recording(&user, &[(FileKind::Chat, 300)]).await;
    let pending = "SELECT count(*) FROM events WHERE status = 'pending'";
    let client = world.db.client().await;
    eventually("all delivered", async || {
        (client.query_one(pending, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    let before: Vec<_> = world
        .app
        .events()
        .iter()
        .map(|event| event.webhook_id.clone())
        .collect();
    assert_eq!(before.len(), 2);

    // Pages: one at a time, the newest first.
    let first = listed(&world, &["deliveries", "list", "--limit", "1"]);
    assert_eq!(first["data"][0]["type"], "recording.stored");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = listed(&world, &["deliveries", "list", "--limit", "1", "--after", cursor]);
    assert_eq!(second["data"][0]["type"], "link.active");
    let shown = done(&world, &["deliveries", "show", &before[0]]);
    assert!(shown.contains("\"status_code\": 20"), "{shown}");

    let dry = done(
        &world,
        &["deliveries", "redrive", "--subject", ALICE, "--dry-run"],
    );
    assert_eq!(dry, "2 events would be delivered again.\n");
    let redriven = done(&world, &["deliveries", "redrive", "--subject", ALICE]);
    assert_eq!(redriven, "2 events wait for delivery.\n");
    let twice = |events: &[domicile_testkit::app::ReceivedEvent]| events.iter().all(|it| it.duplicates == 1);
    let events = world.app.wait_for_events(crate::harness::PATIENCE, twice).await;
    assert!(
        events.is_ok_and(|events| events.len() == 2),
        "not delivered again with their ids"
    );
    let posts = "SELECT event_id::text FROM delivery_attempts ORDER BY started_at";
    eventually("four posts", async || {
        let rows = client.query(posts, &[]).await.unwrap();
        let posted: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        (posted == [before.clone(), before.clone()].concat()).then_some(())
    })
    .await;
    assert_eq!(operator_acts(&world).await, ["events.redrive"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_filters_are_those_of_the_page() {
    let mut world = World::without_region().await;
    world.release_ports();
    for what in ["jobs", "links", "recordings", "deliveries", "inbox"] {
        let shown = run(&world.environment, &[what, "show", NOBODY]);
        assert_eq!(shown.status.code(), Some(3), "{what}");
        assert!(String::from_utf8_lossy(&shown.stderr).contains(NOBODY));
        let table = done(&world, &[what, "list"]);
        assert_eq!(table.lines().count(), 1, "the header of an empty list: {table}");
        let usage = run(&world.environment, &[what, "list", "--status", "sideways"]);
        assert_eq!(usage.status.code(), Some(2), "{what}");
    }
    for (arguments, code) in [
        (["jobs", "redrive", NOBODY].as_slice(), 3),
        (&["recordings", "retry", NOBODY], 3),
        (&["deliveries", "redrive", NOBODY], 3),
        (&["jobs", "redrive"], 1),
        (&["recordings", "retry"], 1),
        (&["deliveries", "redrive"], 1),
        (&["jobs", "list", "--older-than", "soon"], 2),
    ] {
        assert_eq!(
            run(&world.environment, arguments).status.code(),
            Some(code),
            "{arguments:?}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&BTreeMap::new(), &["completion", shell]);
        assert!(script.status.success());
        for command in ["doctor", "deliveries", "redrive", "reconcile"] {
            assert!(out(&script).contains(command), "{shell}: {command}");
        }
    }
    // Every command says what it is for, and the lists have examples.
    let help = out(&run(&BTreeMap::new(), &["jobs", "redrive", "--help"]));
    assert!(help.contains("Examples:") && help.contains("--dry-run"), "{help}");
}

#[test]
fn the_operators_pages_name_commands_that_there_are() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm");
    let help = out(&run(&BTreeMap::new(), &["--help"]));
    let mut named = 0;
    for entry in std::fs::read_dir(pages).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let page = std::fs::read_to_string(&path).unwrap();
        for (at, _) in page
            .match_indices("`domicile ")
            .chain(page.match_indices("$ domicile "))
        {
            let words: Vec<_> = page[at..]
                .split(['`', '\n', '$'])
                .find(|it| !it.is_empty())
                .unwrap()
                .split_whitespace()
                .collect();
            let plain = |word: &&&str| {
                word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-')
            };
            let words: Vec<_> = words.iter().skip(1).take_while(plain).copied().collect();
            let Some(command) = words.first() else { continue };
            assert!(
                help.contains(&format!("  {command} ")),
                "{}: domicile {command}",
                path.display()
            );
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}
