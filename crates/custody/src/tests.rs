use bytes::Bytes;
use chrono::{TimeDelta, TimeZone, Utc};
use domicile_egress::testing::{TIMEOUTS, loopback};
use domicile_kernel::{Secret, Timestamp};
use domicile_store::StoreError;
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use http::Request;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::evidence::{Deployment, Evidence, EvidenceKey, FORM, PublicKey, Signed, Stored, page};
use crate::{Contactbook, CustodyError, store};

fn noon() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 26, 12, 20, 0).unwrap()
}

/// Answers every request with `hello` and gives its port.
async fn greeter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = socket.read(&mut head).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            let _ = socket.write_all(answer).await;
        }
    });
    port
}

fn post(url: &str, body: &'static str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from(body)).unwrap()
}

#[tokio::test]
async fn calls_and_refusals_are_written_down_hour_by_hour() -> Result<(), StoreError> {
    let (test, clock) = (TestDb::create().await, TestClock::at(noon()));
    let egress = loopback();
    let contacts = vec![egress.fence().contacts().clone()];
    let book = Contactbook::new(test.db(), ids(&clock, &SeededRng::new(1)), contacts);
    let client = egress.client("zoom_api", TIMEOUTS);
    let port = greeter().await;
    for _ in 0..2 {
        let answer = client
            .send(post(&format!("http://127.0.0.1:{port}/x?secret"), "1234"))
            .await;
        answer.unwrap().bytes_limited(100).await.unwrap();
    }
    client
        .send(post("https://elsewhere.example/", "12345678"))
        .await
        .unwrap_err();
    book.write().await;
    clock.advance(std::time::Duration::from_hours(1));
    let answer = client.send(post(&format!("http://127.0.0.1:{port}/"), "")).await;
    answer.unwrap().bytes_limited(100).await.unwrap();
    book.write().await;
    book.write().await;

    let mut conn = test.db().conn().await?;
    let (from, to) = (noon(), noon() + TimeDelta::hours(2));
    let contacted = store::contacted(&mut conn, from, to).await?;
    assert_eq!(contacted.len(), 1, "{contacted:?}");
    let it = &contacted[0];
    assert_eq!(
        (
            it.host.as_str(),
            it.port,
            it.purpose.as_str(),
            it.calls,
            it.failed
        ),
        ("127.0.0.1", i32::from(port), "zoom_api", 3, 0)
    );
    assert_eq!((it.sent_bytes, it.received_bytes), (8, 15));
    assert_eq!(it.last_hour - it.first_hour, TimeDelta::hours(1));
    let refused = store::refused(&mut conn, from, to).await?;
    assert_eq!(
        (
            refused[0].host.as_str(),
            refused[0].reason.as_str(),
            refused[0].calls
        ),
        ("elsewhere.example", "host", 1)
    );
    // Other hours say nothing of these.
    let earlier = noon() - TimeDelta::hours(1);
    assert!(
        store::contacted(&mut conn, earlier, noon() - TimeDelta::minutes(20))
            .await?
            .is_empty()
    );
    let client = test.client().await;
    let sql = "SELECT actor, outcome, reason FROM audit_entries WHERE action = 'egress.call'";
    let entries = client.query(sql, &[]).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].get::<_, String>(2), "host");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_for_the_next_time() {
    let (test, clock) = (TestDb::create().await, TestClock::at(noon()));
    let egress = loopback();
    let contacts = vec![egress.fence().contacts().clone()];
    let book = Contactbook::new(test.db(), ids(&clock, &SeededRng::new(1)), contacts);
    egress
        .client("zoom_api", TIMEOUTS)
        .send(post("https://elsewhere.example/", ""))
        .await
        .unwrap_err();
    test.go_away().await;
    book.write().await;
    test.come_back().await;
    book.write().await;
    let mut conn = test.db().conn().await.unwrap();
    let refused = store::refused(&mut conn, noon(), noon() + TimeDelta::hours(1))
        .await
        .unwrap();
    assert_eq!(refused.len(), 1);
}

