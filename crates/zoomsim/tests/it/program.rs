//! The program `zoomsim`, and what it keeps over restarts.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use domicile_zoomsim::{FaultKind, NewFault, SeededRng, StartError, Target, Usage, Zoomsim, ZoomsimSettings};

use crate::support::{World, http, world};

fn kept_in(world: &World, file: &Path) -> ZoomsimSettings {
    ZoomsimSettings {
        clock: world.clock.clone(),
        rng: Arc::new(SeededRng::new(2)),
        sender: Some(world.receiver.clone()),
        state_file: Some(file.to_owned()),
        ..ZoomsimSettings::default()
    }
}

#[actix_web::test]
async fn the_state_file_keeps_everything_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let mut world = world().await;
    world.zoomsim = Zoomsim::start(kept_in(&world, &file)).await.unwrap();
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let tokens = world.install(&app, &user).await;
    world.receiver.will_answer(&[503]);
    let meeting = world.finished(&user, 1_000).await;
    world
        .sim()
        .order_fault(NewFault::once(Target::Users, FaultKind::NotFound).for_user(&user.id))
        .unwrap();
    world.sim().advance(chrono::TimeDelta::minutes(1)).await;
    let time = world.sim().time();

    // Without a shutdown, as after a crash.
    world.zoomsim = Zoomsim::start(kept_in(&world, &file)).await.unwrap();
    assert_eq!(world.sim().time(), time);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(
        world.get("v2/users/me", access).await.status,
        404,
        "the fault is still ordered"
    );
    assert_eq!(world.get("v2/users/me", access).await.status, 200);
    assert_eq!(world.sim().meeting(&meeting.uuid).unwrap().files.len(), 1);
    world.sim().advance(chrono::TimeDelta::minutes(4)).await;
    assert_eq!(world.receiver.events().len(), 2, "the retry is still due");
    assert_eq!(
        world
            .refresh(&app, tokens["refresh_token"].as_str().unwrap())
            .await
            .status,
        200
    );
}

#[actix_web::test]
async fn a_damaged_state_file_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    std::fs::write(&file, "{").unwrap();
    let world = world().await;
    assert!(matches!(
        Zoomsim::start(kept_in(&world, &file)).await,
        Err(StartError::StateFile(_))
    ));
}

#[actix_web::test]
async fn it_listens_on_loopback_only_and_says_when_a_port_is_taken() {
    let outside = ZoomsimSettings {
        address: [0, 0, 0, 0].into(),
        ..ZoomsimSettings::default()
    };
    assert!(matches!(
        Zoomsim::start(outside).await,
        Err(StartError::NotLoopback(_))
    ));
    let world = world().await;
    let port = world.zoomsim.oauth_url().port().unwrap();
    let taken = ZoomsimSettings {
        port,
        ..ZoomsimSettings::default()
    };
    assert!(matches!(
        Zoomsim::start(taken).await,
        Err(StartError::Listen { .. })
    ));
}

#[actix_web::test]
async fn shutdown_gives_the_ports_back() {
    let world = world().await;
    let port = world.zoomsim.oauth_url().port().unwrap();
    world.zoomsim.shutdown().await;
    let again = ZoomsimSettings {
        port,
        ..ZoomsimSettings::default()
    };
    Zoomsim::start(again).await.unwrap().shutdown().await;
}

/// Starts the program and gives the base URL that it prints.
fn program(arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zoomsim"))
        .args(["--port", "0", "--media-port", "0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first.split_whitespace().last().unwrap().to_owned();
    (child, url)
}

fn stop(child: &mut Child, signal: &str) -> bool {
    Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    child.wait().unwrap().success()
}

#[actix_web::test]
async fn the_program_serves_and_stops_cleanly_on_both_signals() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    let arguments = [
        "--state-file",
        file.to_str().unwrap(),
        "--seed",
        "3",
        "--time-scale",
        "60",
    ];
    for (signal, users) in [("-TERM", 1), ("-INT", 2)] {
        let (mut child, url) = program(&arguments);
        let user = serde_json::json!({ "id": format!("user-{users}") });
        let made = http()
            .post(format!("{url}control/users"))
            .send_json(&user)
            .await
            .unwrap();
        assert_eq!(made.status(), 201);
        let mut listed = http().get(format!("{url}control/users")).send().await.unwrap();
        let listed: serde_json::Value = listed.json().await.unwrap();
        assert_eq!(listed.as_array().unwrap().len(), users, "users are kept");
        assert!(stop(&mut child, signal), "exit status after {signal}");
    }
}
