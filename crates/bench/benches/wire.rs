//! What an event costs before it is stored: verification, challenge, parsing, sealing.

#![allow(clippy::unwrap_used)] // A benchmark that cannot be set up has nothing to say.
#![allow(missing_docs)] // Criterion's macros make a function without a word.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domicile_bench::event::EventSource;
use domicile_bench::wall;
use domicile_kernel::{InboxId, Secret};
use domicile_testkit::db::TestDb;
use domicile_vault::{KeyScope, Place, RegionKeys, Vault};
use domicile_zoom::challenge;
use domicile_zoom::event::Envelope;
use domicile_zoom::signature::{SignatureHeaders, WebhookSecret, WebhookSecrets, Window, verify};

const TOKENS: [&str; 3] = [
    "the-first-secret-token",
    "the-second-secret-token",
    "the-third-secret-token",
];

fn body(files: usize) -> Vec<u8> {
    EventSource::with_files(20, 1, files).body(1, 1_795_000_000_000)
}

fn size(body: &[u8]) -> Throughput {
    Throughput::Bytes(body.len() as u64)
}

fn verification(criterion: &mut Criterion) {
    let (body, now) = (body(2), wall::ids().clock().now());
    let mut group = criterion.benchmark_group("verify a signature");
    group.throughput(size(&body));
    for count in [1, TOKENS.len()] {
        let tokens: Vec<_> = TOKENS[..count].iter().map(|token| Secret::from(*token)).collect();
        let secrets = WebhookSecrets::new(&tokens).unwrap();
        let signature = secrets.get_or_first(count - 1).sign(now.timestamp(), &body);
        let timestamp = now.timestamp().to_string();
        group.bench_function(format!("{count} secrets, {} bytes", body.len()), |bencher| {
            bencher.iter(|| {
                let headers = SignatureHeaders::parse(timestamp.as_bytes(), signature.as_bytes()).unwrap();
                verify(
                    black_box(&headers),
                    &secrets,
                    black_box(&body),
                    now,
                    Window::default(),
                )
                .unwrap()
            });
        });
    }
    group.finish();
}

fn answering_a_challenge(criterion: &mut Criterion) {
    let body =
        br#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
    let secret = WebhookSecret::new(&Secret::from(TOKENS[0])).unwrap();
    criterion.bench_function("answer a challenge", |bencher| {
        bencher.iter(|| {
            let token = challenge::parse(black_box(body)).unwrap().unwrap();
            secret.answer(&token)
        });
    });
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse an envelope");
    for files in [2, 150] {
        let body = body(files);
        group.throughput(size(&body));
        group.bench_function(format!("{files} files, {} bytes", body.len()), |bencher| {
            bencher.iter(|| Envelope::parse(black_box(&body)).unwrap());
        });
    }
    group.finish();
}

fn sealing(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ids = wall::ids();
    let (_db, key) = runtime.block_on(async {
        let db = TestDb::create().await;
        let keys = "k1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
        let keys = RegionKeys::parse(&Secret::from(keys)).unwrap();
        let vault = Vault::new(db.db(), ids.clone(), keys);
        let key = vault.key(&KeyScope::Region).await.unwrap();
        (db, key)
    });
    let mut group = criterion.benchmark_group("seal a body");
    for files in [2, 150] {
        let body = body(files);
        let id: InboxId = ids.make();
        group.throughput(size(&body));
        group.bench_function(format!("{} bytes", body.len()), |bencher| {
            bencher.iter(|| {
                key.seal(Place::new("inbox", "body_sealed", id), black_box(&body))
                    .unwrap()
            });
        });
    }
    group.finish();
}

fn generating(criterion: &mut Criterion) {
    let source = EventSource::new(20, 1);
    let secret = WebhookSecret::new(&Secret::from(TOKENS[0])).unwrap();
    let mut body = source.blank().to_vec();
    let mut number = 0;
    let mut group = criterion.benchmark_group("generate an event");
    group.throughput(size(&body));
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            number += 1;
            source.write(&mut body, number, wall::unix_millis());
        });
    });
    group.bench_function("write and sign", |bencher| {
        bencher.iter(|| {
            number += 1;
            source.write(&mut body, number, wall::unix_millis());
            secret.sign(wall::unix_seconds(), &body)
        });
    });
    group.finish();
}

criterion_group!(
    wire,
    verification,
    answering_a_challenge,
    parsing,
    sealing,
    generating
);
criterion_main!(wire);
