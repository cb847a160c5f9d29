use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domicile_egress::Refusals;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::events::{TOPIC, api_answer, completed, mp4, video};
use super::media::{Seen, chunked, cut_off, page, redirect, whole};
use super::room::{Room, run_with};

pub(super) const SIZE: usize = 5_000;

/// A room in which one video of [`SIZE`] bytes at `/rec/a` was reported.
pub(super) async fn reported() -> Room {
    let room = Room::new().await;
    let url = room.media.url("127.0.0.1", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, SIZE)])).await;
    room
}

/// Answers API calls with the video at `/rec/api`, and downloads with `media`.
fn with_api(room: &Room, media: impl Fn(&Seen) -> HttpResponse + Send + Sync + 'static) {
    let url = room.media.url("127.0.0.1", "/rec/api");
    room.media.answers(move |seen| {
        if seen.is_api() {
            HttpResponse::Ok().json(api_answer(&[video("a", &url, SIZE)]))
        } else {
            media(seen)
        }
    });
}

pub(super) async fn assert_stored(room: &Room, bytes: &[u8]) {
    assert_eq!(room.files().await, ["a stored -"]);
    assert_eq!(room.jobs().await, [""; 0]);
    assert_eq!(room.stored().await, bytes);
    let row = room
        .rows("SELECT size_bytes, encode(sha256, 'hex'), content_type FROM recording_files")
        .await;
    let digest = hex::encode(Sha256::digest(bytes));
    assert_eq!(row, [format!("{} {digest} video/mp4", bytes.len())]);
}

/// The video failed once with this class, nothing of it is kept, and it waits for another attempt.
async fn assert_waits(room: &Room, class: &str) {
    assert_eq!(room.jobs().await, [format!("recording.fetch queued {class} 1")]);
    assert_eq!(room.files().await, ["a pending -"]);
    assert_eq!(room.objects(), 0);
    assert!(room.told().await.is_empty());
}

#[tokio::test]
async fn a_file_is_stored_as_it_was_served_and_the_app_is_told() {
    let room = reported().await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    assert_eq!(room.run().await, 2);
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(room.media.log(), ["127.0.0.1 /rec/a webhook-token"]);

    let told = room.told().await;
    let [(event_type, data)] = &told[..] else {
        panic!("one event")
    };
    assert_eq!(event_type, "recording.stored");
    let id = room.recording_id().await;
    let file_id = &room.rows("SELECT id FROM recording_files").await[0];
    assert_eq!(
        data,
        &json!({"recording": {
            "id": id,
            "subject": "user:1",
            "status": "stored",
            "meeting": {
                "uuid": "/ajXp112QmuoKj4854875==",
                "id": 81_234_567_890_i64,
                "topic": TOPIC,
                "host_id": "HostAAAAAAAAAAAAAAAAAA",
                "started_at": "2026-05-30T09:01:02Z",
            },
            "files": [{
                "id": file_id,
                "kind": "MP4",
                "extension": "mp4",
                "status": "stored",
                "size_bytes": SIZE,
                "sha256": hex::encode(Sha256::digest(mp4(SIZE))),
                "content_url": format!("/v1/recordings/{id}/files/{file_id}/content"),
            }],
        }})
    );
    let sealed = "SELECT count(*) FROM recording_files
        WHERE download_url_sealed IS NOT NULL OR download_token_sealed IS NOT NULL";
    assert_eq!(room.rows(sealed).await, ["0"]);
    let key = room.rows("SELECT object_key FROM recording_files").await;
    let random = key[0]
        .strip_prefix(&format!("recordings/{}/{id}/{file_id}-", room.link_id))
        .and_then(|rest| rest.strip_suffix(".mp4"))
        .unwrap();
    assert_eq!(hex::decode(random).unwrap().len(), 16);
}

#[tokio::test]
async fn the_same_event_again_changes_nothing() {
    let room = reported().await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run().await;
    let before = room
        .rows("SELECT f, r FROM recording_files f, recordings r")
        .await;
    let url = room.media.url("127.0.0.1", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, SIZE)])).await;
    assert_eq!(room.run().await, 1);
    assert_eq!(room.told().await.len(), 1);
    assert_eq!(room.media.log().len(), 1);
    assert_eq!(room.rows("SELECT f FROM recording_files f").await.len(), 1);
    assert_eq!(before.len(), 1);
}

