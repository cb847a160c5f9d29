//! The control API over HTTP.

use serde_json::{Value, json};

use crate::support::{Answer, REDIRECT, SECRET, World, encoded, query, read, world};

async fn post(world: &World, path: &str, body: Value) -> Answer {
    read(
        world
            .http
            .post(world.url(&format!("control/{path}")))
            .send_json(&body)
            .await
            .unwrap(),
    )
    .await
}

async fn get(world: &World, path: &str) -> Answer {
    read(
        world
            .http
            .get(world.url(&format!("control/{path}")))
            .send()
            .await
            .unwrap(),
    )
    .await
}

async fn delete(world: &World, path: &str) -> u16 {
    world
        .http
        .delete(world.url(&format!("control/{path}")))
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[actix_web::test]
async fn the_whole_story_can_be_told_over_http() {
    let world = world().await;
    let user = post(
        &world,
        "users",
        json!({ "first_name": "Grace", "cluster": "eu01" }),
    )
    .await;
    assert_eq!(user.status, 201);
    let user_id = user.json["id"].as_str().unwrap().to_owned();
    let app = post(
        &world,
        "apps",
        json!({
            "client_id": "client-1", "client_secret": "s3cret", "name": "My app", "redirect_uris": [REDIRECT],
            "subscriptions": [{ "url": "http://127.0.0.1:9/zoom/events", "secret_token": SECRET }],
        }),
    )
    .await;
    assert_eq!(app.status, 201, "{}", app.json);
    assert_eq!(app.json["usage"], "user_managed");

    let authorize = world.url("oauth/authorize?response_type=code&client_id=client-1&state=st&redirect_uri=");
    let order = json!({ "authorize_url": authorize + &encoded(REDIRECT), "user_id": user_id });
    let consent = post(&world, "consent", order).await;
    assert_eq!(consent.status, 200, "{}", consent.json);
    let back = url::Url::parse(consent.json["redirect_to"].as_str().unwrap()).unwrap();
    assert_eq!(query(&back, "state"), "st");
    let app = world.sim().app("client-1").unwrap();
    assert_eq!(world.redeem(&app, &query(&back, "code")).await.status, 200);
    assert_eq!(get(&world, "grants").await.json[0]["user_id"], user_id);

    let recording = json!({
        "meeting": { "host_id": user_id, "uuid": "/a//b+c==", "topic": "Planning" },
        "files": [{ "kind": "mp4", "size_bytes": 5000, "seed": 3 }, { "kind": "transcript", "content_length": false }],
    });
    let made = post(&world, "recordings", recording).await;
    assert_eq!(made.status, 201, "{}", made.json);
    assert_eq!(made.json["files"][0]["state"], "processing");
    let uuid = encoded("/a//b+c==");
    let told = post(&world, &format!("recordings/{uuid}/finish"), json!({})).await;
    assert_eq!(told.json[0]["state"], "delivered", "{}", told.json);
    assert_eq!(told.json[0]["attempts"][0]["result"], json!({ "status": 200 }));
    assert_eq!(
        post(&world, &format!("recordings/{uuid}/finish-transcript"), json!({}))
            .await
            .status,
        200
    );
    let files = get(&world, &format!("recordings/{uuid}/files")).await.json;
    assert_eq!(
        (
            files[0]["size_bytes"].as_u64(),
            files[0]["sha256"].as_str().unwrap().len()
        ),
        (Some(5_000), 64)
    );
    let file = get(
        &world,
        &format!("files/{}?variant=1", files[0]["file_id"].as_str().unwrap()),
    )
    .await
    .json;
    assert_ne!(file["sha256"], files[0]["sha256"]);

    let log = get(&world, "webhooks?event=recording.completed").await.json;
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert!(log[0]["body"].as_str().unwrap().contains("recording.completed"));
    for change in ["trash", "recover", "delete"] {
        assert_eq!(
            post(&world, &format!("recordings/{uuid}/{change}"), json!({}))
                .await
                .status,
            200,
            "{change}"
        );
    }
    let removed = post(
        &world,
        "deauthorize",
        json!({ "client_id": "client-1", "user_id": user_id }),
    )
    .await;
    assert_eq!(removed.json[0]["event"], "app_deauthorized");
    assert_eq!(
        post(
            &world,
            &format!("users/{user_id}/status"),
            json!({ "status": "deleted" })
        )
        .await
        .status,
        200
    );
}

#[actix_web::test]
async fn faults_are_ordered_listed_and_cancelled() {
    let world = world().await;
    let fault = json!({
        "target": "users", "fault": { "kind": "rate_limited", "retry_after": "iso_date_time", "seconds": 5 }, "times": 3,
    });
    let ordered = post(&world, "faults", fault).await;
    assert_eq!(
        (ordered.status, ordered.json["remaining"].as_u64()),
        (201, Some(3)),
        "{}",
        ordered.json
    );
    let id = ordered.json["id"].as_u64().unwrap();
    assert_eq!(
        get(&world, "faults").await.json[0]["fault"]["kind"],
        "rate_limited"
    );
    assert_eq!(delete(&world, &format!("faults/{id}")).await, 204);
    assert_eq!(delete(&world, &format!("faults/{id}")).await, 404);
    let wrong = post(
        &world,
        "faults",
        json!({ "target": "token", "fault": { "kind": "html_page" } }),
    )
    .await;
    assert_eq!(wrong.status, 400);
    assert_eq!(delete(&world, "faults").await, 204);
}

#[actix_web::test]
async fn mistakes_are_named() {
    let world = world().await;
    let typo = post(&world, "users", json!({ "frist_name": "Ada" })).await;
    assert_eq!(typo.status, 400);
    assert!(typo.json["error"].as_str().unwrap().contains("frist_name"));
    assert_eq!(post(&world, "recordings", json!({})).await.status, 400);
    assert_eq!(
        post(&world, "meetings", json!({ "host_id": "nobody" }))
            .await
            .status,
        404
    );
    assert_eq!(get(&world, "apps/nobody").await.status, 404);
    assert_eq!(
        post(&world, "recordings/none/finish", json!({})).await.status,
        404
    );
    assert_eq!(get(&world, "nothing").await.status, 404);
    let user = world.user();
    let again = post(&world, "users", json!({ "id": user.id })).await;
    assert_eq!(again.status, 409);
    let small = json!({ "meeting": { "host_id": user.id }, "files": [{ "kind": "mp4", "size_bytes": 3 }] });
    assert_eq!(post(&world, "recordings", small).await.status, 400);
    assert!(
        world.sim().meetings().is_empty(),
        "a refused recording leaves no meeting behind"
    );
    world.receiver.fail_challenges(true);
    let app = json!({ "subscriptions": [{ "url": "http://127.0.0.1:9/", "secret_token": SECRET }] });
    assert_eq!(post(&world, "apps", app).await.status, 422);
}

#[actix_web::test]
async fn the_clock_and_the_schedule_are_moved_over_http() {
    let world = world().await;
    let (app, user) = (
        world.app(domicile_zoomsim::Usage::UserManaged).await,
        world.user(),
    );
    world.install(&app, &user).await;
    world.receiver.will_answer(&[503, 503]);
    world.finished(&user, 1_000).await;
    let moved = post(&world, "clock/advance", json!({ "seconds": 300 }))
        .await
        .json;
    assert_eq!(
        (moved["attempts"].as_u64(), moved["now"].as_str()),
        (Some(1), Some("2026-11-22T10:05:00Z"))
    );
    assert_eq!(get(&world, "clock").await.json["now"], "2026-11-22T10:05:00Z");
    assert_eq!(
        post(&world, "webhooks/run-due", json!({})).await.json["attempts"],
        0
    );
    assert_eq!(
        post(&world, "webhooks/retry-now", json!({})).await.json["attempts"],
        1
    );
    let event = json!({ "event": "user.deleted", "user_id": user.id, "audience": "all" });
    assert_eq!(post(&world, "events", event).await.json[0]["state"], "delivered");
}

#[actix_web::test]
async fn subscriptions_are_added_validated_and_removed() {
    let world = world().await;
    let app = world
        .sim()
        .create_app(domicile_zoomsim::NewApp::default())
        .await
        .unwrap();
    let new = json!({ "url": "http://localhost:9/", "secret_token": SECRET, "events": ["meeting.ended"] });
    let saved = post(&world, &format!("apps/{}/subscriptions", app.client_id), new).await;
    assert_eq!(saved.status, 201);
    let id = saved.json["id"].as_str().unwrap();
    assert_eq!(
        post(&world, &format!("subscriptions/{id}/validate"), json!({}))
            .await
            .status,
        200
    );
    assert_eq!(delete(&world, &format!("subscriptions/{id}")).await, 204);
    assert_eq!(delete(&world, &format!("apps/{}", app.client_id)).await, 204);
    assert_eq!(get(&world, "apps").await.json, json!([]));
}

#[actix_web::test]
async fn reset_forgets_everything() {
    let world = world().await;
    let (app, user) = (
        world.app(domicile_zoomsim::Usage::UserManaged).await,
        world.user(),
    );
    world.install(&app, &user).await;
    world.finished(&user, 1_000).await;
    assert_eq!(
        world
            .http
            .post(world.url("control/reset"))
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    for list in ["apps", "users", "meetings", "grants", "webhooks", "faults"] {
        assert_eq!(get(&world, list).await.json, json!([]), "{list}");
    }
}
