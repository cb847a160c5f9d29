//! Downloads through both hosts.

use awc::error::PayloadError;
use chrono::TimeDelta;
use domicile_zoomsim::{FileKind, FileSelection, Meeting, NewFile, NewUser, Role, Usage, User};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::support::{Answer, World, read, world};

/// What came from the second host.
pub struct Download {
    pub status: u16,
    pub content_type: String,
    pub content_length: Option<u64>,
    pub body: Result<Vec<u8>, PayloadError>,
}

impl Download {
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.body.as_ref().unwrap()))
    }
}

/// The download URL and token of the newest event.
pub fn of_event(world: &World) -> (String, String) {
    let body = world.receiver.events().last().unwrap().json();
    let url = body["payload"]["object"]["recording_files"][0]["download_url"]
        .as_str()
        .unwrap()
        .to_owned();
    (
        url,
        body["download_token"].as_str().unwrap_or_default().to_owned(),
    )
}

pub async fn redirect(world: &World, url: &str, token: &str) -> Answer {
    read(world.http.get(url).bearer_auth(token).send().await.unwrap()).await
}

pub async fn bytes(world: &World, url: &str) -> Download {
    bytes_with(world, url, &[]).await
}

pub async fn bytes_with(world: &World, url: &str, headers: &[(&str, &str)]) -> Download {
    let mut request = world.http.get(url);
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let mut response = request.send().await.unwrap();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|it| it.to_str().unwrap().to_owned())
    };
    let (content_type, content_length) = (header("content-type"), header("content-length"));
    let mut body = Ok(Vec::new());
    while let Some(chunk) = response.next().await {
        match chunk {
            Ok(chunk) => body.as_mut().unwrap().extend_from_slice(&chunk),
            Err(error) => {
                body = Err(error);
                break;
            }
        }
    }
    Download {
        status: response.status().as_u16(),
        content_type: content_type.unwrap_or_default(),
        content_length: content_length.map(|it| it.parse().unwrap()),
        body,
    }
}

/// An installed app, its user and a finished recording of one file; the last are its URL and token in the event.
pub async fn recorded(world: &World, file: NewFile) -> (User, Meeting, String, String) {
    let (app, user) = (world.app(Usage::UserManaged).await, world.user());
    world.install(&app, &user).await;
    let meeting = world.recording(&user, vec![file]);
    world
        .sim()
        .finish_recording(&meeting.uuid, &FileSelection::default())
        .await
        .unwrap();
    let (url, token) = of_event(world);
    (user, meeting, url, token)
}

#[actix_web::test]
async fn the_first_host_redirects_to_the_second_which_serves_the_bytes() {
    let world = world().await;
    let (_, meeting, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 3_000_000, 11)).await;
    let answer = redirect(&world, &url, &token).await;
    assert_eq!(answer.status, 302);
    let to = answer.header("location");
    assert!(to.starts_with(world.zoomsim.media_url().as_str()), "{to}");
    assert!(to.contains("/replay01/"));
    let download = bytes(&world, to).await;
    assert_eq!(
        (download.status, download.content_type.as_str()),
        (200, "video/mp4")
    );
    assert_eq!(download.content_length, Some(3_000_000));
    let digest = &world.sim().digests(&meeting.uuid).await.unwrap()[0];
    assert_eq!(download.sha256(), digest.sha256);
    assert_eq!(digest.size_bytes, 3_000_000);
    assert_eq!(&download.body.unwrap()[4..8], b"ftyp");
}

#[actix_web::test]
async fn content_length_is_absent_on_request() {
    let world = world().await;
    let file = NewFile::new(FileKind::Csv, 200_000, 11).without_content_length();
    let (_, _, url, token) = recorded(&world, file).await;
    let download = bytes(&world, redirect(&world, &url, &token).await.header("location")).await;
    assert_eq!(
        (download.content_length, download.content_type.as_str()),
        (None, "text/csv")
    );
    assert_eq!(download.body.unwrap().len(), 200_000);
}

#[actix_web::test]
async fn a_large_file_is_announced_without_being_made() {
    let world = world().await;
    let tib = 1 << 40;
    let (_, _, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, tib, 11)).await;
    let to = redirect(&world, &url, &token).await.header("location").to_owned();
    let mut response = world.http.get(to).send().await.unwrap();
    assert_eq!(
        response.headers().get("content-length").unwrap(),
        &tib.to_string()
    );
    let first = response.next().await.unwrap().unwrap();
    assert_eq!(&first[4..8], b"ftyp");
}