#[tokio::test]
async fn the_app_is_told_once_all_files_are_stored_and_again_when_a_late_one_is() {
    let room = Room::new().await;
    room.media.answers(|seen| {
        if seen.path == "/rec/t" {
            whole(b"WEBVTT\n\n")
        } else {
            whole(&mp4(SIZE))
        }
    });
    let url = room.media.url("127.0.0.1", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, SIZE), video("b", &url, SIZE)]))
        .await;
    room.run().await;
    assert_eq!(room.told().await.len(), 1);

    let mut transcript = video("t", &room.media.url("127.0.0.1", "/rec/t"), 8);
    transcript["file_type"] = json!("TRANSCRIPT");
    transcript["file_extension"] = json!("VTT");
    let mut event = completed(&[transcript]);
    event["event"] = json!("recording.transcript_completed");
    room.dispatch(&event).await;
    room.merge().await;
    assert_eq!(room.rows("SELECT status FROM recordings").await, ["fetching"]);
    room.run().await;
    let told = room.told().await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].1["recording"]["files"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_file_whose_length_is_not_announced_is_stored() {
    let room = reported().await;
    room.media.answers(|_| chunked(&mp4(SIZE)));
    room.run().await;
    assert_stored(&room, &mp4(SIZE)).await;
}

#[tokio::test]
async fn a_file_of_several_parts_is_stored() {
    let room = Room::new().await;
    let size = 20 * 1024 * 1024 + 17;
    let url = room.media.url("127.0.0.1", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, size)])).await;
    let bytes = mp4(size);
    let served = bytes.clone();
    room.media.answers(move |_| whole(&served));
    room.run().await;
    assert_stored(&room, &bytes).await;
}

#[tokio::test]
async fn a_redirect_to_a_second_host_is_followed_and_the_token_stays_at_home() {
    let room = reported().await;
    let second = room.media.url("localhost", "/signed");
    room.media.answers(move |seen| match seen.path.as_str() {
        "/rec/a" => redirect(&second),
        _ => whole(&mp4(SIZE)),
    });
    room.run().await;
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(
        room.media.log(),
        ["127.0.0.1 /rec/a webhook-token", "localhost /signed -"]
    );
}

#[tokio::test]
async fn a_second_host_of_zooms_that_wants_the_token_gets_it() {
    let room = reported().await;
    let second = room.media.url("127.0.0.1", "/signed");
    room.media
        .answers(move |seen| match (seen.path.as_str(), &seen.bearer) {
            ("/rec/a", _) => redirect(&second),
            (_, None) => HttpResponse::Forbidden().finish(),
            (_, Some(_)) => whole(&mp4(SIZE)),
        });
    room.run().await;
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(room.media.log()[2], "127.0.0.1 /signed webhook-token");
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_host_ends_the_file() {
    let room = reported().await;
    room.media.answers(|_| redirect("https://evil.example/PLANTED"));
    room.run().await;
    assert_eq!(room.jobs().await, ["recording.fetch quarantined host_refused 1"]);
    assert_eq!(room.files().await, ["a failed host_refused"]);
    assert_eq!(room.objects(), 0);
}

#[tokio::test]
async fn a_download_url_that_names_another_region_is_refused_by_the_fence_and_counted() {
    let room = Room::new().await;
    let elsewhere = "https://zoom.us.example.com/rec/PLANTED";
    room.dispatch(&completed(&[video("a", elsewhere, SIZE)])).await;
    room.run().await;
    assert_eq!(room.jobs().await, ["recording.fetch quarantined host_refused 1"]);
    let (made, refused) = room.contacts.collect();
    assert!(made.is_empty(), "{made:?}");
    assert_eq!(
        refused,
        [Refusals {
            host: "zoom.us.example.com".to_owned(),
            reason: "host",
            calls: 1,
        }]
    );
}

#[tokio::test]
async fn a_download_url_that_is_not_zooms_is_never_called() {
    let room = Room::new().await;
    let url = room.media.url("localhost", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, SIZE)])).await;
    room.run().await;
    assert_eq!(room.files().await, ["a failed host_refused"]);
    assert!(room.media.seen().is_empty());

    let room = Room::new().await;
    room.dispatch(&completed(&[video("a", "PLANTED no url", SIZE)]))
        .await;
    room.run().await;
    assert_eq!(room.files().await, ["a failed bad_download_url"]);
}

#[tokio::test]
async fn endless_redirects_are_given_up() {
    let room = reported().await;
    room.media.answers(|seen| redirect(&format!("{}x", seen.path)));
    room.run().await;
    assert_waits(&room, "too_many_redirects").await;
    assert_eq!(room.media.seen().len(), 6);
}

