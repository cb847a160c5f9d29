//! Storage on a running S3 server. `DOMICILE_TEST_S3_ENDPOINT` names it; the README says how to start one.
#![cfg(feature = "moto")]
#![cfg(test)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod suite;

use bytes::Bytes;
use domicile_egress::Client;
use domicile_egress::testing::loopback;
use domicile_objects::{ObjectStorage, S3Options, TIMEOUTS};
use http::Request;
use url::Url;

use crate::suite::{bytes, eventually, key, read};

#[expect(
    clippy::disallowed_methods,
    reason = "the test's caller names its server by the environment"
)]
fn endpoint() -> String {
    std::env::var("DOMICILE_TEST_S3_ENDPOINT")
        .expect("DOMICILE_TEST_S3_ENDPOINT names a running S3 server, such as http://127.0.0.1:5000")
        .trim_end_matches('/')
        .to_owned()
}

fn client() -> Client {
    loopback().client("objects", TIMEOUTS)
}

/// A bucket of the test's own, and storage in it.
async fn bucket(name: &str, more: &[(&str, &str)]) -> ObjectStorage {
    let request = Request::put(format!("{}/{name}", endpoint()))
        .body(Bytes::new())
        .unwrap();
    let made = client().send(request).await.unwrap();
    assert!(made.status().is_success(), "{}", made.status());
    let endpoint = endpoint();
    let vars = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ];
    let options = S3Options::from_vars(vars.into_iter().chain(more.iter().copied()));
    let url = Url::parse(&format!("s3://{name}/a/prefix")).unwrap();
    ObjectStorage::open(&url, &options, client()).unwrap()
}

/// The server's own answer to a question about a bucket.
async fn ask(path_and_query: &str) -> String {
    let request = Request::get(format!("{}/{path_and_query}", endpoint()))
        .body(Bytes::new())
        .unwrap();
    let answer = client().send(request).await.unwrap();
    let body = answer.bytes_limited(1_000_000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_bucket_is_storage() {
    let storage = bucket("suite-bucket", &[]).await;
    suite::run(&storage, "recordings/1").await;
    suite::one_region_owns_it(|| storage.clone(), "recordings/1").await;
}

#[tokio::test]
async fn an_object_lies_below_the_prefix_and_encryption_is_asked_for() {
    let storage = bucket("prefix-bucket", &[("AWS_SERVER_SIDE_ENCRYPTION", "AES256")]).await;
    suite::store(&storage, &key("x/y.mp4"), &bytes(100)).await;
    let listed = ask("prefix-bucket?list-type=2").await;
    assert!(listed.contains("<Key>a/prefix/x/y.mp4</Key>"), "{listed}");
    assert_eq!(read(&storage, &key("x/y.mp4")).await.unwrap(), bytes(100));
}

#[tokio::test]
async fn no_parts_are_left_of_aborted_and_dropped_uploads() {
    let storage = bucket("parts-bucket", &[]).await;
    let pending = async || ask("parts-bucket?uploads").await.contains("<UploadId>");
    for explicit in [true, false] {
        let mut upload = storage.begin(&key("x"));
        upload.write(bytes(9 * 1024 * 1024)).await.unwrap();
        assert!(pending().await);
        if explicit {
            upload.abort().await;
            assert!(!pending().await);
        } else {
            drop(upload);
            eventually("the dropped upload's parts are gone", async || !pending().await).await;
        }
    }
}
