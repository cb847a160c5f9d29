//! Events: bodies, signature, retries, the challenge and its schedule.

use std::time::Duration;

use AttemptResult::{ConnectionRefused, Status, TimedOut};
use actix_web::{App, HttpResponse, HttpServer, web};
use chrono::TimeDelta;
use domicile_zoomsim::{
    AttemptResult, Audience, ControlError, DeliveryState, EVENTS, FileKind, FileSelection, NewApp, NewFile,
    NewSubscription, NewUser, SendEvent, SignatureMode, Usage, UserStatus, WebhookAnswer, Zoomsim,
    ZoomsimSettings,
};
use serde_json::Value;
use url::Url;

use crate::support::{Got, SECRET, World, world};

const ALL: FileSelection = FileSelection {
    file_ids: Vec::new(),
    audience: Audience::All,
};

fn states(world: &World) -> Vec<DeliveryState> {
    world
        .sim()
        .webhook_log()
        .into_iter()
        .map(|row| row.state)
        .collect()
}

#[actix_web::test]
async fn a_finished_recording_is_told_with_every_documented_field() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    let files = vec![
        NewFile::new(FileKind::Mp4, 1_000_000, 1),
        NewFile {
            participant: Some("Ada".into()),
            ..NewFile::new(FileKind::M4a, 1_000, 2)
        },
        NewFile {
            sparse: true,
            ..NewFile::new(FileKind::Cc, 1_000, 3)
        },
        NewFile::new(FileKind::Transcript, 1_000, 4),
    ];
    let meeting = world.recording(&user, files);
    world
        .sim()
        .finish_recording(&meeting.uuid, &FileSelection::default())
        .await
        .unwrap();

    let events = world.receiver.events();
    assert_eq!(events.len(), 1);
    let got = &events[0];
    assert!(got.is_signed(SECRET));
    assert_eq!(got.header("user-agent"), "Zoom Marketplace/1.0a");
    assert_eq!(got.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(got.header("x-zm-request-timestamp"), "1795341600");
    assert_eq!(got.header("x-zm-request-id").split('_').count(), 5);
    assert!(got.header("x-zm-trackingid").starts_with("WEB_"));
    assert_eq!(got.header("traceparent").len(), 55);

    let body = got.json();
    assert!(
        got.body.starts_with(r#"{"payload":{"account_id":"#),
        "Zoom's key order"
    );
    assert_eq!(body["event"], "recording.completed");
    assert_eq!(body["event_ts"], 1_795_341_600_000_i64);
    assert!(body["download_token"].as_str().unwrap().split('.').count() == 3);
    assert_eq!(body["payload"]["account_id"], user.account_id);
    let object = &body["payload"]["object"];
    assert!(object["id"].is_i64() && object["type"].is_i64());
    for field in [
        "uuid",
        "host_id",
        "account_id",
        "topic",
        "start_time",
        "timezone",
        "host_email",
        "duration",
        "password",
        "share_url",
        "total_size",
        "recording_count",
        "on_prem",
        "recording_play_passcode",
        "auto_delete",
        "auto_delete_date",
    ] {
        assert!(!object[field].is_null(), "{field}");
    }
    assert_eq!(
        object["recording_files"].as_array().unwrap().len(),
        2,
        "the transcript comes later"
    );
    let file = &object["recording_files"][0];
    for field in [
        "id",
        "meeting_id",
        "recording_start",
        "recording_end",
        "file_type",
        "file_extension",
        "file_size",
        "play_url",
        "download_url",
        "status",
        "recording_type",
    ] {
        assert!(!file[field].is_null(), "{field}");
    }
    assert_eq!(file["meeting_id"], meeting.uuid);
    assert!(
        file["download_url"]
            .as_str()
            .unwrap()
            .contains("/rec/webhook_download/")
    );
    let sparse = &object["recording_files"][1];
    for field in ["id", "status", "file_size", "recording_type", "play_url"] {
        assert!(sparse[field].is_null(), "{field}");
    }
    assert_eq!(
        object["participant_audio_files"][0]["file_name"],
        "Audio only - Ada"
    );
}

#[actix_web::test]
async fn the_transcript_comes_with_an_event_of_its_own() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    let files = vec![
        NewFile::new(FileKind::Mp4, 1_000, 1),
        NewFile::new(FileKind::Transcript, 1_000, 4),
    ];
    let meeting = world.recording(&user, files);
    let selection = FileSelection::default();
    world
        .sim()
        .finish_recording(&meeting.uuid, &selection)
        .await
        .unwrap();
    world
        .sim()
        .finish_transcript(&meeting.uuid, &selection)
        .await
        .unwrap();
    let body = world.receiver.events()[1].json();
    assert_eq!(body["event"], "recording.transcript_completed");
    assert!(body["download_token"].is_string());
    let files = body["payload"]["object"]["recording_files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(
        (
            files[0]["file_type"].as_str(),
            files[0]["file_extension"].as_str()
        ),
        (Some("TRANSCRIPT"), Some("VTT"))
    );
}

