//! Does the time of a verification tell where a signature is wrong, or which secret matched? A statistical test in the
//! manner of dudect: it measures two classes of inputs in random order and compares their means by Welch's t-test. It is
//! no gate: a busy machine can make a difference that is none, so it prints, and a person judges.
//!
//! `cargo bench -p domicile-bench --bench timing_of_comparison -- --samples 2000000`

#![allow(clippy::unwrap_used, clippy::expect_used)] // A benchmark that cannot be set up has nothing to say.
#![allow(clippy::print_stdout)] // A benchmark talks to its terminal.
#![allow(clippy::cast_precision_loss)] // Nanoseconds become means.

use std::hint::black_box;
use std::time::Instant;

use chrono::DateTime;
use domicile_bench::event::{EventSource, Random};
use domicile_bench::table::{Table, thousands};
use domicile_bench::timing::{LEAKS_BEYOND, cropped, welch_t};
use domicile_kernel::{Secret, Timestamp};
use domicile_zoom::signature::{SignatureHeaders, WebhookSecret, WebhookSecrets, Window, verify};

const DEFAULT_SAMPLES: usize = 500_000;
/// The slowest measurements are interrupts.
const KEEP: f64 = 0.95;
const SIGNED_AT: i64 = 1_795_000_000;
const TOKENS: [&str; 3] = [
    "the-first-secret-token",
    "the-second-secret-token",
    "the-third-secret-token",
];

/// A right signature of this token, as 32 bytes.
fn signature(token: &str, body: &[u8]) -> [u8; 32] {
    let text = WebhookSecret::new(&Secret::from(token))
        .unwrap()
        .sign(SIGNED_AT, body);
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim_start_matches("v0="), &mut bytes).unwrap();
    bytes
}

fn headers(signature: &[u8; 32]) -> SignatureHeaders {
    let text = format!("v0={}", hex::encode(signature));
    SignatureHeaders::parse(SIGNED_AT.to_string().as_bytes(), text.as_bytes()).unwrap()
}

/// Flips bits of one byte, never none.
fn wrong_at(mut signature: [u8; 32], index: usize, random: &mut Random) -> [u8; 32] {
    signature[index] ^= u8::try_from(1 + random.below(255)).unwrap();
    signature
}

/// Times both classes in random order. `make` gives the input of a class, untimed; `run` is timed.
fn measure<I, R>(
    samples: usize,
    mut make: impl FnMut(bool, &mut Random) -> I,
    run: impl Fn(&I) -> R,
) -> (Vec<f64>, Vec<f64>) {
    let mut random = Random::new(0x71_3116);
    let (mut first, mut second) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    for number in 0..2 * samples {
        let class = random.next_u64() & 1 == 0;
        let input = make(class, &mut random);
        let start = Instant::now();
        black_box(run(black_box(&input)));
        let nanos = start.elapsed().as_nanos() as f64;
        // The first ones meet cold caches.
        if number >= 1_000 {
            if class { &mut first } else { &mut second }.push(nanos);
        }
    }
    (first, second)
}

fn show(table: &mut Table, name: &str, (first, second): (Vec<f64>, Vec<f64>)) {
    let (a, b) = cropped(&first, &second, KEEP);
    let t = welch_t(&a, &b);
    let word = if t.abs() > LEAKS_BEYOND {
        "differ"
    } else {
        "no difference"
    };
    table.row([
        name.to_owned(),
        thousands((a.count() + b.count()) as f64),
        format!("{:.1}", a.mean()),
        format!("{:.1}", b.mean()),
        format!("{t:.2}"),
        word.to_owned(),
    ]);
}

/// What must be found: a comparison that ends at the first wrong byte.
fn leaky(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).all(|(a, b)| black_box(a) == black_box(b))
}

fn main() {
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != "--samples")
        .skip(1);
    let samples = arguments.next().map_or(DEFAULT_SAMPLES, |text| {
        text.parse().expect("--samples takes a number")
    });
    let now: Timestamp = DateTime::from_timestamp(SIGNED_AT, 0).unwrap();
    let body = EventSource::with_files(1, 1, 0).body(1, 1_795_000_000_000);
    let secrets = |tokens: &[&str]| {
        let tokens: Vec<_> = tokens.iter().map(|token| Secret::from(*token)).collect();
        WebhookSecrets::new(&tokens).unwrap()
    };
    let mut table = Table::new(&[
        "two classes",
        "samples",
        "mean ns",
        "mean ns",
        "Welch's t",
        "beyond 4.5",
    ]);

    for tokens in [&TOKENS[..1], &TOKENS[..]] {
        let (right, secrets) = (signature(tokens[0], &body), secrets(tokens));
        let measured = measure(
            samples,
            |first, random| headers(&wrong_at(right, if first { 0 } else { 31 }, random)),
            |headers| verify(headers, &secrets, &body, now, Window::default()).is_ok(),
        );
        let name = format!("wrong in the first or the last byte, {} secrets", tokens.len());
        show(&mut table, &name, measured);
    }
    let (of_first, of_last, secrets) = (
        signature(TOKENS[0], &body),
        signature(TOKENS[2], &body),
        secrets(&TOKENS),
    );
    let measured = measure(
        samples,
        |first, _| headers(if first { &of_first } else { &of_last }),
        |headers| verify(headers, &secrets, &body, now, Window::default()).is_ok(),
    );
    show(
        &mut table,
        "the first or the last of three secrets matches",
        measured,
    );
    let measured = measure(
        samples,
        |first, random| wrong_at(of_first, if first { 0 } else { 31 }, random),
        |wrong| leaky(wrong, &of_first),
    );
    show(
        &mut table,
        "control: a comparison that ends at the first wrong byte",
        measured,
    );
    println!("{}", table.render());
    println!(
        "{} bytes of body; the slowest 5 % of the measurements are left out",
        body.len()
    );
}