#[actix_web::test]
async fn the_download_token_dies_after_a_day_and_fits_one_meeting() {
    let world = world().await;
    let (user, _, url, token) = recorded(&world, NewFile::new(FileKind::Chat, 100, 1)).await;
    world.finished(&user, 1_000).await;
    let (other_url, other_token) = of_event(&world);
    assert_eq!(redirect(&world, &other_url, &token).await.status, 401);
    assert_eq!(redirect(&world, &other_url, &other_token).await.status, 302);
    assert_eq!(redirect(&world, &url, "rubbish").await.code(), 124);
    assert_eq!(read(world.http.get(&url).send().await.unwrap()).await.status, 401);
    assert_eq!(
        redirect(&world, &format!("{url}?access_token={token}"), &token)
            .await
            .status,
        401
    );
    world.clock.forward(TimeDelta::hours(24));
    assert_eq!(redirect(&world, &url, &token).await.status, 302);
    world.clock.forward(TimeDelta::seconds(15));
    assert_eq!(redirect(&world, &url, &token).await.status, 401);
}

#[actix_web::test]
async fn oauth_tokens_open_what_their_owner_may_see() {
    let world = world().await;
    let (user_app, admin_app) = (
        world.app(Usage::UserManaged).await,
        world.app(Usage::AdminManaged).await,
    );
    let host = world.user();
    let admin = NewUser {
        account_id: Some(host.account_id.clone()),
        role: Role::Admin,
        ..NewUser::default()
    };
    let admin = world.sim().create_user(admin).unwrap();
    let access = async |app, user| {
        world.install(app, user).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (own, theirs) = (access(&user_app, &host).await, access(&admin_app, &admin).await);
    let foreign = access(&user_app, &world.user()).await;
    let meeting = world.finished(&host, 1_000).await;
    let path = format!(
        "v2/meetings/{}/recordings",
        crate::support::encoded(&crate::support::encoded(&meeting.uuid))
    );
    let listed = world.get(&path, &own).await;
    let url = listed.json["recording_files"][0]["download_url"]
        .as_str()
        .unwrap();
    assert!(url.contains("/rec/download/"));
    assert_eq!(redirect(&world, url, &own).await.status, 302);
    assert_eq!(redirect(&world, url, &theirs).await.status, 302);
    assert_eq!(redirect(&world, url, &foreign).await.status, 403);
    world.clock.forward(TimeDelta::hours(1));
    assert_eq!(redirect(&world, url, &own).await.status, 401);
}

#[actix_web::test]
async fn the_signed_query_expires_and_cannot_be_changed() {
    let world = world().await;
    let (_, _, url, token) = recorded(&world, NewFile::new(FileKind::Chat, 100, 1)).await;
    let to = redirect(&world, &url, &token).await.header("location").to_owned();
    assert_eq!(bytes(&world, &to.replace("data=", "data=x")).await.status, 403);
    assert_eq!(bytes(&world, to.split('?').next().unwrap()).await.status, 403);
    world.clock.forward(TimeDelta::minutes(5) - TimeDelta::seconds(1));
    assert_eq!(bytes(&world, &to).await.status, 200);
    world.clock.forward(TimeDelta::seconds(1));
    assert_eq!(bytes(&world, &to).await.status, 403);
}

#[actix_web::test]
async fn trashed_files_are_gone_until_they_are_recovered() {
    let world = world().await;
    let (_, meeting, url, token) = recorded(&world, NewFile::new(FileKind::Chat, 100, 1)).await;
    let selection = FileSelection::default();
    world.sim().trash_files(&meeting.uuid, &selection).await.unwrap();
    let answer = redirect(&world, &url, &token).await;
    assert_eq!((answer.status, answer.code()), (404, 3301));
    world
        .sim()
        .recover_files(&meeting.uuid, &selection)
        .await
        .unwrap();
    assert_eq!(redirect(&world, &url, &token).await.status, 302);
    assert_eq!(
        redirect(&world, &world.url("rec/download/nonsense"), &token)
            .await
            .status,
        404
    );
}

#[actix_web::test]
async fn head_tells_the_length_without_the_bytes() {
    let world = world().await;
    let (_, _, url, token) = recorded(&world, NewFile::new(FileKind::Mp4, 70_000, 1)).await;
    let to = redirect(&world, &url, &token).await.header("location").to_owned();
    let response = world.http.head(to).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("content-length").unwrap(), "70000");
}