#[tokio::test]
async fn a_page_instead_of_the_file_is_a_failure_after_the_api_was_asked() {
    let room = reported().await;
    with_api(&room, |_| page());
    room.run().await;
    assert_waits(&room, "html_instead_of_media").await;
    assert_eq!(
        room.media.log(),
        [
            "127.0.0.1 /rec/a webhook-token",
            "127.0.0.1 /v2/meetings/%252FajXp112QmuoKj4854875%253D%253D/recordings access-token",
            "127.0.0.1 /rec/api api-download-token",
        ]
    );
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run_after(Duration::from_mins(1)).await;
    assert_stored(&room, &mp4(SIZE)).await;
}

#[tokio::test]
async fn a_page_that_calls_itself_a_video_is_known_all_the_same() {
    let room = reported().await;
    with_api(&room, |_| whole(b" <!DOCTYPE html><html></html>"));
    room.media.answers({
        let url = room.media.url("127.0.0.1", "/rec/api");
        move |seen| {
            if seen.is_api() {
                let mut file = video("a", &url, SIZE);
                file.as_object_mut().unwrap().remove("file_size");
                HttpResponse::Ok().json(api_answer(&[file]))
            } else {
                chunked(b" <!DOCTYPE html><html></html>")
            }
        }
    });
    room.run().await;
    assert_waits(&room, "html_instead_of_media").await;
}

#[tokio::test]
async fn where_the_events_token_is_refused_the_apis_is_used() {
    for status in [401_u16, 403] {
        let room = reported().await;
        with_api(&room, move |seen| {
            if seen.bearer.as_deref() == Some("webhook-token") {
                HttpResponse::build(status.try_into().unwrap()).body("{\"code\":124}")
            } else {
                whole(&mp4(SIZE))
            }
        });
        room.run().await;
        assert_stored(&room, &mp4(SIZE)).await;
        assert_eq!(room.media.log()[2], "127.0.0.1 /rec/api api-download-token");
    }
}

#[tokio::test]
async fn an_event_without_token_or_with_an_expired_one_leads_straight_to_the_api() {
    let expired = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"exp":1780000000}"#));
    for token in [Value::Null, json!(""), json!(expired)] {
        let room = Room::new().await;
        let url = room.media.url("127.0.0.1", "/rec/a");
        let mut event = completed(&[video("a", &url, SIZE)]);
        event["download_token"] = token;
        room.dispatch(&event).await;
        with_api(&room, |_| whole(&mp4(SIZE)));
        room.run().await;
        assert_stored(&room, &mp4(SIZE)).await;
        let log = room.media.log();
        assert_eq!(log.len(), 2);
        assert_eq!(log[1], "127.0.0.1 /rec/api api-download-token");
    }
}

#[tokio::test]
async fn a_role_that_gets_no_download_token_downloads_with_its_access_token() {
    let room = reported().await;
    let url = room.media.url("127.0.0.1", "/rec/api");
    room.media
        .answers(move |seen| match (seen.is_api(), seen.bearer.as_deref()) {
            (true, _) => {
                let mut answer = api_answer(&[video("a", &url, SIZE)]);
                answer.as_object_mut().unwrap().remove("download_access_token");
                HttpResponse::Ok().json(answer)
            }
            (false, Some("access-token")) => whole(&mp4(SIZE)),
            _ => HttpResponse::Unauthorized().finish(),
        });
    room.run().await;
    assert_stored(&room, &mp4(SIZE)).await;
}

#[tokio::test]
async fn each_refusal_of_the_api_has_its_class() {
    for (status, body, job) in [
        (401, json!({"code": 124}), "queued api_unauthorized"),
        (404, json!({"code": 3301}), "queued not_found"),
        (404, json!({"code": 3001}), "queued not_found"),
        (429, json!({}), "queued rate_limited"),
        (503, json!({}), "queued api_unavailable"),
        (
            400,
            json!({"code": 4711, "message": "does not contain scopes:[a]"}),
            "quarantined api_missing_scopes",
        ),
        (200, api_answer(&[]), "queued not_offered"),
    ] {
        let room = reported().await;
        room.media.answers(move |seen| {
            if seen.is_api() {
                HttpResponse::build(u16::try_from(status).unwrap().try_into().unwrap()).json(&body)
            } else {
                HttpResponse::Unauthorized().finish()
            }
        });
        room.merge().await;
        room.run().await;
        let fetch = room
            .rows("SELECT status, last_error_class FROM jobs WHERE kind = 'recording.fetch'")
            .await;
        assert_eq!(fetch, [job]);
    }
}