fn evidence() -> Evidence {
    Evidence {
        form: FORM.to_owned(),
        deployment: Deployment {
            region_id: "eu".to_owned(),
            region_name: "European <Union>".to_owned(),
            version: "1".to_owned(),
            configuration_sha256: "00".to_owned(),
            database: "db:5432/eu".to_owned(),
            object_storage: "s3://eu".to_owned(),
            allowed: vec!["zoom.us and all under it (DOMICILE_ZOOM_HOSTS)".to_owned()],
        },
        from: noon(),
        to: noon() + TimeDelta::days(1),
        gathered_at: noon() + TimeDelta::days(2),
        stored: vec![Stored {
            kind: "links".to_owned(),
            zoom_account_id: Some("A".to_owned()),
            count: 3,
            size_bytes: 0,
        }],
        contacted: vec![],
        refused: vec![],
        erased: vec![],
        keys: vec![],
    }
}

fn key(seed: &str) -> EvidenceKey {
    EvidenceKey::from_base64(&Secret::from(seed)).unwrap()
}

const SEED: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
const OTHER_SEED: &str = "AgIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

#[test]
fn what_was_signed_verifies_after_it_was_written_and_read() {
    let signed = key(SEED).sign(&evidence()).unwrap();
    for text in [
        serde_json::to_vec(&signed).unwrap(),
        serde_json::to_vec_pretty(&signed).unwrap(),
    ] {
        let read = Signed::from_json(&text).unwrap();
        assert_eq!(read.verify(&key(SEED).public_key()).unwrap(), evidence());
    }
    // The key that a forger puts into the file is not believed.
    let mut forged = key(OTHER_SEED).sign(&evidence()).unwrap();
    let refused = forged.verify(&key(SEED).public_key());
    assert!(matches!(refused, Err(CustodyError::Signature)));
    forged.signature.algorithm = "none".to_owned();
    let refused = forged.verify(&key(OTHER_SEED).public_key());
    assert!(matches!(refused, Err(CustodyError::Signature)));
}

#[test]
fn a_document_of_another_form_is_not_taken_for_ours() {
    let mut newer = evidence();
    newer.form = "domicile-evidence-2".to_owned();
    let signed = key(SEED).sign(&newer).unwrap();
    let refused = signed.verify(&key(SEED).public_key());
    assert!(matches!(refused, Err(CustodyError::Form(form)) if form == "domicile-evidence-2"));
}

#[test]
fn keys_of_another_length_are_refused() {
    for text in ["", "x", "AQID", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh"] {
        assert!(EvidenceKey::from_base64(&Secret::from(text)).is_err(), "{text}");
        assert!(text.parse::<PublicKey>().is_err(), "{text}");
    }
    let public_key = key(SEED).public_key();
    assert_eq!(public_key.to_string().parse::<PublicKey>().unwrap(), public_key);
}

#[test]
fn the_page_escapes_what_it_shows_and_brings_everything_along() {
    let signed = key(SEED).sign(&evidence()).unwrap();
    let text = page(&evidence(), &signed.signature).into_string();
    assert!(text.contains("European &lt;Union&gt;") && !text.contains("<script"));
    assert!(text.contains(&signed.signature.value));
}

proptest! {
    #[test]
    fn any_changed_character_breaks_the_signature(at in any::<prop::sample::Index>(), to in "[a-z0-9]") {
        let signed = key(SEED).sign(&evidence()).unwrap();
        let text = serde_json::to_string(&signed.evidence).unwrap();
        let place = at.index(text.len());
        prop_assume!(text.is_char_boundary(place) && text.is_char_boundary(place + 1));
        let changed = format!("{}{to}{}", &text[..place], &text[place + 1..]);
        prop_assume!(changed != text);
        if let Ok(evidence) = serde_json::from_str(&changed) {
            let forged = Signed { evidence, signature: signed.signature };
            prop_assert!(forged.verify(&key(SEED).public_key()).is_err());
        }
    }
}
