//! What goes over the wire to KMS, and what of its answers is believed.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domicile_egress::testing::{TIMEOUTS, loopback};
use domicile_kernel::{Fate, Secret};
use domicile_testkit::clock::TestClock;
use domicile_testkit::db::TestDb;
use domicile_vault::{AwsKms, RegionKeySettings, RegionKeys, Vault, VaultError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use crate::support::{Signer, account, class, place, vault_with};

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// What a server of these tests has been asked: heads and bodies.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers a request by its operation and its body with a status and a body; an empty status ends the
/// connection without an answer.
async fn server(
    mut answer: impl FnMut(&str, &str) -> (&'static str, String) + Send + 'static,
) -> (Url, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            let (head, body) = loop {
                let mut piece = Vec::new();
                socket.read_buf(&mut piece).await.unwrap();
                request.push_str(std::str::from_utf8(&piece).unwrap());
                let Some((head, body)) = request.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if length.unwrap().parse::<usize>().unwrap() == body.len() {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let operation = head
                .lines()
                .find_map(|line| line.strip_prefix("x-amz-target: TrentService."))
                .unwrap();
            let (status, answer) = answer(operation, &body);
            log.lock().unwrap().push((head, body));
            if !status.is_empty() {
                let length = answer.len();
                let text = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
                );
                socket.write_all(text.as_bytes()).await.unwrap();
            }
        }
    });
    (url, seen)
}

