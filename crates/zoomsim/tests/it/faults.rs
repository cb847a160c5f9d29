//! Ordered faults, one by one.

use awc::error::{ConnectError, SendRequestError};
use domicile_zoomsim::{FaultKind, FileKind, NewFault, NewFile, RetryAfterForm, Target, Usage};
use serde_json::Value;

use crate::downloads::{bytes, bytes_with, recorded, redirect};
use crate::support::{World, encoded, world};

fn order(world: &World, target: Target, fault: FaultKind) {
    world.sim().order_fault(NewFault::once(target, fault)).unwrap();
}

async fn token(world: &World) -> String {
    let app = world.app(Usage::UserManaged).await;
    world.install(&app, &world.user()).await["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[actix_web::test]
async fn each_form_of_retry_after_is_sent() {
    let world = world().await;
    let token = token(&world).await;
    let limited = |retry_after| FaultKind::RateLimited {
        retry_after,
        seconds: 90,
    };
    for (form, header, text) in [
        (RetryAfterForm::None, "", "per-second"),
        (RetryAfterForm::Seconds, "90", "daily"),
        (RetryAfterForm::HttpDate, "Sun, 22 Nov 2026 10:01:30 GMT", "daily"),
        (RetryAfterForm::IsoDateTime, "2026-11-22T10:01:30Z", "daily"),
    ] {
        order(&world, Target::Users, limited(form));
        let answer = world.get("v2/users/me", &token).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, header));
        assert!(answer.json["message"].as_str().unwrap().contains(text));
        assert_eq!(world.get("v2/users/me", &token).await.status, 200, "once only");
    }
}

#[actix_web::test]
async fn api_errors_have_zooms_status_and_code() {
    let world = world().await;
    let token = token(&world).await;
    for (fault, status, code) in [
        (FaultKind::Unauthorized, 401, 124),
        (FaultKind::NotFound, 404, 3301),
        (FaultKind::Forbidden, 403, 200),
        (FaultKind::ServerError { status: 503 }, 503, 500),
    ] {
        order(&world, Target::UserRecordings, fault);
        let answer = world.get("v2/users/me/recordings", &token).await;
        assert_eq!((answer.status, answer.code()), (status, code));
    }
}

#[actix_web::test]
async fn a_fault_is_counted_and_strikes_only_its_user() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let (one, two) = (world.user(), world.user());
    let access = async |user| {
        world.install(&app, user).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (first, second) = (access(&one).await, access(&two).await);
    let fault = NewFault::once(Target::Users, FaultKind::ServerError { status: 500 })
        .times(2)
        .for_user(&one.id);
    world.sim().order_fault(fault).unwrap();
    assert_eq!(world.get("v2/users/me", &second).await.status, 200);
    assert_eq!(world.get("v2/users/me", &first).await.status, 500);
    assert_eq!(world.sim().faults()[0].remaining, 1);
    assert_eq!(world.get("v2/users/me", &first).await.status, 500);
    assert_eq!(world.get("v2/users/me", &first).await.status, 200);
    assert!(world.sim().faults().is_empty());
}

#[actix_web::test]
async fn a_lost_token_answer_has_rotated_the_token() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let tokens = world.install(&app, &world.user()).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    order(&world, Target::Token, FaultKind::LostAnswer);
    let lost = world
        .http
        .post(world.url("oauth/token"))
        .basic_auth(&app.client_id, &app.client_secret)
        .send_form(&[("grant_type", "refresh_token"), ("refresh_token", refresh)])
        .await;
    let is_cut = matches!(
        lost,
        Err(SendRequestError::Response(_)
            | SendRequestError::Send(_)
            | SendRequestError::Connect(ConnectError::Disconnected))
    );
    assert!(is_cut, "{lost:?}");
    let again = world.refresh(&app, refresh).await;
    assert_eq!(
        (again.status, again.json["error"].as_str()),
        (400, Some("invalid_grant"))
    );
}

