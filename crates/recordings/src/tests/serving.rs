use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{App, test, web};
use bytes::Bytes;
use domicile_web::extract::AppKeys;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::events::{completed, mp4, video};
use super::media::whole;
use super::room::Room;

const KEY: &str = "the-app-key";
const SIZE: usize = 1_000;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn call(room: &Room, request: test::TestRequest) -> Answer {
    let keys: AppKeys = format!("app:{}", hex::encode(Sha256::digest(KEY)))
        .parse()
        .unwrap();
    let app = App::new()
        .app_data(web::Data::new(keys))
        .app_data(web::Data::new(room.library.clone()))
        .configure(domicile_web::extract::configure)
        .configure(crate::routes::configure);
    let app = test::init_service(app).await;
    let response = test::call_service(&app, request.to_request()).await;
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: test::read_body(response).await,
    }
}

fn request(path: &str) -> test::TestRequest {
    test::TestRequest::get()
        .uri(path)
        .insert_header((header::AUTHORIZATION, format!("Bearer {KEY}")))
}

async fn get(room: &Room, path: &str) -> Answer {
    call(room, request(path)).await
}

async fn get_range(room: &Room, path: &str, range: &str) -> Answer {
    call(room, request(path).insert_header((header::RANGE, range))).await
}

/// A room with one stored video, and the path of its bytes.
async fn stored() -> (Room, String) {
    let room = Room::new().await;
    let url = room.media.url("127.0.0.1", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, SIZE)])).await;
    room.media.answers(|_| whole(&mp4(SIZE)));
    room.run().await;
    let recording = get(&room, &format!("/v1/recordings/{}", room.recording_id().await))
        .await
        .json();
    let path = recording["files"][0]["content_url"].as_str().unwrap().to_owned();
    (room, path)
}

#[actix_web::test]
async fn the_whole_file_is_served_with_what_a_player_needs() {
    let (room, path) = stored().await;
    let answer = get(&room, &path).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, mp4(SIZE));
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(mp4(SIZE))));
    assert_eq!(answer.header(header::CONTENT_TYPE), Some("video/mp4"));
    assert_eq!(answer.header(header::ACCEPT_RANGES), Some("bytes"));
    assert_eq!(answer.header(header::ETAG), Some(tag.as_str()));
    assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
    assert!(
        answer
            .header(header::CONTENT_DISPOSITION)
            .unwrap()
            .starts_with("inline; filename=\"")
    );
    assert_eq!(answer.header(header::CACHE_CONTROL), Some("private, no-cache"));
    assert_eq!(answer.header(header::CONTENT_RANGE), None);
}

#[actix_web::test]
async fn one_range_is_served_as_a_part() {
    let (room, path) = stored().await;
    let bytes = mp4(SIZE);
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=999-999", 999, 999),
        ("bytes=999-", 999, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=100-199", 100, 199),
        ("bytes=900-5000", 900, 999),
    ] {
        let answer = get_range(&room, &path, range).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(answer.body, &bytes[first..=last], "{range}");
        let expected = format!("bytes {first}-{last}/{SIZE}");
        assert_eq!(
            answer.header(header::CONTENT_RANGE),
            Some(expected.as_str()),
            "{range}"
        );
    }
}

#[actix_web::test]
async fn a_range_beyond_the_end_is_416_with_the_size() {
    let (room, path) = stored().await;
    for range in ["bytes=1000-", "bytes=1000-2000", "bytes=-0"] {
        let answer = get_range(&room, &path, range).await;
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(answer.header(header::CONTENT_RANGE), Some("bytes */1000"));
        assert_eq!(
            answer.json()["type"],
            "urn:domicile:problem:range_not_satisfiable"
        );
    }
}

#[actix_web::test]
async fn several_ranges_and_what_is_no_range_get_the_whole() {
    let (room, path) = stored().await;
    for range in ["bytes=0-0,5-9", "bytes=5-4", "lines=1-2", "nonsense"] {
        let answer = get_range(&room, &path, range).await;
        assert_eq!(answer.status, StatusCode::OK, "{range}");
        assert_eq!(answer.body.len(), SIZE);
    }
}

#[actix_web::test]
async fn a_range_of_other_bytes_gets_the_whole_and_held_bytes_are_not_sent_again() {
    let (room, path) = stored().await;
    let tag = get(&room, &path).await.header(header::ETAG).unwrap().to_owned();
    let part = |if_range: &str| {
        request(&path)
            .insert_header((header::RANGE, "bytes=0-9"))
            .insert_header((header::IF_RANGE, if_range))
    };
    assert_eq!(call(&room, part(&tag)).await.status, StatusCode::PARTIAL_CONTENT);
    for other in ["\"other\"", "Mon, 01 Jun 2026 12:10:00 GMT", "nonsense"] {
        assert_eq!(call(&room, part(other)).await.status, StatusCode::OK, "{other}");
    }
    let held = |tag: &str| request(&path).insert_header((header::IF_NONE_MATCH, tag));
    for tag in [&tag, "*", &format!("\"x\", W/{tag}")] {
        let answer = call(&room, held(tag)).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{tag}");
        assert!(answer.body.is_empty());
    }
    assert_eq!(call(&room, held("\"other\"")).await.status, StatusCode::OK);
}