#[actix_web::test]
async fn a_recording_that_was_begun_again_is_told_twice_under_one_uuid() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    let meeting = world.finished(&user, 1_000).await;
    let more = domicile_zoomsim::NewRecording {
        meeting_uuid: Some(meeting.uuid.clone()),
        files: vec![NewFile::new(FileKind::M4a, 1_000, 9)],
        ..Default::default()
    };
    world.sim().create_recording(more).unwrap();
    world
        .sim()
        .finish_recording(&meeting.uuid, &FileSelection::default())
        .await
        .unwrap();
    let objects: Vec<Value> = world
        .receiver
        .events()
        .iter()
        .map(|got| got.json()["payload"]["object"].clone())
        .collect();
    assert_eq!(objects[0]["uuid"], objects[1]["uuid"]);
    assert_eq!(objects[0]["recording_files"][0]["file_type"], "MP4");
    assert_eq!(objects[1]["recording_files"][0]["file_type"], "M4A");
}

#[actix_web::test]
async fn only_apps_that_the_user_or_account_authorised_hear_of_it() {
    let world = world().await;
    let (mine, theirs) = (
        world.app(Usage::UserManaged).await,
        world.app(Usage::AdminManaged).await,
    );
    let admin = world.user();
    let colleague = NewUser {
        account_id: Some(admin.account_id.clone()),
        ..NewUser::default()
    };
    let colleague = world.sim().create_user(colleague).unwrap();
    world.install(&mine, &admin).await;
    world.install(&theirs, &admin).await;
    world.finished(&colleague, 1_000).await;
    world.finished(&world.user(), 1_000).await;
    let log = world.sim().webhook_log();
    assert_eq!(
        log.len(),
        1,
        "the account's app hears of the colleague, nobody of the stranger"
    );
    assert_eq!(log[0].client_id, theirs.client_id);
}

#[actix_web::test]
async fn any_2xx_is_delivered_and_anything_below_500_is_final() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    world.receiver.will_answer(&[204, 302, 400, 401, 404, 429]);
    for _ in 0..6 {
        world.finished(&user, 1_000).await;
    }
    let expected = [
        [DeliveryState::Delivered].as_slice(),
        &[DeliveryState::Refused; 5],
    ]
    .concat();
    assert_eq!(states(&world), expected);
    world.sim().advance(TimeDelta::hours(3)).await;
    assert_eq!(world.receiver.events().len(), 6);
}

#[actix_web::test]
async fn failures_are_sent_again_after_5_25_and_85_minutes_and_then_dropped() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    let refused = WebhookAnswer::ConnectionRefused;
    let answer = |status| WebhookAnswer::Answered {
        status,
        body: "".into(),
    };
    world
        .receiver
        .will(&[answer(503), WebhookAnswer::TimedOut, refused, answer(500)]);
    world.finished(&user, 1_000).await;
    for (minutes, tries) in [(4, 1), (1, 2), (19, 2), (1, 3), (59, 3), (1, 4), (600, 4)] {
        world.clock.forward(TimeDelta::minutes(minutes));
        world.sim().run_due().await;
        assert_eq!(
            world.receiver.events().len(),
            tries,
            "after {minutes} more minutes"
        );
    }
    let row = &world.sim().webhook_log()[0];
    assert_eq!(row.state, DeliveryState::Exhausted);
    let results: Vec<AttemptResult> = row.attempts.iter().map(|it| it.result).collect();
    assert_eq!(results, [Status(503), TimedOut, ConnectionRefused, Status(500)]);
}