#[actix_web::test]
async fn other_faults_of_the_token_endpoint_leave_the_token_alone() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let tokens = world.install(&app, &world.user()).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    for (fault, status, error) in [
        (FaultKind::ServerError { status: 502 }, 502, None),
        (FaultKind::Unauthorized, 400, Some("invalid_client")),
        (FaultKind::InvalidGrant, 400, Some("invalid_grant")),
        (
            FaultKind::InvalidGrantCode { code: 4738 },
            400,
            Some("invalid_grant"),
        ),
    ] {
        let code = match fault {
            FaultKind::InvalidGrantCode { code } => Some(code.into()),
            // The body of the API's own errors.
            FaultKind::ServerError { .. } => Some(500),
            _ => None,
        };
        order(&world, Target::Token, fault);
        let answer = world.refresh(&app, refresh).await;
        assert_eq!((answer.status, answer.json["error"].as_str()), (status, error));
        assert_eq!(answer.json["code"].as_u64(), code);
    }
    assert_eq!(world.refresh(&app, refresh).await.status, 200);
}

#[actix_web::test]
async fn a_connection_that_ends_before_anything_is_done_leaves_the_token_alone() {
    let world = world().await;
    let app = world.app(Usage::UserManaged).await;
    let tokens = world.install(&app, &world.user()).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    order(&world, Target::Token, FaultKind::HangUp);
    let cut = world
        .http
        .post(world.url("oauth/token"))
        .basic_auth(&app.client_id, &app.client_secret)
        .send_form(&[("grant_type", "refresh_token"), ("refresh_token", refresh)])
        .await;
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(world.refresh(&app, refresh).await.status, 200);
}

#[actix_web::test]
async fn a_slow_answer_is_right_and_late() {
    let world = world().await;
    let token = token(&world).await;
    order(&world, Target::Users, FaultKind::Slow { millis: 60_000 });
    let slow = world
        .http
        .get(world.url("v2/users/me"))
        .bearer_auth(&token)
        .timeout(std::time::Duration::from_millis(200));
    assert!(matches!(slow.send().await, Err(SendRequestError::Timeout)));
    order(&world, Target::Users, FaultKind::Slow { millis: 1 });
    assert_eq!(world.get("v2/users/me", &token).await.status, 200);
}

#[actix_web::test]
async fn an_html_page_with_status_200_stands_in_for_a_file() {
    let world = world().await;
    let (_, meeting, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 100_000, 1)).await;
    let fault = NewFault::once(Target::Download, FaultKind::HtmlPage).for_file(&meeting.files[0].id);
    world.sim().order_fault(fault).unwrap();
    let page = redirect(&world, &url, &token).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html;charset=utf-8")
    );
    order(&world, Target::Media, FaultKind::HtmlPage);
    let page = bytes(&world, redirect(&world, &url, &token).await.header("location")).await;
    assert!(page.body.unwrap().starts_with(b"<!DOCTYPE html>"));
}

#[actix_web::test]
async fn a_download_leads_out_of_zoom() {
    let world = world().await;
    let (_, _, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 100_000, 1)).await;
    let away = FaultKind::Redirected {
        to: "https://elsewhere.example/file.mp4".to_owned(),
    };
    order(&world, Target::Download, away);
    let answer = redirect(&world, &url, &token).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "https://elsewhere.example/file.mp4")
    );
    let next = redirect(&world, &url, &token).await;
    assert!(
        next.header("location").starts_with("http://127.0.0.1"),
        "once only"
    );
}

