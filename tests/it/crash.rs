//! The real binary, killed and stopped.

use domicile_zoomsim::{FaultKind, FileKind, NewFault, Target};
use http::Method;
use nix::sys::signal::Signal;

use crate::harness::browser::{Browser, call};
use crate::harness::eventually;
use crate::harness::process::Process;
use crate::harness::world::{ALICE, World};

/// A world whose region is the real binary.
pub async fn world_with(role: &str) -> (World, Process) {
    let mut world = World::without_region().await;
    world.release_ports();
    let process = Process::start(&world.environment, role);
    ready(&world).await;
    world.register_app().await;
    (world, process)
}

pub async fn ready(world: &World) {
    let url = format!("http://{}/readyz", world.environment["DOMICILE_HTTP_OPS_LISTEN"]);
    eventually("readiness", async || {
        let request = http::Request::get(&url).body(bytes::Bytes::new()).unwrap();
        let answer = world.client.send(request).await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}

async fn job_states(world: &World, kind: &str) -> Vec<String> {
    let sql = "SELECT status FROM jobs WHERE kind = $1";
    let rows = world.db.client().await.query(sql, &[&kind]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until Zoom has begun to answer badly: before that, a kill would leave the fault for the next process.
async fn the_fault_strikes(world: &World) {
    eventually("the fault", async || {
        world.zoom.sim().faults().is_empty().then_some(())
    })
    .await;
}

/// INV-4, seen from the database, while a download hangs for longer than this waits: a transaction around it would never end.
async fn no_transaction_is_open(world: &World) {
    let client = world.db.client().await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
               AND application_name = 'domicile' AND xact_start IS NOT NULL";
    eventually("a moment without an open transaction", async || {
        (client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_200_and_the_stored_recording_it_still_arrives_once() {
    let (world, mut process) = world_with("run").await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Mp4, 400_000)]);
    // The first download hangs half way, so the kill falls into it for certain.
    let stall = FaultKind::Stalled {
        at_bytes: 100_000,
        millis: 600_000,
    };
    world
        .zoom
        .sim()
        .order_fault(NewFault::once(Target::Media, stall))
        .unwrap();
    world.finish(&uuid).await;
    the_fault_strikes(&world).await;
    assert_eq!(job_states(&world, "recording.fetch").await, ["leased"]);
    process.signal(Signal::SIGKILL);
    process.ended().await;

    // The lease of the dead process runs out; the test does not wait for it but moves its end into the past.
    let expire = "UPDATE jobs SET lease_expires_at = '2000-01-01' WHERE status = 'leased'";
    world.db.client().await.execute(expire, &[]).await.unwrap();
    let _second = Process::start(&world.environment, "run");
    let events = world.told("recording.stored").await;
    let count = events
        .iter()
        .filter(|event| event.event()["type"] == "recording.stored")
        .count();
    assert_eq!(count, 1);
    let served = world.zoom.sim().digests(&uuid).await.unwrap();
    let list = world.api(Method::GET, "/v1/recordings", None).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["files"][0]["sha256"], served[0].sha256.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_answers_the_request_in_flight_and_gives_the_running_job_back() {
    let (world, mut process) = world_with("run").await;
    let (user, other) = (world.zoom_user(), world.zoom_user());
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Mp4, 400_000)]);
    let stall = FaultKind::Stalled {
        at_bytes: 100_000,
        millis: 600_000,
    };
    world
        .zoom
        .sim()
        .order_fault(NewFault::once(Target::Media, stall))
        .unwrap();
    world.finish(&uuid).await;
    the_fault_strikes(&world).await;
    assert_eq!(job_states(&world, "recording.fetch").await, ["leased"]);
    no_transaction_is_open(&world).await;
    // A confirmation that Zoom answers late is under way when the stop comes.
    let connect_url = world.connect_url("user:77").await;
    let ticket = world.ticket(&mut Browser::new(), &connect_url, &other).await;
    world
        .zoom
        .sim()
        .order_fault(NewFault::once(Target::Token, FaultKind::Slow { millis: 1500 }))
        .unwrap();
    let confirm = world.confirm(&ticket, "user:77");
    let stop = async {
        let client = world.db.client().await;
        let confirming = "SELECT count(*) FROM connect_sessions WHERE status = 'confirming'";
        eventually("the confirmation under way", async || {
            (client.query_one(confirming, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
        })
        .await;
        process.signal(Signal::SIGTERM);
    };
    let (answer, ()) = tokio::join!(confirm, stop);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(process.ended().await.success());
    assert_eq!(
        job_states(&world, "recording.fetch").await,
        ["queued"],
        "given back, not lost"
    );
    let refused = http::Request::get(world.public_url.as_str())
        .body(bytes::Bytes::new())
        .unwrap();
    assert!(
        world.client.send(refused).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_and_work_do_together_what_run_does_alone() {
    let (world, serve) = world_with("serve").await;
    let mut environment = world.environment.clone();
    environment.insert("DOMICILE_HTTP_OPS_LISTEN".to_owned(), "127.0.0.1:0".to_owned());
    let work = Process::start(&environment, "work");
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    world.stored_recording(&user, &[(FileKind::Chat, 400)]).await;
    for mut process in [serve, work] {
        process.signal(Signal::SIGTERM);
        assert!(process.ended().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_goes_with_the_database_and_metrics_are_there() {
    let (world, _process) = world_with("serve").await;
    let ops = world.environment["DOMICILE_HTTP_OPS_LISTEN"].clone();
    let get = async |path: &str| {
        let request = http::Request::get(format!("http://{ops}{path}"))
            .body(bytes::Bytes::new())
            .unwrap();
        call(&world.client, request).await
    };
    assert_eq!(get("/livez").await.status, 200);
    let metrics = get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("domicile_"), "{}", metrics.text());
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000001')";
    let client = world.db.client().await;
    client.execute(newer, &[]).await.unwrap();
    assert_eq!(
        get("/readyz").await.status,
        200,
        "what the next release adds harms nothing"
    );
    let raised = "UPDATE schema_floor SET version = '99990101000001'";
    client.execute(raised, &[]).await.unwrap();
    let answer = get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("99990101000001"));
    assert_eq!(get("/livez").await.status, 200, "a restart would mend nothing");
}