#[actix_web::test]
async fn head_tells_the_same_without_the_bytes() {
    let (room, path) = stored().await;
    let answer = call(&room, request(&path).method(actix_web::http::Method::HEAD)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(header::ACCEPT_RANGES), Some("bytes"));
    assert!(answer.body.is_empty());
}

#[actix_web::test]
async fn bytes_that_are_not_here_are_not_ready_or_not_found() {
    let room = Room::new().await;
    let url = room.media.url("127.0.0.1", "/rec/a");
    room.dispatch(&completed(&[video("a", &url, SIZE)])).await;
    room.merge().await;
    let id = room.recording_id().await;
    let file = &room.rows("SELECT id FROM recording_files").await[0];
    let answer = get(&room, &format!("/v1/recordings/{id}/files/{file}/content")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.json()["type"], "urn:domicile:problem:not_ready");
    let recording = get(&room, &format!("/v1/recordings/{id}")).await.json();
    assert_eq!(recording["status"], "fetching");
    assert_eq!(recording["files"][0]["content_url"], Value::Null);
    for path in [
        format!("/v1/recordings/{file}/files/{file}/content"),
        format!("/v1/recordings/{id}/files/{id}/content"),
        format!("/v1/recordings/{id}/files/x/content"),
        format!("/v1/recordings/{file}"),
        "/v1/recordings/x".to_owned(),
    ] {
        assert_eq!(get(&room, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix_web::test]
async fn an_object_that_is_gone_is_a_fault_of_ours_before_a_byte_is_sent() {
    let (room, path) = stored().await;
    let key = &room.rows("SELECT object_key FROM recording_files").await[0];
    room.storage
        .delete(&domicile_objects::ObjectKey::parse(key).unwrap())
        .await
        .unwrap();
    let answer = get(&room, &path).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!String::from_utf8_lossy(&answer.body).contains(key.as_str()));
}

#[actix_web::test]
async fn nothing_is_shown_without_a_key() {
    let (room, path) = stored().await;
    for path in [
        &path,
        "/v1/recordings",
        &format!("/v1/recordings/{}", room.recording_id().await),
    ] {
        let answer = call(&room, test::TestRequest::get().uri(path)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[actix_web::test]
async fn the_list_has_a_subjects_recordings_latest_first_page_by_page() {
    let room = Room::new().await;
    let other = room.ids.make();
    room.add_link(other, "user:2", "AnotherHost").await;
    for number in 0..5 {
        let mut event = completed(&[video("a", "https://127.0.0.1/a", SIZE)]);
        event["payload"]["object"]["uuid"] = json!(format!("meeting-{number}=="));
        room.clock.advance(std::time::Duration::from_secs(1));
        room.dispatch(&event).await;
        room.merge().await;
    }
    room.dispatch_to(other, &completed(&[video("a", "https://127.0.0.1/a", SIZE)]))
        .await;
    room.merge().await;

    let mut seen = Vec::new();
    let mut cursor = String::new();
    for _ in 0..3 {
        let page = get(&room, &format!("/v1/recordings?subject=user:1&limit=2{cursor}"))
            .await
            .json();
        for recording in page["data"].as_array().unwrap() {
            assert_eq!(recording["subject"], "user:1");
            assert_eq!(recording["files"].as_array().unwrap().len(), 1);
            seen.push(recording["meeting"]["uuid"].as_str().unwrap().to_owned());
        }
        cursor = match page["next_cursor"].as_str() {
            Some(next) => format!("&cursor={next}"),
            None => "&end".to_owned(),
        };
    }
    assert_eq!(cursor, "&end");
    assert_eq!(seen, [4, 3, 2, 1, 0].map(|number| format!("meeting-{number}==")));
    assert_eq!(
        get(&room, "/v1/recordings").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
    let nobody = get(&room, "/v1/recordings?subject=user:3").await.json();
    assert_eq!(nobody, json!({"data": [], "next_cursor": null}));
    for query in ["subject=PLANTED", "limit=0", "cursor=PLANTED"] {
        let answer = get(&room, &format!("/v1/recordings?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("PLANTED"));
    }
}

#[actix_web::test]
async fn an_erased_topic_leaves_the_list_readable() {
    let (room, _) = stored().await;
    room.erase().await;
    let list = get(&room, "/v1/recordings").await;
    assert_eq!(list.status, StatusCode::OK);
    assert_eq!(list.json()["data"][0]["meeting"]["topic"], Value::Null);
}
