//! Region keys at a running KMS. `DOMICILE_TEST_KMS_ENDPOINT` names it; the README says how to start one.
#![cfg(feature = "moto")]
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed; the panic says why"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_egress::Client;
use domicile_egress::testing::{TIMEOUTS, loopback};
use domicile_kernel::Secret;
use domicile_testkit::clock::TestClock;
use domicile_testkit::db::TestDb;
use domicile_vault::{AwsKms, CheckError, RegionKeySettings, UnfitKey, Vault};
use http::Request;
use serde_json::{Value, json};
use url::Url;

use crate::support::{Signer, account, class, entry, place, vault_with};

const REGION: &str = "eu-central-1";

#[expect(
    clippy::disallowed_methods,
    reason = "the test's caller names its server by the environment"
)]
fn endpoint() -> Url {
    std::env::var("DOMICILE_TEST_KMS_ENDPOINT")
        .expect("DOMICILE_TEST_KMS_ENDPOINT names a running KMS, such as http://127.0.0.1:5000")
        .parse()
        .unwrap()
}

fn client() -> Client {
    loopback().client("aws_kms", TIMEOUTS)
}

fn kms() -> AwsKms {
    AwsKms {
        client: client(),
        signer: Signer::new(),
        endpoint: Some(endpoint()),
    }
}

/// One operation of KMS, as an operator would call it.
async fn operate(operation: &str, body: Value) -> Value {
    let request = Request::post(endpoint().as_str())
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("TrentService.{operation}"))
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let kms = kms();
    let signed = kms.signer.sign("kms", REGION, request).await.unwrap();
    let answer = kms.client.send(signed).await.unwrap();
    let status = answer.status();
    let body = answer.bytes_limited(100_000).await.unwrap();
    assert!(status.is_success(), "{operation}: {status} {body:?}");
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

/// A new key; gives its ARN.
async fn new_key() -> String {
    let made = operate("CreateKey", json!({})).await;
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

fn vault(db: &TestDb, seed: u64, entries: &[String]) -> Vault {
    let settings =
        RegionKeySettings::parse(&Secret::new(entries.join(","))).unwrap_or_else(|e| panic!("{e}"));
    let keys = settings.connect(Some(&kms())).unwrap_or_else(|e| panic!("{e}"));
    vault_with(db.db(), &TestClock::new(), seed, keys)
}

#[tokio::test]
async fn keys_rotate_from_local_to_kms_to_another_key_there_and_back() {
    let db = TestDb::create().await;
    let local = entry("local", 1);
    let first = format!("first:aws-kms:{}", new_key().await);
    let second = format!("second:aws-kms:{}", new_key().await);
    let start = vault(&db, 1, std::slice::from_ref(&local));
    let mut sealed = Vec::new();
    for number in 0..12 {
        let key = start.key(&account(number)).await.unwrap();
        sealed.push(key.seal(place(), number.to_string().as_bytes()).unwrap());
    }
    for (seed, new, old) in [(10, &first, &local), (20, &second, &first), (30, &local, &second)] {
        let operator = vault(&db, seed, &[new.clone(), old.clone()]);
        operator.check().await.unwrap();
        let report = operator.rotate(|_| ()).await.unwrap();
        assert_eq!((report.rotated, report.is_complete()), (12, true), "{report:?}");
        let alone = vault(&db, seed + 1, std::slice::from_ref(new));
        alone.check().await.unwrap();
        for (number, sealed) in sealed.iter().enumerate() {
            let opened = alone.open_text(place(), sealed).await.unwrap();
            assert_eq!(*opened.expose(), number.to_string());
        }
    }
}

#[tokio::test]
async fn kms_itself_refuses_a_wrapped_key_in_another_row() {
    let db = TestDb::create().await;
    let arn = new_key().await;
    let entries = [format!("k1:aws-kms:{arn}")];
    let first = vault(&db, 1, &entries);
    let key = first.key(&account("A")).await.unwrap();
    let sealed = key.seal(place(), b"x").unwrap();
    first.key(&account("B")).await.unwrap();
    let client = db.client().await;
    let blob: Vec<u8> = client
        .query_one(
            "SELECT wrapped_key FROM vault_keys WHERE zoom_account_id = 'A'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    // The data key's id is the whole of the context.
    let decrypt = json!({
        "KeyId": arn,
        "CiphertextBlob": STANDARD.encode(&blob),
        "EncryptionContext": {"domicile:data_key": key.id().to_string()},
    });
    assert!(operate("Decrypt", decrypt).await["Plaintext"].is_string());
    let swap = "UPDATE vault_keys k SET wrapped_key = o.wrapped_key FROM vault_keys o WHERE o.id <> k.id";
    assert_eq!(client.execute(swap, &[]).await.unwrap(), 2);
    let elsewhere = vault(&db, 2, &entries);
    assert_eq!(class(elsewhere.open(place(), &sealed).await), "wrong");
}

#[tokio::test]
async fn a_key_that_kms_does_not_know_stops_the_start_and_is_named() {
    let db = TestDb::create().await;
    let unknown = new_key().await.replace(":key/", ":key/0000");
    let vault = vault(&db, 1, &[format!("k1:aws-kms:{unknown}")]);
    assert_eq!(class(vault.key(&account("A")).await), "not_found");
    match vault.check().await {
        Err(CheckError::Unfit(keys)) => {
            assert!(matches!(keys.as_slice(), [UnfitKey::Refused(error)] if error.class() == "not_found"));
            assert!(keys[0].to_string().contains("\"k1\""));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_local_key_wrapped_is_no_ciphertext_of_kms() {
    let db = TestDb::create().await;
    let local = vault(&db, 1, &[entry("k1", 1)]);
    let sealed = local
        .key(&account("A"))
        .await
        .unwrap()
        .seal(place(), b"x")
        .unwrap();
    let at_kms = vault(&db, 2, &[format!("k1:aws-kms:{}", new_key().await)]);
    assert_eq!(class(at_kms.open(place(), &sealed).await), "wrong");
}
