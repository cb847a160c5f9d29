//! Storage in a local folder.
#![cfg(test)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod suite;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use domicile_egress::testing::loopback;
use domicile_kernel::Fate;
use domicile_objects::{ObjectStorage, ObjectsError, S3Options, TIMEOUTS};
use url::Url;

use crate::suite::{bytes, eventually, key, read, store};

fn open(path: &Path) -> Result<ObjectStorage, ObjectsError> {
    let url = Url::from_directory_path(path).unwrap();
    ObjectStorage::open(
        &url,
        &S3Options::default(),
        loopback().client("objects", TIMEOUTS),
    )
}

/// Every file and folder below, by its path from here.
fn entries(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_folder_is_storage() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).unwrap();
    suite::run(&storage, "recordings/1").await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_region() {
    let folder = tempfile::tempdir().unwrap();
    suite::one_region_owns_it(|| open(folder.path()).unwrap(), "recordings/1").await;
    assert_eq!(entries(folder.path()), [PathBuf::from("domicile-region")]);
    assert_eq!(
        std::fs::read(folder.path().join("domicile-region")).unwrap(),
        b"eu\n"
    );
}

#[tokio::test]
async fn of_two_regions_that_mark_a_folder_at_once_one_is_refused() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let of = |region: &str| open(folder.path()).unwrap().for_region(region.parse().unwrap());
        let (eu, us) = (of("eu"), of("us"));
        let (one, two) = tokio::join!(eu.mark_region(), us.mark_region());
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    }
}

#[test]
fn a_missing_folder_is_made_and_a_missing_parent_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("media");
    open(&folder).unwrap();
    assert!(folder.is_dir());
    open(&folder).unwrap();

    let error = open(&parent.path().join("no/media")).unwrap_err();
    assert!(matches!(error, ObjectsError::Folder { .. }), "{error}");
    assert!(!parent.path().join("no").exists());

    let file = parent.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(open(&file), Err(ObjectsError::Folder { .. })));
}

#[tokio::test]
async fn an_object_is_one_file_of_exactly_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).unwrap();
    let content = bytes(9 * 1024 * 1024);
    store(&storage, &key("a/b.mp4"), &content).await;
    assert_eq!(entries(folder.path()), [Path::new("a"), Path::new("a/b.mp4")]);
    assert!(std::fs::read(folder.path().join("a/b.mp4")).unwrap() == content);
}

#[tokio::test]
async fn nothing_is_left_of_aborted_and_dropped_uploads_nor_of_deleted_objects() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).unwrap();
    let content = bytes(9 * 1024 * 1024);

    let mut aborted = storage.begin(&key("aborted"));
    aborted.write(content.clone()).await.unwrap();
    assert_eq!(entries(folder.path()).len(), 1, "it is being staged");
    aborted.abort().await;
    eventually("the aborted upload is gone", async || {
        entries(folder.path()).is_empty()
    })
    .await;

    let mut dropped = storage.begin(&key("dropped"));
    dropped.write(content.clone()).await.unwrap();
    drop(dropped);
    eventually("the dropped upload is gone", async || {
        entries(folder.path()).is_empty()
    })
    .await;

    let deep = key("a/b/c/d");
    store(&storage, &deep, &content).await;
    store(&storage, &key("a/other"), &content).await;
    storage.delete(&deep).await.unwrap();
    assert_eq!(entries(folder.path()), [Path::new("a"), Path::new("a/other")]);
    storage.delete(&key("a/other")).await.unwrap();
    assert!(entries(folder.path()).is_empty());
}

#[tokio::test]
async fn two_uploads_of_one_object_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path()).unwrap();
    let target = key("same");
    let (one, other) = (Bytes::from(vec![1; 9_000_000]), Bytes::from(vec![2; 10_000_000]));
    let mut first = storage.begin(&target);
    let mut second = storage.begin(&target);
    first.write(one.clone()).await.unwrap();
    second.write(other.clone()).await.unwrap();
    first.finish().await.unwrap();
    assert!(read(&storage, &target).await.unwrap() == one);
    second.finish().await.unwrap();
    assert!(read(&storage, &target).await.unwrap() == other);
    assert_eq!(entries(folder.path()), [Path::new("same")]);
}

#[tokio::test]
async fn a_probe_finds_a_folder_that_is_gone_or_has_other_content() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("media");
    let storage = open(&folder).unwrap();
    storage.probe().await.unwrap();
    std::fs::write(folder.join("domicile-probe"), "domicilf\n").unwrap();
    assert!(matches!(storage.probe().await, Err(ObjectsError::Corrupt)));
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "no folder any more").unwrap();
    let error = storage.probe().await.unwrap_err();
    assert_eq!(error.fate(), Fate::RETRY);
}

#[test]
fn other_urls_are_no_storage() {
    let client = loopback().client("objects", TIMEOUTS);
    for url in [
        "https://example.com/",
        "file://host/path",
        "file:///tmp/x?y",
        "gs://bucket",
    ] {
        let url = Url::parse(url).unwrap();
        for error in [
            ObjectStorage::open(&url, &S3Options::default(), client.clone()).err(),
            ObjectStorage::egress_rules(&url, &S3Options::default()).err(),
        ] {
            assert!(
                error.unwrap().to_string().contains("DOMICILE_OBJECTS_URL"),
                "{url}"
            );
        }
    }
    let folder = Url::parse("file:///srv/media").unwrap();
    assert_eq!(
        ObjectStorage::egress_rules(&folder, &S3Options::default()).unwrap(),
        []
    );
}
