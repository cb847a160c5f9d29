//! S3's traffic: it stays inside the fence, and its errors do not repeat what the server said.
#![cfg(test)]

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

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

/// The heads of the requests that a server has seen.
type Seen = Arc<Mutex<Vec<String>>>;

/// A server that answers a request by its head with a status and a body, and closes.
async fn server(answer: impl Fn(&str) -> (&'static str, String) + Send + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let log = seen.clone();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                socket.read_buf(&mut request).await.unwrap();
            }
            let head = String::from_utf8_lossy(&request).into_owned();
            let (status, body) = answer(&head);
            log.lock().unwrap().push(head);
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\netag: \"x\"\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
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
    let (endpoint, seen) = server(|_| ("403 Forbidden", BODY.to_owned())).await;
    let error = put(&storage(&endpoint, loopback().client("objects", TIMEOUTS))).await;
    assert!(matches!(error, ObjectsError::Denied { .. }), "{error:?}");
    assert_eq!(error.fate(), Fate::RETRY);
    let text = chain(&error);
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");
    assert!(!text.contains("secret-"), "{text}");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1, "a refusal is not tried again");
    assert!(
        seen[0].starts_with("PUT /bucket/prefix/a/b HTTP/1.1\r\n"),
        "{}",
        seen[0]
    );
}

/// Two processes may mark at once, so the bucket is asked to keep the first; and a bucket that cannot be asked stays untouched.
#[tokio::test]
async fn the_regions_mark_is_written_on_condition_and_before_everything_else() {
    let written = Mutex::new(false);
    let (endpoint, seen) = server(move |head| {
        let mut written = written.lock().unwrap();
        if head.starts_with("PUT") {
            *written = true;
        }
        if *written {
            ("200 OK", "eu\n".to_owned())
        } else {
            (
                "404 Not Found",
                "<Error><Code>NoSuchKey</Code></Error>".to_owned(),
            )
        }
    })
    .await;
    let storage =
        storage(&endpoint, loopback().client("objects", TIMEOUTS)).for_region("eu".parse().unwrap());
    storage.head(&ObjectKey::parse("a/b").unwrap()).await.unwrap();
    let heads = seen.lock().unwrap().clone();
    let lines: Vec<_> = heads.iter().map(|head| head.lines().next().unwrap()).collect();
    let mark = "/bucket/prefix/domicile-region HTTP/1.1";
    assert_eq!(
        lines,
        [
            format!("GET {mark}"),
            format!("PUT {mark}"),
            format!("GET {mark}"),
            "HEAD /bucket/prefix/a/b HTTP/1.1".to_owned()
        ]
    );
    assert!(
        heads[1].to_lowercase().contains("\r\nif-none-match: *\r\n"),
        "{}",
        heads[1]
    );
}

#[tokio::test]
async fn a_storage_that_does_not_show_its_mark_is_neither_read_nor_written() {
    let (endpoint, seen) = server(|_| {
        (
            "403 Forbidden",
            "<Error><Code>AccessDenied</Code></Error>".to_owned(),
        )
    })
    .await;
    let storage =
        storage(&endpoint, loopback().client("objects", TIMEOUTS)).for_region("eu".parse().unwrap());
    let error = put(&storage).await;
    assert!(matches!(error, ObjectsError::Denied { .. }), "{error}");
    let heads = seen.lock().unwrap().clone();
    assert!(
        heads
            .iter()
            .all(|head| head.starts_with("GET /bucket/prefix/domicile-region ")),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_body_that_is_no_error_document_is_forgotten_whole() {
    let (endpoint, _) = server(|_| ("400 Bad Request", "<Code>secret- text</Code>".to_owned())).await;
    let error = put(&storage(&endpoint, loopback().client("objects", TIMEOUTS))).await;
    assert!(matches!(error, ObjectsError::Storage { .. }), "{error:?}");
    assert!(!chain(&error).contains("secret-"), "{}", chain(&error));
}

/// `AssumeRoleWithWebIdentity` of the AWS Security Token Service API reference.
#[tokio::test]
async fn a_web_identity_gets_its_credentials_from_the_token_service() {
    let (endpoint, seen) = server(|head| {
        let body = if head.starts_with("POST /?Action=AssumeRoleWithWebIdentity") {
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>lent-id</AccessKeyId><SecretAccessKey>lent-key</SecretAccessKey>\
             <SessionToken>lent-token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        } else {
            ""
        };
        ("200 OK", body.to_owned())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "the.service.account").unwrap();
    let options = S3Options::from_vars([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/domicile"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ENDPOINT_URL_STS", &endpoint),
    ]);
    let url = Url::parse("s3://bucket").unwrap();
    let client = loopback().client("objects", TIMEOUTS);
    let storage = ObjectStorage::open(&url, &options, client).unwrap();
    storage
        .begin(&ObjectKey::parse("a").unwrap())
        .finish()
        .await
        .unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].contains("WebIdentityToken=the.service.account"));
    assert!(seen[1].contains("Credential=lent-id/") && seen[1].contains("x-amz-security-token: lent-token"));
}

#[tokio::test]
async fn a_failing_token_service_is_an_error_without_the_identity() {
    let (endpoint, _) = server(|_| {
        let body = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>secret-identity</Message></Error>";
        ("400 Bad Request", body.to_owned())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret-identity").unwrap();
    let options = S3Options::from_vars([
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/domicile"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ENDPOINT_URL_STS", &endpoint),
    ]);
    let client = loopback().client("objects", TIMEOUTS);
    let storage = ObjectStorage::open(&Url::parse("s3://bucket").unwrap(), &options, client).unwrap();
    let text = chain(&put(&storage).await);
    assert!(text.contains("InvalidIdentityToken"), "{text}");
    assert!(!text.contains("secret-"), "{text}");
}
