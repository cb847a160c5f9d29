//! Recordings: each user's own, and their bytes with Range.

use http::StatusCode;

use super::browser::Browser;
use super::region::{RECORDING, Region, VIDEO};

fn content() -> String {
    format!("/recordings/{RECORDING}/files/{VIDEO}")
}

#[tokio::test]
async fn a_user_sees_and_plays_her_recordings() {
    let region = Region::start();
    let alice = Browser::new(region.app.url());
    alice.sign_in("alice").await;
    let list = alice.get("/recordings").await;
    assert!(list.text().contains("Board &lt;meeting&gt;"));
    assert!(list.text().contains("1 of 2 files stored"));
    assert!(list.text().contains(&content()));
    assert!(
        !list.text().contains("/files/f2"),
        "a file that is not stored has no link"
    );
    let page = alice.get(&format!("/recordings/{RECORDING}")).await;
    assert!(page.text().contains("<video controls"));
    assert!(page.text().contains("84d89877f0d4041e"));
    let whole = alice.get(&content()).await;
    assert_eq!((whole.status, whole.text()), (StatusCode::OK, "0123456789"));
    assert_eq!(whole.header("content-type"), "video/mp4");
    assert_eq!(whole.header("content-length"), "10");
    assert_eq!(whole.header("etag"), "\"84d8\"");
    assert!(!whole.headers.contains_key("x-internal"));
}

#[tokio::test]
async fn the_browsers_range_reaches_the_region_and_its_answer_the_browser() {
    let region = Region::start();
    let alice = Browser::new(region.app.url());
    alice.sign_in("alice").await;
    let part = alice.get_with(&content(), &[("range", "bytes=2-4")]).await;
    assert_eq!((part.status, part.text()), (StatusCode::PARTIAL_CONTENT, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(part.header("content-length"), "3");
    let beyond = alice.get_with(&content(), &[("range", "bytes=99-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), "bytes */10");
}

#[tokio::test]
async fn nobody_else_sees_or_plays_them() {
    let region = Region::start();
    let bob = Browser::new(region.app.url());
    for path in [
        "/recordings".to_owned(),
        content(),
        format!("/recordings/{RECORDING}"),
    ] {
        assert_eq!(bob.get(&path).await.leads_to(), "/sign-in");
    }
    bob.sign_in("bob").await;
    assert!(bob.get("/recordings").await.text().contains("Nothing here yet"));
    for path in [
        content(),
        format!("/recordings/{RECORDING}"),
        "/recordings/..%2Flinks".to_owned(),
    ] {
        let page = bob.get(&path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!page.text().contains("Board"), "{path}");
    }
}
