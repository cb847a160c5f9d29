//! The whole path: link, webhook, fetch, event.

use domicile_zoomsim::{FaultKind, FileKind, FileSelection, NewFault, Target};
use http::Method;
use sha2::{Digest, Sha256};
use standardwebhooks::Webhook;

use crate::harness::world::{ALICE, EVENTS_SECRET, World, types};
use crate::harness::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_from_zoom_to_the_regions_storage_and_the_app_is_told() {
    let world = World::start().await;
    let user = world.zoom_user();
    let link = world.link(ALICE, &user).await;
    assert_eq!(link["status"], "active");
    assert_eq!(link["subject"], ALICE);
    assert_eq!(link["zoom"]["user_id"], user.id.as_str());
    let files = [
        (FileKind::Mp4, 3_000_000),
        (FileKind::M4a, 200_000),
        (FileKind::Chat, 900),
        (FileKind::Timeline, 400),
    ];
    let uuid = world.recording(&user, &files);
    world.finish(&uuid).await;

    let events = world.told("recording.stored").await;
    assert_eq!(
        types(&events),
        ["link.active", "recording.stored"],
        "in order, each once"
    );

    // The event is signed by the Standard Webhooks scheme, and says what the contract says.
    let delivered = &events[1];
    let mut headers = http::HeaderMap::new();
    headers.insert("webhook-id", delivered.webhook_id.parse().unwrap());
    headers.insert("webhook-timestamp", delivered.webhook_timestamp.parse().unwrap());
    headers.insert("webhook-signature", delivered.webhook_signature.parse().unwrap());
    Webhook::new(EVENTS_SECRET)
        .unwrap()
        .verify(delivered.body.as_bytes(), &headers)
        .unwrap();
    let event = delivered.event();
    assert_eq!(event["id"], delivered.webhook_id.as_str());
    assert_eq!(
        (&event["region"], &event["subject"]),
        (&"eu".into(), &ALICE.into())
    );
    let recording = &event["data"]["recording"];
    assert_eq!(recording["status"], "stored");
    assert_eq!(recording["meeting"]["uuid"], uuid.as_str());
    assert_eq!(recording["meeting"]["topic"], "Quarterly numbers");
    assert_eq!(recording["meeting"]["host_id"], user.id.as_str());

    // What the list shows is what the event told.
    let list = world
        .api(Method::GET, &format!("/v1/recordings?subject={ALICE}"), None)
        .await
        .json();
    assert_eq!(&list["data"][0], recording);
    assert!(list["next_cursor"].is_null());

    // Each object's bytes are exactly those that Zoom served.
    let served = world.zoom.sim().digests(&uuid).await.unwrap();
    let stored = recording["files"].as_array().unwrap();
    assert_eq!(stored.len(), files.len());
    for file in stored {
        let sha256 = file["sha256"].as_str().unwrap();
        let twin = served
            .iter()
            .find(|served| served.sha256 == sha256)
            .expect("a file that Zoom served");
        assert_eq!(file["size_bytes"], twin.size_bytes);
        let content = world
            .api(Method::GET, file["content_url"].as_str().unwrap(), None)
            .await;
        assert_eq!(content.status, 200);
        assert_eq!(hex::encode(Sha256::digest(&content.body)), sha256);
        let object = find_object(world.storage.path(), file["id"].as_str().unwrap());
        assert_eq!(
            hex::encode(Sha256::digest(std::fs::read(object).unwrap())),
            sha256
        );
    }

    // A player asks for ranges.
    let video = stored.iter().find(|file| file["kind"] == "MP4").unwrap();
    let part = world
        .api_with(
            Method::GET,
            video["content_url"].as_str().unwrap(),
            None,
            &[("range", "bytes=4-7")],
        )
        .await;
    assert_eq!(part.status, 206);
    assert_eq!(part.headers["content-range"], "bytes 4-7/3000000");
    assert_eq!(&part.body[..], b"ftyp");
}