#[tokio::test]
async fn a_lost_grant_is_named_where_the_api_would_be_needed_and_no_matter_elsewhere() {
    let room = reported().await;
    room.lose_grant();
    room.media.answers(|_| HttpResponse::Unauthorized().finish());
    room.run().await;
    assert_waits(&room, "needs_reauthorization").await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run_after(Duration::from_mins(1)).await;
    assert_stored(&room, &mp4(SIZE)).await;
}

#[tokio::test]
async fn every_form_of_retry_after_is_obeyed() {
    // The test clock shows noon of the first of June 2026.
    for (value, seconds) in [
        ("777", 777),
        ("Mon, 01 Jun 2026 12:10:00 GMT", 600),
        ("2026-06-01T12:20:00Z", 1200),
    ] {
        for status in [429_u16, 503] {
            let room = reported().await;
            room.media.answers(move |_| {
                HttpResponse::build(status.try_into().unwrap())
                    .insert_header((header::RETRY_AFTER, value))
                    .finish()
            });
            room.run().await;
            let class = if status == 429 {
                "rate_limited"
            } else {
                "server_error"
            };
            assert_waits(&room, class).await;
            assert_eq!(room.due_in_seconds().await, seconds, "{value}");
        }
    }
}

#[tokio::test]
async fn a_body_that_ends_early_leaves_nothing_and_is_fetched_again() {
    // Large enough that parts of it are in storage already when it ends.
    let size = 20 * 1024 * 1024;
    for announce in [true, false] {
        let room = Room::new().await;
        let url = room.media.url("127.0.0.1", "/rec/a");
        room.dispatch(&completed(&[video("a", &url, size)])).await;
        room.media
            .answers(move |_| cut_off(&mp4(size / 2), announce.then_some(size as u64)));
        room.run().await;
        assert_waits(&room, "truncated_body").await;
        room.media.answers(move |_| whole(&mp4(size)));
        room.run_after(Duration::from_mins(1)).await;
        assert_stored(&room, &mp4(size)).await;
        assert_eq!(room.objects(), 1);
    }
}

#[tokio::test]
async fn an_event_that_comes_during_the_download_does_not_disturb_it() {
    let room = reported().await;
    room.merge().await;
    let url = room.media.url("127.0.0.1", "/rec/a");
    run_with(&room, &mp4(SIZE), async || {
        room.dispatch(&completed(&[video("a", &url, SIZE)])).await;
        room.merge().await;
    })
    .await;
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(room.media.log().len(), 1);
    assert_eq!(room.told().await.len(), 1);
}

#[tokio::test]
async fn files_that_are_stored_at_once_end_the_recording_once() {
    let room = Room::new().await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    let url = room.media.url("127.0.0.1", "/rec/a");
    let files: Vec<_> = (0..6)
        .map(|id| video(&format!("file-{id}"), &url, SIZE))
        .collect();
    room.dispatch(&completed(&files)).await;
    room.merge().await;
    room.run_at_once().await;
    assert_eq!(room.rows("SELECT status FROM recordings").await, ["stored"]);
    assert_eq!(room.told().await.len(), 1);
}

#[tokio::test]
async fn no_failure_says_where_a_file_is_served_or_what_opens_it() {
    let capture = domicile_telemetry::testing::capture();
    let room = Room::new().await;
    let mut event = completed(&[
        video("a", &room.media.url("127.0.0.1", "/PLANTED/a?PLANTED"), SIZE),
        video("b", &room.media.url("localhost", "/PLANTED/b"), SIZE),
        video("c", "PLANTED no url", SIZE),
        video("d", &room.media.url("127.0.0.1", "/redirect"), SIZE),
        video("e", &room.media.url("127.0.0.1", "/cut"), SIZE),
    ]);
    event["download_token"] = json!("PLANTED-TOKEN");
    let elsewhere = "https://evil.example/PLANTED?PLANTED";
    room.media.answers(move |seen| match seen.path.as_str() {
        "/redirect" => redirect(elsewhere),
        "/cut" => cut_off(b"PLANTED", Some(SIZE as u64)),
        _ => HttpResponse::InternalServerError().body("PLANTED"),
    });
    room.dispatch(&event).await;
    room.run().await;
    assert_eq!(room.jobs().await.len(), 5);
    let told = capture.everything();
    assert!(
        told.contains("host_refused") && told.contains("server_error"),
        "{told}"
    );
    assert!(!told.contains("PLANTED"), "{told}");
    let failed = |class| {
        capture.counter(
            "domicile.recordings.fetches",
            &[("outcome", "failed"), ("error.type", class)],
        )
    };
    let counted: f64 = ["host_refused", "bad_download_url", "server_error", "broken"]
        .map(failed)
        .iter()
        .sum();
    assert!((counted - 5.0).abs() < f64::EPSILON, "{told}");
}