#[actix_web::test]
async fn a_truncated_body_breaks_its_length_or_ends_without_one() {
    let world = world().await;
    let (_, _, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 300_000, 1)).await;
    let to = redirect(&world, &url, &token).await.header("location").to_owned();
    order(
        &world,
        Target::Media,
        FaultKind::Truncated {
            at_bytes: 100_000,
            content_length: true,
        },
    );
    let broken = bytes(&world, &to).await;
    assert_eq!(broken.content_length, Some(300_000));
    // The client library takes the closed connection for an end; what counts is that bytes are missing.
    assert!(broken.body.is_err() || broken.body.is_ok_and(|body| body.len() <= 100_000));
    order(
        &world,
        Target::Media,
        FaultKind::Truncated {
            at_bytes: 100_000,
            content_length: false,
        },
    );
    let short = bytes(&world, &to).await;
    assert_eq!((short.content_length, short.body.unwrap().len()), (None, 100_000));
    assert_eq!(bytes(&world, &to).await.body.unwrap().len(), 300_000);
}

#[actix_web::test]
async fn a_stalled_body_goes_on_and_is_whole() {
    let world = world().await;
    let (_, meeting, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 300_000, 1)).await;
    let to = redirect(&world, &url, &token).await.header("location").to_owned();
    order(
        &world,
        Target::Media,
        FaultKind::Stalled {
            at_bytes: 100_001,
            millis: 5,
        },
    );
    let download = bytes(&world, &to).await;
    assert_eq!(
        download.sha256(),
        world.sim().digests(&meeting.uuid).await.unwrap()[0].sha256
    );
}

#[actix_web::test]
async fn the_second_host_may_want_the_bearer_or_refuse_it() {
    let world = world().await;
    let (_, _, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 3_000, 1)).await;
    let to = redirect(&world, &url, &token).await.header("location").to_owned();
    let bearer = [("authorization", "Bearer x")];
    order(&world, Target::Media, FaultKind::BearerDemanded);
    assert_eq!(bytes(&world, &to).await.status, 403);
    order(&world, Target::Media, FaultKind::BearerDemanded);
    assert_eq!(bytes_with(&world, &to, &bearer).await.status, 200);
    order(&world, Target::Media, FaultKind::BearerRefused);
    assert_eq!(bytes_with(&world, &to, &bearer).await.status, 403);
    order(&world, Target::Media, FaultKind::NoContentLength);
    assert_eq!(bytes(&world, &to).await.content_length, None);
}

#[actix_web::test]
async fn a_duplicate_is_the_same_bytes_or_has_other_urls_and_token() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    order(
        &world,
        Target::Webhook,
        FaultKind::DuplicateDelivery { fresh_urls: false },
    );
    world.finished(&user, 1_000).await;
    order(
        &world,
        Target::Webhook,
        FaultKind::DuplicateDelivery { fresh_urls: true },
    );
    world.finished(&user, 1_000).await;
    let events = world.receiver.events();
    assert_eq!(events.len(), 4);
    assert_eq!(events[0].body, events[1].body);
    assert_eq!(
        events[0].header("x-zm-request-id"),
        events[1].header("x-zm-request-id")
    );
    let (one, two) = (events[2].json(), events[3].json());
    let file = |body: &Value, field: &str| body["payload"]["object"]["recording_files"][0][field].clone();
    assert_eq!(file(&one, "id"), file(&two, "id"));
    assert_ne!(file(&one, "download_url"), file(&two, "download_url"));
    assert_ne!(one["download_token"], two["download_token"]);
    assert_ne!(
        events[2].header("x-zm-request-id"),
        events[3].header("x-zm-request-id")
    );
}