#[actix_web::test]
async fn a_retry_has_the_same_id_body_and_signature() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    world.receiver.will_answer(&[503, 200]);
    world.finished(&user, 1_000).await;
    world.sim().advance(TimeDelta::minutes(5)).await;
    let events = world.receiver.events();
    assert_eq!(events[0].body, events[1].body);
    for header in [
        "x-zm-request-id",
        "x-zm-signature",
        "x-zm-request-timestamp",
        "x-zm-trackingid",
    ] {
        assert_eq!(events[0].header(header), events[1].header(header), "{header}");
    }
    assert_eq!(states(&world), [DeliveryState::Delivered]);
}

#[actix_web::test]
async fn retry_now_does_not_wait() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    world.receiver.will_answer(&[503]);
    world.finished(&user, 1_000).await;
    assert_eq!(world.sim().retry_now().await.attempts, 1);
    assert_eq!(states(&world), [DeliveryState::Delivered]);
}

#[actix_web::test]
async fn a_subscription_is_saved_only_after_its_challenge() {
    let world = world().await;
    world.receiver.fail_challenges(true);
    let url = Url::parse("http://localhost:9/zoom/events").unwrap();
    let new = NewApp {
        subscriptions: vec![NewSubscription::new(url.clone(), SECRET)],
        ..NewApp::default()
    };
    let refused = world.sim().create_app(new).await;
    assert!(matches!(refused, Err(ControlError::Challenge(_))));
    assert!(world.sim().apps().is_empty());
    world.receiver.fail_challenges(false);
    let app = world.sim().create_app(NewApp::default()).await.unwrap();
    let wrong = NewSubscription::new(url.clone(), "not the receiver's");
    assert!(matches!(
        world.sim().add_subscription(&app.client_id, wrong).await,
        Err(ControlError::Challenge(_))
    ));
    world
        .sim()
        .add_subscription(&app.client_id, NewSubscription::new(url, SECRET))
        .await
        .unwrap();

    let challenge = &world.receiver.challenges()[0];
    assert!(challenge.is_signed(SECRET));
    assert_eq!(challenge.json()["event"], "endpoint.url_validation");
    assert!(challenge.json()["event_ts"].is_i64());
    let outside =
        NewSubscription::new(Url::parse("https://example.com/").unwrap(), SECRET).without_challenge();
    assert!(matches!(
        world.sim().add_subscription(&app.client_id, outside).await,
        Err(ControlError::Invalid(_))
    ));
}

#[actix_web::test]
async fn challenges_come_every_72_hours_and_six_failures_in_a_row_disable() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let user = world.user();
    world.install(&app, &user).await;
    assert_eq!(world.receiver.challenges().len(), 1);
    world.sim().advance(TimeDelta::hours(71)).await;
    assert_eq!(world.receiver.challenges().len(), 1);
    world.sim().advance(TimeDelta::hours(1)).await;
    assert_eq!(world.receiver.challenges().len(), 2);

    world.receiver.fail_challenges(true);
    let subscription = || world.sim().app(&app.client_id).unwrap().subscriptions.remove(0);
    for (failed, mails) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        world.sim().advance(TimeDelta::hours(72)).await;
        assert_eq!(
            (subscription().failed_challenges, subscription().owner_mails.len()),
            (failed, mails)
        );
        assert!(subscription().enabled);
    }
    world.sim().advance(TimeDelta::hours(72)).await;
    assert!(!subscription().enabled);
    world.finished(&user, 1_000).await;
    assert_eq!(states(&world), [DeliveryState::Suppressed]);
    assert!(world.receiver.events().is_empty());

    assert!(
        world
            .sim()
            .validate_subscription(&subscription().id)
            .await
            .is_err()
    );
    world.receiver.fail_challenges(false);
    world
        .sim()
        .validate_subscription(&subscription().id)
        .await
        .unwrap();
    world.finished(&user, 1_000).await;
    assert_eq!(world.receiver.events().len(), 1);
}

#[actix_web::test]
async fn one_success_ends_the_row_of_failures() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    for fails in [true, true, true, true, true, false, true] {
        world.receiver.fail_challenges(fails);
        world.sim().advance(TimeDelta::hours(72)).await;
    }
    let subscription = world.sim().app(&app.client_id).unwrap().subscriptions.remove(0);
    assert_eq!((subscription.enabled, subscription.failed_challenges), (true, 1));
}

