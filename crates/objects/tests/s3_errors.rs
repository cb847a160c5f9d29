//! How S3's traffic fails: through the fence, and without repeating what the server said.
#![cfg(test)]

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use domicile_egress::testing::{StaticResolver, loopback};
use domicile_egress::{Client, Egress, Fence};
use domicile_kernel::Fate;
use domicile_objects::{ObjectKey, ObjectStorage, ObjectsError, S3Options, TIMEOUTS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

fn storage(endpoint: &str, client: Client) -> ObjectStorage {
    let options = S3Options::from_vars([
        ("AWS_ACCESS_KEY_ID", "secret-id"),
        ("AWS_SECRET_ACCESS_KEY", "secret-key"),
        ("AWS_ENDPOINT_URL", endpoint),
    ]);
    ObjectStorage::open(&Url::parse("s3://bucket/prefix").unwrap(), &options, client).unwrap()
}

async fn put(storage: &ObjectStorage) -> ObjectsError {
    let mut upload = storage.begin(&ObjectKey::parse("a/b").unwrap());
    upload.write(Bytes::from_static(b"content")).await.unwrap();
    upload.finish().await.unwrap_err()
}

fn chain(error: &ObjectsError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, " {cause}");
        source = cause.source();
    }
    text
}

/// Answers every request with this status and body, and says how each began.
async fn server(status: &'static str, body: &'static str) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                socket.read_buf(&mut request).await.unwrap();
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            log.lock().unwrap().push(text.lines().next().unwrap().to_owned());
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}",
                body.len()
            );
            socket
                .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
                .await
                .unwrap();
        }
    });
    (endpoint, seen)
}

#[tokio::test]
async fn a_server_that_no_setting_allows_is_never_called() {
    let fence = Fence::builder().setting("AWS_ENDPOINT_URL", "storage").build();
    let egress = Egress::new(Arc::new(fence), Arc::new(StaticResolver::default())).unwrap();
    let error = put(&storage("https://s3.example", egress.client("objects", TIMEOUTS))).await;
    assert_eq!(error.fate(), Fate::Final);
    let text = chain(&error);
    assert!(
        text.contains("refused to call `s3.example`") && text.contains("AWS_ENDPOINT_URL"),
        "{text}"
    );
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_forgets_the_rest_of_what_the_server_said() {
    const BODY: &str = "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>secret-id</AWSAccessKeyId>\
                        <StringToSign>secret-string</StringToSign></Error>";
    let (endpoint, seen) = server("403 Forbidden", BODY).await;
    let error = put(&storage(&endpoint, loopback().client("objects", TIMEOUTS))).await;
    assert!(matches!(error, ObjectsError::Denied { .. }), "{error:?}");
    assert_eq!(error.fate(), Fate::RETRY);
    let text = chain(&error);
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");
    assert!(!text.contains("secret-"), "{text}");
    assert_eq!(*seen.lock().unwrap(), ["PUT /bucket/prefix/a/b HTTP/1.1"]);
}

#[tokio::test]
async fn a_body_that_is_no_error_document_is_forgotten_whole() {
    let (endpoint, _) = server("400 Bad Request", "<Code>secret- text</Code>").await;
    let error = put(&storage(&endpoint, loopback().client("objects", TIMEOUTS))).await;
    assert!(matches!(error, ObjectsError::Storage { .. }), "{error:?}");
    assert!(!chain(&error).contains("secret-"), "{}", chain(&error));
}
