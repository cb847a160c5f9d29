//! Headers that two readers could read in two ways, and those that a subscription adds.

use super::{BOT, BOT_SECRET, EVENTS, event, honest, refused, repelled, send, sign, world, world_with};
use crate::bad_input::now;
use crate::harness::world::WEBHOOK_SECRET;

const TIME: &str = "x-zm-request-timestamp";
const SIGNATURE: &str = "x-zm-signature";

/// Each header once, twice or three times, in every order of the fields, equal and different, and in other cases.
#[tokio::test(flavor = "multi_thread")]
async fn duplicated_in_every_combination_and_order() {
    let world = world().await;
    let body = event("duplicated");
    let (time, signature) = (now().to_string(), sign(WEBHOOK_SECRET, now(), &body));
    let (other_time, forged) = ((now() - 1).to_string(), format!("v0={}", "0".repeat(64)));
    let good = [(TIME, time.as_str()), (SIGNATURE, signature.as_str())];
    for more in [
        vec![(TIME, time.as_str())],
        vec![(TIME, &other_time)],
        vec![(TIME, "")],
        vec![(SIGNATURE, &signature)],
        vec![(SIGNATURE, &forged)],
        vec![(SIGNATURE, "")],
        vec![(TIME, &time), (SIGNATURE, &signature)],
        vec![(TIME, &other_time), (SIGNATURE, &forged)],
        vec![("X-Zm-Request-Timestamp", &other_time)],
        vec![("X-ZM-SIGNATURE", &forged)],
    ] {
        let fields = [&good[..], &more].concat();
        for order in permutations(&fields) {
            refused(&send(&world, EVENTS, &order, &body).await, 400);
        }
    }
    // One field with a list is no way round it.
    for fields in [
        [(TIME, format!("{time}, {time}")), (SIGNATURE, signature.clone())],
        [(TIME, time.clone()), (SIGNATURE, format!("{forged},{signature}"))],
        [
            (TIME, time.clone()),
            (SIGNATURE, format!("{signature} {signature}")),
        ],
    ] {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        refused(&send(&world, EVENTS, &fields, &body).await, 400);
    }
    repelled(&world).await;
    for order in permutations(&good) {
        assert_eq!(send(&world, EVENTS, &order, &body).await.status, 200);
    }
    assert_eq!(world.inbox().await.len(), 3);
}

fn permutations<'a>(fields: &[(&'a str, &'a str)]) -> Vec<Vec<(&'a str, &'a str)>> {
    if fields.len() < 2 {
        return vec![fields.to_vec()];
    }
    (0..fields.len())
        .flat_map(|first| {
            let mut rest = fields.to_vec();
            let first = rest.remove(first);
            permutations(&rest)
                .into_iter()
                .map(move |rest| [&[first], &rest[..]].concat())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed() {
    let world = world().await;
    let body = event("malformed");
    let (time, signature) = (now().to_string(), sign(WEBHOOK_SECRET, now(), &body));
    let digits = signature.strip_prefix("v0=").unwrap();
    for (time, signature) in [
        (format!("+{time}"), signature.clone()),
        (format!("{time}.0"), signature.clone()),
        (format!("0x{time}"), signature.clone()),
        (format!("{time}000"), signature.clone()),
        ("now".to_owned(), signature.clone()),
        (time.clone(), digits.to_owned()),
        (time.clone(), format!("v1={digits}")),
        (time.clone(), format!("v0={}", digits.to_ascii_uppercase())),
        (time.clone(), format!("v0={}", &digits[1..])),
        (time.clone(), format!("v0={digits}00")),
        (time.clone(), format!("v0:{digits}")),
        (time.clone(), "v0=".to_owned()),
    ] {
        let fields = [(TIME, time.as_str()), (SIGNATURE, signature.as_str())];
        refused(&send(&world, EVENTS, &fields, &body).await, 400);
    }
    for (name, value) in [(TIME, &time), (SIGNATURE, &signature)] {
        refused(&send(&world, EVENTS, &[(name, value.as_str())], &body).await, 401);
    }
    repelled(&world).await;
}

/// Where a subscription adds a header, an event, a challenge and an unsigned challenge must have it, once and right.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_header_that_the_subscription_adds() {
    let world = world_with(&[
        (
            "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION",
            "Basic em9vbTpuZXctcGFzc3dvcmQ=, Basic em9vbTpvbGQtcGFzc3dvcmQ=",
        ),
        ("DOMICILE_BOT_WEBHOOK_HEADER", "X-Bot-Key: the-bots-key"),
    ])
    .await;
    let challenge = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"abc"}}"#.to_vec();
    let (new, old) = (
        ("authorization", "Basic em9vbTpuZXctcGFzc3dvcmQ="),
        ("authorization", "basic em9vbTpvbGQtcGFzc3dvcmQ="),
    );
    let bots = ("x-bot-key", "the-bots-key");
    for body in [event("added"), challenge.clone()] {
        for (path, secret, wrong) in [
            (
                EVENTS,
                WEBHOOK_SECRET,
                vec![vec![], vec![new, new], vec![new, old], vec![bots]],
            ),
            (
                EVENTS,
                WEBHOOK_SECRET,
                vec![
                    vec![("authorization", "Basic PLANTED")],
                    vec![("authorization", "")],
                ],
            ),
            (
                BOT,
                BOT_SECRET,
                vec![
                    vec![],
                    vec![bots, bots],
                    vec![new],
                    vec![("x-bot-key", "PLANTED")],
                ],
            ),
        ] {
            let (time, signature) = (now().to_string(), sign(secret, now(), &body));
            for wrong in wrong {
                let signed = [
                    &wrong[..],
                    &[(TIME, time.as_str()), (SIGNATURE, signature.as_str())],
                ]
                .concat();
                for fields in [&wrong, &signed] {
                    let answer = send(&world, path, fields, &body).await;
                    refused(&answer, 401);
                    assert!(!answer.text().contains("em9vb") && !answer.text().contains("the-bots-key"));
                }
            }
        }
    }
    assert!(world.inbox().await.is_empty());
    for (path, secret, added) in [
        (EVENTS, WEBHOOK_SECRET, new),
        (EVENTS, WEBHOOK_SECRET, old),
        (BOT, BOT_SECRET, bots),
    ] {
        let body = event("honest");
        let (time, signature) = (now().to_string(), sign(secret, now(), &body));
        let fields = [added, (TIME, time.as_str()), (SIGNATURE, signature.as_str())];
        assert_eq!(send(&world, path, &fields, &body).await.status, 200);
        assert_eq!(send(&world, path, &[added], &challenge).await.status, 200);
    }
    assert_eq!(world.inbox().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn added_headers_that_nobody_asked_for_are_ignored() {
    let world = world().await;
    let body = event("ignored");
    let (time, signature) = (now().to_string(), sign(WEBHOOK_SECRET, now(), &body));
    let fields = [
        ("authorization", "Basic nonsense"),
        ("authorization", "Bearer nonsense"),
        ("x-own", "nonsense"),
        ("clientid", "nonsense"),
        (TIME, time.as_str()),
        (SIGNATURE, signature.as_str()),
    ];
    assert_eq!(send(&world, EVENTS, &fields, &body).await.status, 200);
    honest(&world, 1).await;
}