#[actix_web::test]
async fn the_time_scale_shortens_waits_and_leaves_time_stamps_true() {
    let mut world = world().await;
    let settings = ZoomsimSettings {
        clock: world.clock.clone(),
        sender: Some(world.receiver.clone()),
        time_scale: 60.0,
        restamp_retries: true,
        ..ZoomsimSettings::default()
    };
    world.zoomsim = Zoomsim::start(settings).await.unwrap();
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    world.receiver.will_answer(&[503]);
    world.finished(&user, 1_000).await;
    world.clock.forward(TimeDelta::seconds(5));
    assert_eq!(world.sim().run_due().await.attempts, 1);
    let events = world.receiver.events();
    assert_eq!(events[1].header("x-zm-request-timestamp"), "1795341605");
    assert!(events[1].is_signed(SECRET), "a fresh stamp has a fresh signature");
}

#[actix_web::test]
async fn trash_recovery_and_deletion_are_told_with_their_operator() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    let meeting = world.finished(&user, 1_000).await;
    let selection = FileSelection::default();
    world.sim().trash_files(&meeting.uuid, &selection).await.unwrap();
    world
        .sim()
        .recover_files(&meeting.uuid, &selection)
        .await
        .unwrap();
    world.sim().delete_files(&meeting.uuid, &selection).await.unwrap();
    let bodies: Vec<Value> = world.receiver.events().iter().skip(1).map(Got::json).collect();
    for (body, (event, has_token)) in bodies.iter().zip([
        ("recording.trashed", true),
        ("recording.recovered", true),
        ("recording.deleted", false),
    ]) {
        assert_eq!(body["event"], event);
        assert_eq!(body["payload"]["operator"], user.email);
        assert_eq!(body["payload"]["operator_id"], user.id);
        assert_eq!(body["download_token"].is_string(), has_token, "{event}");
        assert_eq!(
            body["payload"]["object"]["recording_files"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[actix_web::test]
async fn removing_the_app_ends_tokens_and_is_told() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let tokens = world.install(&app, &user).await;
    world.sim().deauthorize(&app.client_id, &user.id).await.unwrap();
    let payload = world.receiver.events()[0].json()["payload"].clone();
    assert_eq!(payload["client_id"], app.client_id);
    assert_eq!(
        (&payload["user_id"], &payload["account_id"]),
        (&user.id.into(), &user.account_id.into())
    );
    assert_eq!(payload["deauthorization_time"], "2026-11-22T10:00:00Z");
    assert!(payload["signature"].is_string() && payload["event_ts"].is_i64());
    assert_eq!(
        world
            .get("v2/users/me", tokens["access_token"].as_str().unwrap())
            .await
            .status,
        401
    );
    assert!(world.sim().grants().is_empty());
}

#[actix_web::test]
async fn the_end_of_a_user_is_told() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    world
        .sim()
        .set_user_status(&user.id, UserStatus::Inactive)
        .await
        .unwrap();
    let body = world.receiver.events()[0].json();
    assert_eq!(
        (body["event"].as_str(), &body["payload"]["object"]["id"]),
        (Some("user.deactivated"), &user.id.into())
    );
}

#[actix_web::test]
async fn every_event_can_be_composed_by_name() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    let meeting = world.finished(&user, 1_000).await;
    for event in EVENTS {
        let order = SendEvent {
            event: (*event).to_owned(),
            meeting_uuid: Some(meeting.uuid.clone()),
            user_id: Some(user.id.clone()),
            client_id: Some(app.client_id.clone()),
            ..SendEvent::default()
        };
        let rows = world.sim().send_event(order).await.unwrap();
        assert_eq!(rows.len(), 1, "{event}");
        let body: Value = serde_json::from_str(&rows[0].body).unwrap();
        assert_eq!(body["event"], *event);
        assert!(
            body["payload"]["account_id"] == user.account_id.as_str(),
            "{event}"
        );
    }
    let bodies: Vec<Value> = world.receiver.events().iter().map(Got::json).collect();
    let of = |event: &str| bodies.iter().find(|body| body["event"] == event).unwrap()["payload"].clone();
    assert_eq!(
        of("recording.started")["object"]["recording_file"]["recording_end"],
        Value::Null
    );
    assert!(of("recording.stopped")["object"]["recording_file"]["recording_end"].is_string());
    assert!(of("recording.renamed")["old_object"]["topic"].is_string());
    assert_eq!(
        of("recording.batch_trashed")["operation"],
        "trash_user_recordings"
    );
    assert_eq!(
        of("recording.batch_trashed")["object"]["meeting_uuids"][0],
        meeting.uuid
    );
    assert_eq!(
        of("recording.batch_deleted")["object"]["meetings"][0]["recording_file_ids"][0],
        meeting.files[0].id
    );
    assert!(of("meeting.ended")["object"]["id"].is_string());
    assert!(of("meeting.ended")["object"]["end_time"].is_string());
}

