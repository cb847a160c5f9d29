//! What every kind of storage does, run against each of them.

use std::time::Duration;

use bytes::Bytes;
use domicile_kernel::Fate;
use domicile_objects::{ObjectKey, ObjectStorage, ObjectsError};
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};

/// More than four parts of 8 MiB, so that parts wait for each other, and no whole number of them.
const LARGE_BYTES: usize = 37 * 1024 * 1024 + 11;

pub fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

/// Bytes that differ from part to part: the pattern's length divides no part's.
pub fn bytes(length: usize) -> Bytes {
    let pattern: Vec<u8> = (0..251).collect();
    let mut bytes = pattern.repeat(length / pattern.len() + 1);
    bytes.truncate(length);
    bytes.into()
}

pub async fn read(storage: &ObjectStorage, key: &ObjectKey) -> Result<Vec<u8>, ObjectsError> {
    let parts: Vec<Bytes> = storage.read(key, None).try_collect().await?;
    Ok(parts.concat())
}

pub async fn store(storage: &ObjectStorage, key: &ObjectKey, content: &Bytes) {
    let mut upload = storage.begin(key);
    upload.write(content.clone()).await.unwrap();
    upload.finish().await.unwrap();
}

/// Runs everything below keys that begin with `base`.
pub async fn run(storage: &ObjectStorage, base: &str) {
    let named = |name: &str| key(&format!("{base}/{name}"));
    what_was_written_is_read(storage, &named("small"), 5).await;
    what_was_written_is_read(storage, &named("empty"), 0).await;
    what_was_written_is_read(storage, &named("one-part"), 8 * 1024 * 1024).await;
    what_was_written_is_read(storage, &named("large"), LARGE_BYTES).await;
    ranges_are_cut_at_the_end(storage, &named("ranges")).await;
    an_absent_object_is_said_to_be(storage, &named("absent")).await;
    an_unfinished_upload_is_not_seen(storage, &named("unfinished")).await;
    an_object_is_replaced_as_a_whole(storage, &named("replaced")).await;
    storage.probe().await.unwrap();
    storage.probe().await.unwrap();
}

async fn what_was_written_is_read(storage: &ObjectStorage, key: &ObjectKey, length: usize) {
    let content = bytes(length);
    let mut upload = storage.begin(key);
    for piece in content.chunks(3_333_333) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert_eq!(upload.size_bytes(), length as u64);
    let stored = upload.finish().await.unwrap();
    assert_eq!(stored.size_bytes, length as u64);
    assert_eq!(stored.sha256, <[u8; 32]>::from(Sha256::digest(&content)));
    let head = storage.head(key).await.unwrap().unwrap();
    assert_eq!(head.size_bytes, length as u64);
    assert!(read(storage, key).await.unwrap() == content, "{key}");
    storage.delete(key).await.unwrap();
    storage.delete(key).await.unwrap();
    assert_eq!(storage.head(key).await.unwrap(), None);
}

async fn ranges_are_cut_at_the_end(storage: &ObjectStorage, key: &ObjectKey) {
    store(storage, key, &Bytes::from_static(b"0123456789")).await;
    for (range, expected) in [(0..1, "0"), (3..6, "345"), (8..99, "89"), (0..10, "0123456789")] {
        let parts: Vec<Bytes> = storage.read(key, Some(range)).try_collect().await.unwrap();
        assert_eq!(parts.concat(), expected.as_bytes());
    }
    let empty: Result<Vec<Bytes>, _> = storage.read(key, Some(4..4)).try_collect().await;
    assert!(matches!(empty, Err(ObjectsError::EmptyRange)));
    let beyond: Result<Vec<Bytes>, _> = storage.read(key, Some(10..12)).try_collect().await;
    assert!(beyond.is_err());
}

async fn an_absent_object_is_said_to_be(storage: &ObjectStorage, key: &ObjectKey) {
    assert_eq!(storage.head(key).await.unwrap(), None);
    let error = read(storage, key).await.unwrap_err();
    assert!(matches!(error, ObjectsError::NotFound { .. }), "{error:?}");
    assert_eq!(error.fate(), Fate::Final);
    storage.delete(key).await.unwrap();
}

async fn an_unfinished_upload_is_not_seen(storage: &ObjectStorage, key: &ObjectKey) {
    for large in [false, true] {
        let content = bytes(if large { LARGE_BYTES } else { 100 });
        let mut aborted = storage.begin(key);
        aborted.write(content.clone()).await.unwrap();
        assert_eq!(storage.head(key).await.unwrap(), None);
        aborted.abort().await;
        assert_eq!(storage.head(key).await.unwrap(), None);

        let mut dropped = storage.begin(key);
        dropped.write(content).await.unwrap();
        drop(dropped);
        assert_eq!(storage.head(key).await.unwrap(), None);
    }
}

async fn an_object_is_replaced_as_a_whole(storage: &ObjectStorage, key: &ObjectKey) {
    let old = Bytes::from_static(b"the old one");
    store(storage, key, &old).await;
    let mut upload = storage.begin(key);
    upload.write(bytes(LARGE_BYTES)).await.unwrap();
    assert_eq!(read(storage, key).await.unwrap(), old);
    upload.finish().await.unwrap();
    assert_eq!(
        storage.head(key).await.unwrap().unwrap().size_bytes,
        LARGE_BYTES as u64
    );
}

/// Waits until something that happens in the background has happened.
pub async fn eventually(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect(what);
}

/// INV-1: a storage belongs to the region that first used it. `open` opens the same storage anew.
pub async fn one_region_owns_it(open: impl Fn() -> ObjectStorage, base: &str) {
    let of = |region: &str| open().for_region(region.parse().unwrap());
    let object = key(&format!("{base}/marked"));
    let eu = of("eu");
    assert!(!eu.region_mark().await.unwrap());
    // The first use is what marks it.
    store(&eu, &object, &Bytes::from_static(b"content")).await;
    assert!(of("eu").region_mark().await.unwrap());
    assert_eq!(read(&of("eu"), &object).await.unwrap(), b"content");

    let us = of("us");
    let foreign = |error: ObjectsError| {
        let text = error.to_string();
        assert!(matches!(error, ObjectsError::ForeignRegion { .. }), "{text}");
        let names = [
            "mark of the region eu",
            "is of the region us",
            "DOMICILE_OBJECTS_URL",
        ];
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
    };
    foreign(us.region_mark().await.unwrap_err());
    foreign(us.mark_region().await.unwrap_err());
    foreign(read(&us, &object).await.unwrap_err());
    foreign(us.head(&object).await.unwrap_err());
    foreign(us.delete(&object).await.unwrap_err());
    foreign(us.probe().await.unwrap_err());
    let mut upload = us.begin(&object);
    upload.write(bytes(LARGE_BYTES)).await.unwrap_or_else(foreign);
    upload.finish().await.unwrap_err();
    let mut upload = us.begin(&object);
    upload.write(Bytes::from_static(b"other")).await.unwrap();
    foreign(upload.finish().await.unwrap_err());
    assert_eq!(read(&of("eu"), &object).await.unwrap(), b"content");
    eu.delete(&object).await.unwrap();
}