fn find_object(folder: &std::path::Path, file_id: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(file_id) {
                return path;
            }
        }
    }
    panic!("no object of {file_id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_delivery_of_the_same_webhook_changes_nothing() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Chat, 500)]);
    let twice = NewFault::once(
        Target::Webhook,
        FaultKind::DuplicateDelivery { fresh_urls: false },
    );
    world.zoom.sim().order_fault(twice).unwrap();
    world.finish(&uuid).await;
    world.told("recording.stored").await;
    let before = world.api(Method::GET, "/v1/recordings", None).await.json();
    let log = world.zoom.sim().webhook_log();
    let rows = world.inbox().await;
    // The same body once more, as Zoom's retry would bring it.
    let body = log
        .iter()
        .rev()
        .find(|sent| sent.event == "recording.completed")
        .unwrap()
        .body
        .clone();
    let again = crate::bad_input::post_signed(&world, body.into_bytes()).await;
    assert_eq!(again.status, 200);
    assert_eq!(world.inbox().await, rows, "no new row");
    assert_eq!(
        world.api(Method::GET, "/v1/recordings", None).await.json(),
        before
    );
    assert_eq!(types(&world.app.events()), ["link.active", "recording.stored"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcript_that_comes_later_joins_its_recording() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::M4a, 50_000), (FileKind::Transcript, 700)]);
    world.finish(&uuid).await;
    let stored = |n: usize| {
        move |events: &[_]| {
            types(events)
                .iter()
                .filter(|kind| *kind == "recording.stored")
                .count()
                == n
        }
    };
    world.app.wait_for_events(PATIENCE, stored(1)).await.unwrap();
    world
        .zoom
        .sim()
        .finish_transcript(&uuid, &FileSelection::default())
        .await
        .unwrap();
    let events = world.app.wait_for_events(PATIENCE, stored(2)).await.unwrap();
    let last = events.last().unwrap().event();
    assert_eq!(last["data"]["recording"]["files"].as_array().unwrap().len(), 2);
    let recordings = world.api(Method::GET, "/v1/recordings", None).await.json();
    assert_eq!(
        recordings["data"].as_array().unwrap().len(),
        1,
        "one recording, not two"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_down_is_told_later_and_in_order() {
    let world = World::start().await;
    world.app.fail_next(1);
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Chat, 500)]);
    world.finish(&uuid).await;
    let events = world.told("recording.stored").await;
    assert_eq!(types(&events), ["link.active", "recording.stored"]);
    assert_eq!(world.app.failed(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_zoom_serves_badly_is_fetched_again_until_it_is_right() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Mp4, 100_000)]);
    world
        .zoom
        .sim()
        .order_fault(NewFault::once(
            Target::Media,
            FaultKind::Truncated {
                at_bytes: 5_000,
                content_length: true,
            },
        ))
        .unwrap();
    world.finish(&uuid).await;
    let events = world.told("recording.stored").await;
    let served = world.zoom.sim().digests(&uuid).await.unwrap();
    let file = &events.last().unwrap().event()["data"]["recording"]["files"][0];
    assert_eq!(file["sha256"], served[0].sha256.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_story_no_job_is_left_and_every_secret_column_is_empty() {
    let world = World::start().await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    world.stored_recording(&user, &[(FileKind::Chat, 500)]).await;
    let client = world.db.client().await;
    // What stays is planned for later: the session's expiry and the grant's keep-alive.
    let left = "SELECT count(*) FROM jobs WHERE kind NOT IN ('connect_session.expire', 'grant.refresh')";
    eventually("the end of all jobs", async || {
        (client.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    let secrets = "SELECT (SELECT count(*) FROM connect_sessions WHERE code_sealed IS NOT NULL
                     OR pkce_verifier_sealed IS NOT NULL OR state_hash IS NOT NULL)
                  + (SELECT count(*) FROM recording_files WHERE download_token_sealed IS NOT NULL
                     OR download_url_sealed IS NOT NULL)";
    assert_eq!(client.query_one(secrets, &[]).await.unwrap().get::<_, i64>(0), 0);
}
