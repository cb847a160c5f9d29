//! What Zoom is told while the database is away, and what operators do with what was kept.

use serde_json::{Value, json};

use crate::bad_input::now;
use crate::forgery::{BOT, BOT_SECRET, EVENTS, event, send_signed, world};
use crate::harness::eventually;
use crate::harness::process;
use crate::harness::world::{ALICE, WEBHOOK_SECRET, World};

const CHALLENGE: &str = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_zoom_is_told_to_come_again_and_its_challenge_is_answered() {
    let world = world().await;
    for (path, secret) in [(EVENTS, WEBHOOK_SECRET), (BOT, BOT_SECRET)] {
        assert_eq!(
            send_signed(&world, path, secret, now(), &event("before"))
                .await
                .status,
            200
        );
    }
    world.db.go_away().await;
    for (path, secret) in [(EVENTS, WEBHOOK_SECRET), (BOT, BOT_SECRET)] {
        let answer = send_signed(&world, path, secret, now(), &event("during")).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.headers["retry-after"], "60");
        let answer = send_signed(&world, path, secret, now(), CHALLENGE.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["plainToken"], "qgg8vlvZRS6UYooatFL8Aw");
    }
    world.db.come_back().await;
    for (path, secret) in [(EVENTS, WEBHOOK_SECRET), (BOT, BOT_SECRET)] {
        // Zoom sends the very same body again.
        eventually("the retry to be kept", async || {
            let answer = send_signed(&world, path, secret, now(), &event("during")).await;
            assert!(matches!(answer.status.as_u16(), 200 | 503), "{}", answer.text());
            (answer.status == 200).then_some(())
        })
        .await;
    }
    assert_eq!(world.inbox().await.len(), 4);
}

/// Runs `domicile inbox` with these arguments in the world's region.
fn inbox(world: &World, arguments: &[&str]) -> Result<String, String> {
    let arguments: Vec<_> = ["inbox"].iter().chain(arguments).copied().collect();
    let output = process::run(&world.environment, &arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_its_link_is_found_in_quarantine_and_replayed() {
    let world = World::start().await;
    let user = world.zoom_user();
    let body = json!({
        "event": "recording.completed",
        "event_ts": now() * 1000,
        "download_token": "PLANTED-token",
        "payload": {"account_id": user.account_id, "object": {
            "uuid": "4444AAAiAAAAAiAiAiiAii==", "id": 97_763_643_886_i64, "host_id": user.id, "topic": "Came too early",
            "password": "PLANTED-password", "recording_files": [],
        }},
    })
    .to_string();
    let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, now(), body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    let quarantined = ("quarantined".to_owned(), Some("unknown_account".to_owned()));
    eventually("quarantine", async || {
        (world.inbox().await == [quarantined.clone()]).then_some(())
    })
    .await;

    let list = inbox(
        &world,
        &["list", "--reason", "unknown_account", "--format", "json"],
    )
    .unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let id = list["data"][0]["id"].as_str().unwrap().to_owned();
    let text = inbox(&world, &["list"]).unwrap();
    assert!(text.contains(&id) && text.contains("unknown_account"), "{text}");
    let shown = inbox(&world, &["show", &id, "--body"]).unwrap();
    assert!(
        shown.contains("Came too early") && !shown.contains("PLANTED"),
        "{shown}"
    );
    let status = inbox(&world, &["status"]).unwrap();
    assert!(status.contains("1  unknown_account"), "{status}");
    let failure = inbox(&world, &["replay"]).unwrap_err();
    assert!(failure.contains("at least one of"), "{failure}");

    world.link(ALICE, &user).await;
    let replayed = inbox(&world, &["replay", "--account", user.account_id.as_str()]).unwrap();
    assert_eq!(replayed, "1 row waits for the handlers again.\n");
    eventually("the handlers", async || {
        (world.inbox().await == [("dispatched".to_owned(), None)]).then_some(())
    })
    .await;
}