#[actix_web::test]
async fn a_second_event_may_bring_other_bytes_for_the_same_file() {
    let world = world().await;
    order(&world, Target::Webhook, FaultKind::DifferentBody);
    let (_, meeting, _, _) = recorded(&world, NewFile::new(FileKind::Mp4, 50_000, 1)).await;
    let events = world.receiver.events();
    assert_eq!(events.len(), 2);
    let mut digests = Vec::new();
    for event in &events {
        let body = event.json();
        let file = &body["payload"]["object"]["recording_files"][0];
        assert_eq!(file["id"], meeting.files[0].id);
        let (url, token) = (
            file["download_url"].as_str().unwrap(),
            body["download_token"].as_str().unwrap(),
        );
        let to = redirect(&world, url, token).await.header("location").to_owned();
        digests.push(bytes(&world, &to).await.sha256());
    }
    assert_ne!(digests[0], digests[1]);
    for (variant, digest) in (0..).zip(&digests) {
        let told = world
            .sim()
            .digest(&meeting.files[0].id, Some(variant))
            .await
            .unwrap();
        assert_eq!(told.sha256, *digest);
    }
    assert_eq!(
        world.sim().digests(&meeting.uuid).await.unwrap()[0].sha256,
        digests[1],
        "the newest is served now"
    );
}

#[actix_web::test]
async fn a_late_event_carries_an_expired_download_token() {
    let world = world().await;
    order(
        &world,
        Target::Webhook,
        FaultKind::LateDelivery { seconds: 25 * 3600 },
    );
    let (_, _, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 5_000, 1)).await;
    let event = &world.receiver.events()[0];
    assert_eq!(event.json()["event_ts"], 1_795_341_600_000_i64 - 25 * 3_600_000);
    assert_eq!(
        event.header("x-zm-request-timestamp"),
        "1795341600",
        "it is signed when it is sent"
    );
    assert_eq!(redirect(&world, &url, &token).await.status, 401);
}

#[actix_web::test]
async fn an_event_may_be_held_lost_or_without_token() {
    let world = world().await;
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    order(&world, Target::Webhook, FaultKind::HeldDelivery { seconds: 600 });
    world.finished(&user, 1_000).await;
    assert!(world.receiver.events().is_empty());
    world.sim().advance(chrono::TimeDelta::minutes(10)).await;
    assert_eq!(world.receiver.events().len(), 1);
    let lost = NewFault::once(Target::Webhook, FaultKind::LostDelivery).for_event("recording.completed");
    world.sim().order_fault(lost).unwrap();
    world.finished(&user, 1_000).await;
    assert_eq!(world.receiver.events().len(), 1);
    order(&world, Target::Webhook, FaultKind::NoDownloadToken);
    world.finished(&user, 1_000).await;
    assert!(world.receiver.events()[1].json().get("download_token").is_none());
}

#[actix_web::test]
async fn recordings_of_a_meeting_can_fail_too() {
    let world = world().await;
    let token = token(&world).await;
    let meeting = world.finished(&world.user(), 1_000).await;
    let mut fault = NewFault::once(Target::MeetingRecordings, FaultKind::NotFound);
    fault.meeting_uuid = Some(meeting.uuid.clone());
    world.sim().order_fault(fault).unwrap();
    let path = format!("v2/meetings/{}/recordings", encoded(&encoded(&meeting.uuid)));
    assert_eq!(world.get(&path, &token).await.code(), 3301);
    assert!(world.sim().faults().is_empty());
}

#[test]
fn orders_that_do_not_fit_together_are_refused() {
    let wrong = [
        (Target::Token, FaultKind::HtmlPage),
        (Target::Users, FaultKind::LostDelivery),
        (Target::Webhook, FaultKind::Unauthorized),
        (Target::Download, FaultKind::NoContentLength),
        (Target::Users, FaultKind::InvalidGrant),
        (Target::Users, FaultKind::ServerError { status: 404 }),
        (
            Target::Users,
            FaultKind::Redirected {
                to: "https://a.example/".to_owned(),
            },
        ),
        (
            Target::Download,
            FaultKind::Redirected {
                to: "/nowhere".to_owned(),
            },
        ),
    ];
    actix_web::rt::System::new().block_on(async {
        let world = world().await;
        for (target, fault) in wrong {
            assert!(world.sim().order_fault(NewFault::once(target, fault)).is_err());
        }
        assert!(
            world
                .sim()
                .order_fault(NewFault::once(Target::Users, FaultKind::NotFound).times(0))
                .is_err()
        );
    });
}