/// KMS in miniature: base64 is its cipher.
fn kms(operation: &str, body: &str) -> (&'static str, String) {
    let member = |name: &str| {
        let (_, rest) = body.split_once(&format!("\"{name}\":\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let answer = match operation {
        "Encrypt" => format!(
            r#"{{"KeyId":"{ARN}","CiphertextBlob":"{}"}}"#,
            member("Plaintext")
        ),
        "Decrypt" => format!(
            r#"{{"KeyId":"{ARN}","Plaintext":"{}"}}"#,
            member("CiphertextBlob")
        ),
        other => panic!("{other}"),
    };
    ("200 OK", answer)
}

fn failing(code: &str) -> String {
    format!(
        r#"{{"__type":"{code}","message":"User: arn:aws:iam::1:user/secret-user is not authorized: secret-id"}}"#
    )
}

fn keys(endpoint: Url) -> RegionKeys {
    let kms = AwsKms {
        client: loopback().client("aws_kms", TIMEOUTS),
        signer: Signer::new(),
        endpoint: Some(endpoint),
    };
    let settings = RegionKeySettings::parse(&Secret::new(format!("k1:aws-kms:{ARN}")));
    settings.ok().unwrap().connect(Some(&kms)).ok().unwrap()
}

fn vault(db: &TestDb, endpoint: Url) -> Vault {
    vault_with(db.db(), &TestClock::new(), 1, keys(endpoint))
}

fn chain(error: &VaultError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, " {cause}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn the_requests_are_kms_own_signed_and_bound_to_the_data_key() {
    let db = TestDb::create().await;
    let (endpoint, seen) = server(kms).await;
    let key = vault(&db, endpoint.clone()).key(&account("A")).await.unwrap();
    let sealed = key.seal(place(), b"x").unwrap();
    vault(&db, endpoint).open(place(), &sealed).await.unwrap();
    let seen = seen.lock().unwrap();
    let operations: Vec<_> = seen
        .iter()
        .map(|(head, _)| {
            head.split_once("TrentService.")
                .unwrap()
                .1
                .lines()
                .next()
                .unwrap()
        })
        .collect();
    assert_eq!(operations, ["Encrypt", "Decrypt", "Decrypt"]);
    for (head, body) in seen.iter() {
        assert!(head.starts_with("POST / HTTP/1.1"), "{head}");
        for part in [
            "content-type: application/x-amz-json-1.1",
            "/eu-central-1/kms/aws4_request",
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target",
            "x-amz-security-token: secret-token",
        ] {
            assert!(head.contains(part), "{part} in {head}");
        }
        let context = format!(r#""EncryptionContext":{{"domicile:data_key":"{}"}}"#, key.id());
        assert!(
            body.contains(&context) && body.contains(&format!(r#""KeyId":"{ARN}""#)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn each_refusal_is_told_apart_and_nothing_of_its_text_is_kept() {
    for (status, code, expected) in [
        ("400 Bad Request", "NotFoundException", "not_found"),
        ("400 Bad Request", "DisabledException", "disabled"),
        ("400 Bad Request", "KMSInvalidStateException", "disabled"),
        ("400 Bad Request", "AccessDeniedException", "denied"),
        ("400 Bad Request", "InvalidKeyUsageException", "unfit"),
        ("400 Bad Request", "ThrottlingException", "unavailable"),
        ("500 Internal Server Error", "KMSInternalException", "unavailable"),
    ] {
        let db = TestDb::create().await;
        let (endpoint, seen) = server(move |_, _| (status, failing(code))).await;
        let error = vault(&db, endpoint).key(&account("A")).await.err().unwrap();
        assert_eq!((error.class(), error.fate()), (expected, Fate::RETRY));
        let text = chain(&error);
        assert!(text.contains("\"k1\"") && !text.contains("secret"), "{text}");
        let tries = if expected == "unavailable" { 2 } else { 1 };
        assert_eq!(seen.lock().unwrap().len(), tries, "{code}");
    }
}

#[tokio::test]
async fn a_connection_that_had_ended_costs_a_second_try_and_no_failure() {
    let db = TestDb::create().await;
    let mut calls = 0;
    let (endpoint, _) = server(move |operation, body| {
        calls += 1;
        if calls % 2 == 1 {
            ("", String::new())
        } else {
            kms(operation, body)
        }
    })
    .await;
    vault(&db, endpoint).key(&account("A")).await.unwrap();
}

#[tokio::test]
async fn nobody_who_answers_is_unreachable_and_not_a_refusal() {
    let db = TestDb::create().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Url::parse(&format!("http://{}", gone.local_addr().unwrap())).unwrap();
    drop(gone);
    let error = vault(&db, endpoint).key(&account("A")).await.err().unwrap();
    assert_eq!((error.class(), error.fate()), ("unreachable", Fate::RETRY));
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_asked_for_is_not_believed() {
    let other_key = ARN.replace("1234abcd", "abcd1234");
    let bytes = STANDARD.encode([7; 32]);
    for (encrypted, decrypted) in [
        // Wrapped by another key.
        (
            format!(r#"{{"KeyId":"{other_key}","CiphertextBlob":"AAAA"}}"#),
            String::new(),
        ),
        ("not JSON".to_owned(), String::new()),
        (
            format!(r#"{{"KeyId":"{ARN}","CiphertextBlob":"%"}}"#),
            String::new(),
        ),
        // Not the data key that was wrapped.
        (
            format!(r#"{{"KeyId":"{ARN}","CiphertextBlob":"AAAA"}}"#),
            format!(r#"{{"KeyId":"{ARN}","Plaintext":"{bytes}"}}"#),
        ),
    ] {
        let db = TestDb::create().await;
        let (endpoint, _) = server(move |operation, _| {
            let answer = if operation == "Encrypt" {
                &encrypted
            } else {
                &decrypted
            };
            ("200 OK", answer.clone())
        })
        .await;
        let vault = vault(&db, endpoint);
        assert_eq!(class(vault.key(&account("A")).await), "answer");
        assert_eq!(vault.status().await.unwrap().to_rotate, 0);
        assert_eq!(vault.status().await.unwrap().region_keys[0].data_keys, 0);
    }
}

#[tokio::test]
async fn a_host_that_no_setting_allows_is_never_called() {
    let db = TestDb::create().await;
    let error = vault(&db, Url::parse("https://kms.eu-central-1.amazonaws.com").unwrap())
        .key(&account("A"))
        .await
        .err()
        .unwrap();
    assert!(
        chain(&error).contains("refused to call `kms.eu-central-1.amazonaws.com`"),
        "{}",
        chain(&error)
    );
}