#[actix_web::test]
async fn bodies_of_the_callers_own_may_be_signed_wrongly() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let send = async |signature, offset, raw: &str| {
        let order = SendEvent {
            event: "some.event".into(),
            client_id: Some(app.client_id.clone()),
            raw_body: Some(raw.into()),
            signature,
            timestamp_offset_seconds: offset,
            ..SendEvent::default()
        };
        world.sim().send_event(order).await.unwrap();
        world.receiver.events().pop().unwrap()
    };
    let good = send(SignatureMode::Good, -7_200, "not json").await;
    assert!(good.is_signed(SECRET));
    assert_eq!(
        (good.body.as_str(), good.header("x-zm-request-timestamp")),
        ("not json", "1795334400")
    );
    assert!(!send(SignatureMode::WrongSecret, 0, "{}").await.is_signed(SECRET));
    assert!(!send(SignatureMode::TamperedBody, 0, "{}").await.is_signed(SECRET));
    assert_eq!(
        send(SignatureMode::Missing, 0, "{}")
            .await
            .header("x-zm-signature"),
        ""
    );
}

/// A receiver over a real socket: its port, and what it does.
fn receiver(answer: fn() -> HttpResponse) -> (u16, actix_web::dev::ServerHandle) {
    let server = HttpServer::new(move || {
        App::new()
            .route(
                "/zoom/events",
                web::post().to(move || std::future::ready(answer())),
            )
            .route(
                "/silent",
                web::post().to(async || std::future::pending::<HttpResponse>().await),
            )
            .route("/elsewhere", web::post().to(async || HttpResponse::Ok()))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let port = server.addrs()[0].port();
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (port, handle)
}

async fn result_over_a_socket(path: &str, port: u16) -> AttemptResult {
    let settings = ZoomsimSettings {
        // Short where an answer never comes; a busy machine may take its time for one that does.
        webhook_limit: match path {
            "/silent" => Duration::from_millis(300),
            _ => Duration::from_secs(60),
        },
        ..ZoomsimSettings::default()
    };
    let zoomsim = Zoomsim::start(settings).await.unwrap();
    let url = Url::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap();
    let subscription = NewSubscription::new(url, SECRET).without_challenge();
    let new = NewApp {
        subscriptions: vec![subscription],
        ..NewApp::default()
    };
    zoomsim.sim().create_app(new).await.unwrap();
    let user = zoomsim.sim().create_user(NewUser::default()).unwrap();
    let meeting = domicile_zoomsim::NewMeeting {
        host_id: user.id,
        ..Default::default()
    };
    let recording = domicile_zoomsim::NewRecording {
        meeting: Some(meeting),
        ..Default::default()
    };
    let meeting = zoomsim.sim().create_recording(recording).unwrap();
    let rows = zoomsim.sim().finish_recording(&meeting.uuid, &ALL).await.unwrap();
    zoomsim.shutdown().await;
    rows[0].attempts[0].result
}

#[actix_web::test]
async fn over_sockets_answers_silence_redirects_and_closed_ports_are_told_apart() {
    let (port, handle) = receiver(|| {
        HttpResponse::Found()
            .insert_header(("location", "/elsewhere"))
            .finish()
    });
    assert_eq!(
        result_over_a_socket("/zoom/events", port).await,
        AttemptResult::Status(302)
    );
    assert_eq!(
        result_over_a_socket("/elsewhere", port).await,
        AttemptResult::Status(200)
    );
    assert_eq!(
        result_over_a_socket("/silent", port).await,
        AttemptResult::TimedOut
    );
    handle.stop(false).await;
    assert_eq!(
        result_over_a_socket("/elsewhere", port).await,
        AttemptResult::ConnectionRefused
    );
}
