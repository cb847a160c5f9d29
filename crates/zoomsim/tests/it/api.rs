//! The API: users, recordings of a meeting and of a user, pages, changes.

use chrono::TimeDelta;
use domicile_kernel::Clock;
use domicile_zoomsim::{
    App, FileKind, FileSelection, FileState, NewApp, NewFile, NewMeeting, NewUser, Usage, User,
};
use serde_json::json;

use crate::downloads::redirect;
use crate::support::{REDIRECT, World, encoded, read, world};

async fn access(world: &World, app: &App, user: &User) -> String {
    world.install(app, user).await["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[actix_web::test]
async fn users_me_tells_who_authorised() {
    let world = world().await;
    let user = world
        .sim()
        .create_user(NewUser {
            cluster: Some("eu01".into()),
            ..NewUser::default()
        })
        .unwrap();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    let answer = world.get("v2/users/me", &token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&answer.json["id"], &answer.json["account_id"]),
        (&user.id.clone().into(), &user.account_id.into())
    );
    assert_eq!(answer.json["cluster"], "eu01");
    assert_eq!(
        answer.json["jid"],
        format!("{}@xmpp.zoom.us", user.id.to_lowercase())
    );
    assert_eq!(answer.header("x-ratelimit-category"), "Light");
    assert_eq!(answer.header("x-ratelimit-type"), "QPS");
    assert_eq!(answer.header("x-ratelimit-remaining"), "79");
    assert!(answer.header("x-zm-trackingid").starts_with("WEB_"));
}

#[actix_web::test]
async fn a_user_managed_token_must_say_me_and_an_admins_may_name_users() {
    let world = world().await;
    let admin = world.user();
    let colleague = NewUser {
        account_id: Some(admin.account_id.clone()),
        ..NewUser::default()
    };
    let colleague = world.sim().create_user(colleague).unwrap();
    let own = access(&world, &world.app(Usage::UserManaged).await, &admin).await;
    let all = access(&world, &world.app(Usage::AdminManaged).await, &admin).await;
    let answer = world.get(&format!("v2/users/{}", admin.id), &own).await;
    assert_eq!((answer.status, answer.code()), (401, 4700));
    assert_eq!(
        world.get(&format!("v2/users/{}", colleague.id), &all).await.json["email"],
        colleague.email
    );
    assert_eq!(
        world
            .get(&format!("v2/users/{}", encoded(&colleague.email)), &all)
            .await
            .status,
        200
    );
    assert_eq!(world.get("v2/users/me", &all).await.json["id"], admin.id);
    let stranger = world.get(&format!("v2/users/{}", world.user().id), &all).await;
    assert_eq!((stranger.status, stranger.code()), (404, 1001));
}

#[actix_web::test]
async fn tokens_expire_and_scopes_are_asked_for() {
    let world = world().await;
    let new = NewApp {
        redirect_uris: vec![REDIRECT.into()],
        scopes: vec!["cloud_recording:read:recording".into()],
        ..NewApp::default()
    };
    let app = world.sim().create_app(new).await.unwrap();
    let token = access(&world, &app, &world.user()).await;
    let answer = world.get("v2/users/me", &token).await;
    assert_eq!((answer.status, answer.code()), (400, 4711));
    assert!(
        answer.json["message"]
            .as_str()
            .unwrap()
            .contains("user:read:user")
    );
    world.clock.forward(TimeDelta::hours(1));
    let answer = world.get("v2/users/me", &token).await;
    assert_eq!((answer.status, answer.code()), (401, 124));
    assert_eq!(world.get("v2/users/me", "nonsense").await.code(), 124);
    assert_eq!(
        read(world.http.get(world.url("v2/users/me")).send().await.unwrap())
            .await
            .status,
        401
    );
    assert_eq!(world.get("v2/phone/numbers", &token).await.status, 404);
}

#[actix_web::test]
async fn a_meeting_is_found_by_number_and_by_uuid_encoded_once_or_twice() {
    let world = world().await;
    let user = world.user();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    let get = async |segment: &str| {
        world
            .get(&format!("v2/meetings/{segment}/recordings"), &token)
            .await
    };
    for (uuid, once_is_enough) in [("ab/c+d==", true), ("/abc+d==", false), ("ab//cd==", false)] {
        let meeting = NewMeeting {
            host_id: user.id.clone(),
            uuid: Some(uuid.into()),
            ..NewMeeting::default()
        };
        let meeting = world.recording_of(meeting, vec![NewFile::new(FileKind::Mp4, 1_000, 1)]);
        let before = get(&encoded(&encoded(uuid))).await;
        assert_eq!((before.status, before.code()), (404, 3301), "not ready yet");
        world
            .sim()
            .finish_recording(uuid, &FileSelection::default())
            .await
            .unwrap();
        let answer = get(&encoded(&encoded(uuid))).await;
        assert_eq!((answer.status, &answer.json["uuid"]), (200, &uuid.into()));
        assert!(answer.json["id"].is_i64() && answer.json["type"].is_string());
        let once = get(&encoded(uuid)).await;
        assert_eq!(once.status == 200, once_is_enough, "{uuid}");
        assert_eq!(get(&meeting.id.to_string()).await.json["uuid"], uuid);
    }
    let missing = get("12345").await;
    assert_eq!((missing.status, missing.code()), (404, 3001));
}

#[actix_web::test]
async fn a_number_means_the_latest_instance() {
    let world = world().await;
    let user = world.user();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    let start = "2026-11-20T10:00:00Z".parse().ok();
    let older = NewMeeting {
        host_id: user.id.clone(),
        id: Some(777),
        start_time: start,
        ..NewMeeting::default()
    };
    world.recording_of(older, vec![]);
    let newer = NewMeeting {
        host_id: user.id.clone(),
        id: Some(777),
        ..NewMeeting::default()
    };
    let newer = world.recording_of(newer, vec![]);
    world
        .sim()
        .finish_recording(&newer.uuid, &FileSelection::default())
        .await
        .unwrap();
    assert_eq!(
        world.get("v2/meetings/777/recordings", &token).await.json["uuid"],
        newer.uuid
    );
}

#[actix_web::test]
async fn other_peoples_recordings_are_hidden() {
    let world = world().await;
    let (app, admins) = (
        world.app(Usage::UserManaged).await,
        world.app(Usage::AdminManaged).await,
    );
    let stranger = world.user();
    let (own, all) = (
        access(&world, &app, &stranger).await,
        access(&world, &admins, &stranger).await,
    );
    let meeting = world.finished(&world.user(), 1_000).await;
    let path = format!("v2/meetings/{}/recordings", encoded(&encoded(&meeting.uuid)));
    assert_eq!(world.get(&path, &own).await.code(), 3301);
    assert_eq!(world.get(&path, &all).await.code(), 1010);
}

#[actix_web::test]
async fn a_download_access_token_is_given_on_request_for_its_ttl() {
    let world = world().await;
    let user = world.user();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    let meeting = world.finished(&user, 1_000).await;
    let path = format!("v2/meetings/{}/recordings", encoded(&encoded(&meeting.uuid)));
    assert!(
        world
            .get(&path, &token)
            .await
            .json
            .get("download_access_token")
            .is_none()
    );
    let answer = world
        .get(
            &format!("{path}?include_fields=download_access_token&ttl=60"),
            &token,
        )
        .await
        .json;
    let (url, access) = (
        answer["recording_files"][0]["download_url"].as_str().unwrap(),
        answer["download_access_token"].as_str().unwrap(),
    );
    assert_eq!(redirect(&world, url, access).await.status, 302);
    world.clock.forward(TimeDelta::seconds(60));
    assert_eq!(redirect(&world, url, access).await.status, 401);
    let wrong = world
        .get(
            &format!("{path}?include_fields=download_access_token&ttl=604801"),
            &token,
        )
        .await;
    assert_eq!((wrong.status, wrong.code()), (400, 300));
}

#[actix_web::test]
async fn a_users_recordings_come_in_pages_whose_token_lives_fifteen_minutes() {
    let world = world().await;
    let user = world.user();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    for day in 1..=5 {
        let start_time = format!("2026-11-0{day}T10:00:00Z").parse().ok();
        let meeting = NewMeeting {
            host_id: user.id.clone(),
            start_time,
            ..NewMeeting::default()
        };
        let meeting = world.recording_of(meeting, vec![NewFile::new(FileKind::Mp4, 1_000, day)]);
        world
            .sim()
            .finish_recording(&meeting.uuid, &FileSelection::default())
            .await
            .unwrap();
    }
    world.recording(&user, vec![]);
    let list = async |query: &str| {
        world
            .get(&format!("v2/users/me/recordings?{query}"), &token)
            .await
    };
    let range = "from=2026-11-01&to=2026-11-30&page_size=2";
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let page = list(&format!("{range}&next_page_token={next}")).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("x-ratelimit-category"), "Medium");
        assert_eq!(
            (&page.json["total_records"], &page.json["page_count"]),
            (&json!(5), &json!(3))
        );
        seen.extend(
            page.json["meetings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["start_time"].as_str().unwrap().to_owned()),
        );
        next = page.json["next_page_token"].as_str().unwrap().to_owned();
        if next.is_empty() {
            break;
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
    let first = list(range).await.json["next_page_token"]
        .as_str()
        .unwrap()
        .to_owned();
    world.clock.forward(TimeDelta::minutes(15));
    let late = list(&format!("next_page_token={first}")).await;
    assert_eq!((late.status, late.code()), (400, 300));
    assert_eq!(
        list("from=2026-11-02&to=2026-11-03").await.json["total_records"],
        2
    );
    assert_eq!(list("").await.json["total_records"], 0, "today is the default");
    for wrong in [
        "from=2026-10-01&to=2026-11-02",
        "from=2026-11-03&to=2026-11-02",
        "page_size=301",
        "from=soon",
    ] {
        assert_eq!(list(wrong).await.status, 400, "{wrong}");
    }
}

#[actix_web::test]
async fn recordings_can_be_trashed_listed_recovered_and_deleted() {
    let world = world().await;
    let user = world.user();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    let meeting = world.finished(&user, 1_000).await;
    let base = format!("v2/meetings/{}/recordings", encoded(&encoded(&meeting.uuid)));
    let delete = async |path: &str| {
        world
            .http
            .delete(world.url(path))
            .bearer_auth(&token)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    let state = || world.sim().meeting(&meeting.uuid).unwrap().files[0].state;
    let trash =
        async || world.get("v2/users/me/recordings?trash=true", &token).await.json["total_records"].clone();
    assert_eq!(delete(&format!("{base}?action=burn")).await, 400);
    assert_eq!(delete(&format!("{base}?action=trash")).await, 204);
    assert_eq!((state(), trash().await), (FileState::Trashed, json!(1)));
    assert_eq!(world.get(&base, &token).await.code(), 3301);
    let recover = world
        .http
        .put(world.url(&format!("{base}/status")))
        .bearer_auth(&token);
    assert_eq!(
        recover
            .send_json(&json!({ "action": "recover" }))
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!((state(), trash().await), (FileState::Completed, json!(0)));
    assert_eq!(
        delete(&format!("{base}/{}?action=delete", meeting.files[0].id)).await,
        204
    );
    assert_eq!(state(), FileState::Deleted);
    assert_eq!(delete(&base).await, 404);
    let told: Vec<String> = world
        .sim()
        .webhook_log()
        .into_iter()
        .map(|row| row.event)
        .collect();
    assert_eq!(
        told,
        [
            "recording.completed",
            "recording.trashed",
            "recording.recovered",
            "recording.deleted"
        ]
    );
}

#[actix_web::test]
async fn the_transcript_has_an_endpoint() {
    let world = world().await;
    let user = world.user();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    let meeting = world.recording(&user, vec![NewFile::new(FileKind::Transcript, 1_000, 1)]);
    let path = format!("v2/meetings/{}/transcript", encoded(&encoded(&meeting.uuid)));
    let none = world.get(&path, &token).await;
    assert_eq!((none.status, none.code()), (404, 3322));
    world
        .sim()
        .finish_transcript(&meeting.uuid, &FileSelection::default())
        .await
        .unwrap();
    let answer = world.get(&path, &token).await.json;
    assert_eq!(answer["can_download"], true);
    assert_eq!(
        redirect(&world, answer["download_url"].as_str().unwrap(), &token)
            .await
            .status,
        302
    );
}

#[actix_web::test]
async fn a_meeting_is_read_by_its_number_by_its_host_alone() {
    let world = world().await;
    let (user, other) = (world.user(), world.user());
    let app = world.app(Usage::UserManaged).await;
    let (own, foreign) = (
        access(&world, &app, &user).await,
        access(&world, &app, &other).await,
    );
    let new = |topic: &str, hours_ago| NewMeeting {
        host_id: user.id.clone(),
        id: Some(81_234_567_890),
        topic: Some(topic.into()),
        start_time: Some(world.clock.now() - TimeDelta::hours(hours_ago)),
        ..NewMeeting::default()
    };
    world.sim().create_meeting(new("Last week's", 168)).unwrap();
    let latest = world.sim().create_meeting(new("Board", 1)).unwrap();
    let answer = world.get("v2/meetings/81234567890", &own).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["topic"], "Board");
    assert_eq!(answer.json["uuid"], latest.uuid);
    assert_eq!(answer.json["id"], 81_234_567_890_i64);
    assert_eq!(answer.json["host_email"], user.email);
    assert_eq!(answer.header("x-ratelimit-category"), "Light");
    for (segment, token) in [
        ("81234567890".to_owned(), &foreign),
        ("1".to_owned(), &own),
        (encoded(&latest.uuid), &own),
    ] {
        let answer = world.get(&format!("v2/meetings/{segment}"), token).await;
        assert_eq!((answer.status, answer.code()), (404, 3001), "{segment}");
    }
}

#[actix_web::test]
async fn a_users_meetings_are_listed_page_by_page_once_for_each_number() {
    let world = world().await;
    let user = world.user();
    let token = access(&world, &world.app(Usage::UserManaged).await, &user).await;
    for (number, hours_ago) in [(1, 9), (2, 5), (2, 2), (3, 1)] {
        let new = NewMeeting {
            host_id: user.id.clone(),
            id: Some(number),
            start_time: Some(world.clock.now() - TimeDelta::hours(hours_ago)),
            ..NewMeeting::default()
        };
        world.sim().create_meeting(new).unwrap();
    }
    let numbers = |json: &serde_json::Value| -> Vec<i64> {
        let rows = json["meetings"].as_array().unwrap().iter();
        rows.map(|row| row["id"].as_i64().unwrap()).collect()
    };
    let first = world.get("v2/users/me/meetings?page_size=2", &token).await;
    assert_eq!((first.status, numbers(&first.json)), (200, vec![1, 2]));
    assert_eq!(
        (&first.json["total_records"], &first.json["page_count"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(first.header("x-ratelimit-category"), "Medium");
    let next = first.json["next_page_token"].as_str().unwrap();
    let path = format!(
        "v2/users/me/meetings?page_size=2&next_page_token={}",
        encoded(next)
    );
    let second = world.get(&path, &token).await;
    assert_eq!(numbers(&second.json), [3]);
    assert_eq!(second.json["next_page_token"], "");
    let coming = world.get("v2/users/me/meetings?type=upcoming", &token).await;
    assert_eq!(coming.json["total_records"], 0);
    for wrong in ["page_size=0", "page_size=301", "type=all", "next_page_token=x"] {
        let answer = world.get(&format!("v2/users/me/meetings?{wrong}"), &token).await;
        assert_eq!((answer.status, answer.code()), (400, 300), "{wrong}");
    }
    world.clock.forward(TimeDelta::minutes(16));
    assert_eq!(
        world.get(&path, &token).await.code(),
        300,
        "a page token lives a quarter of an hour"
    );
}