#[tokio::test]
async fn one_trace_goes_from_the_event_to_the_download() {
    let capture = domicile_telemetry::testing::capture();
    let room = reported().await;
    room.run_sql("UPDATE jobs SET traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'")
        .await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run().await;
    for name in ["recording.merge", "recording.fetch", "GET zoom_download"] {
        let spans = capture.spans();
        let span = spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(span.trace_id, "0af7651916cd43dd8448eb211c80319c", "{name}");
    }
}

#[tokio::test]
async fn a_wrong_size_is_noticed_with_and_without_content_length() {
    for size in [SIZE - 1, SIZE + 1, SIZE * 3] {
        for announce in [true, false] {
            let room = reported().await;
            room.media.answers(move |_| {
                if announce {
                    whole(&mp4(size))
                } else {
                    chunked(&mp4(size))
                }
            });
            room.run().await;
            assert_waits(&room, "wrong_size").await;
        }
    }
}

#[tokio::test]
async fn wrong_first_bytes_an_empty_body_and_packed_ones_are_refused() {
    let room = reported().await;
    room.media.answers(|_| whole(&vec![b'x'; SIZE]));
    room.run().await;
    assert_waits(&room, "wrong_content").await;

    let room = reported().await;
    room.media.answers(|_| chunked(b""));
    room.run().await;
    assert_waits(&room, "empty_body").await;

    let room = reported().await;
    room.media.answers(|_| {
        HttpResponse::Ok()
            .insert_header((header::CONTENT_ENCODING, "br"))
            .body(mp4(SIZE))
    });
    room.run().await;
    assert_waits(&room, "content_encoded").await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_retried_then_given_up_and_the_app_told() {
    let room = reported().await;
    let mut attempts = room.run().await - 1;
    assert_waits(&room, "not_found").await;
    while attempts < 36 {
        attempts += room.run_after(Duration::from_hours(1)).await;
        assert!(attempts <= 37);
    }
    assert_eq!(room.jobs().await, ["recording.fetch quarantined not_found 36"]);
    assert_eq!(room.files().await, ["a failed not_found"]);
    let told = room.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "recording.incomplete");
    assert_eq!(told[0].1["recording"]["status"], "incomplete");
    assert_eq!(told[0].1["recording"]["files"][0]["status"], "failed");

    // A later event brings it back to life.
    room.media.answers(|_| whole(&mp4(SIZE)));
    let url = room.media.url("127.0.0.1", "/rec/later");
    let mut event = completed(&[video("a", &url, SIZE)]);
    event["event_ts"] = json!(1_790_000_000_000_i64);
    room.dispatch(&event).await;
    room.run().await;
    assert_stored(&room, &mp4(SIZE)).await;
    assert_eq!(room.told().await[1].0, "recording.stored");
    assert_eq!(
        room.media.log().last().unwrap(),
        "127.0.0.1 /rec/later webhook-token"
    );
}

#[tokio::test]
async fn one_failed_file_makes_the_recording_incomplete_only_when_the_rest_is_stored() {
    let room = Room::new().await;
    let (good, bad) = (
        room.media.url("127.0.0.1", "/rec/a"),
        room.media.url("localhost", "/rec/b"),
    );
    room.dispatch(&completed(&[video("a", &good, SIZE), video("b", &bad, SIZE)]))
        .await;
    room.run().await;
    assert_eq!(room.files().await, ["a pending -", "b failed host_refused"]);
    assert!(room.told().await.is_empty());
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run_after(Duration::from_mins(1)).await;
    assert_eq!(room.files().await, ["a stored -", "b failed host_refused"]);
    let told = room.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "recording.incomplete");
}

#[tokio::test]
async fn nothing_is_fetched_for_a_link_that_has_ended() {
    let room = reported().await;
    room.merge().await;
    room.revoke_link().await;
    room.run().await;
    assert!(room.media.seen().is_empty());
    assert_eq!(room.jobs().await, [""; 0]);
    assert_eq!(room.files().await, ["a failed link_revoked"]);
    assert!(room.told().await.is_empty());
}

#[tokio::test]
async fn what_was_sealed_under_a_destroyed_key_is_not_fetched() {
    let room = reported().await;
    room.merge().await;
    room.erase().await;
    room.run().await;
    assert!(room.media.seen().is_empty());
    assert_eq!(room.files().await, ["a failed erased"]);
}
