//! What was true once is sent again.

use super::{BOT, BOT_SECRET, EVENTS, event, honest, refused, send, send_signed, sign, world, world_with};
use crate::bad_input::now;
use crate::harness::browser::Answer;
use crate::harness::world::{OLD_WEBHOOK_SECRET, WEBHOOK_SECRET, World};

async fn send_as(world: &World, secret: &str, timestamp: i64, request_id: &str, body: &[u8]) -> Answer {
    let (time, signature) = (timestamp.to_string(), sign(secret, timestamp, body));
    let fields = [
        ("x-zm-request-timestamp", time.as_str()),
        ("x-zm-signature", &signature),
        ("x-zm-request-id", request_id),
    ];
    send(world, EVENTS, &fields, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_window_counts_once_whatever_id_it_is_given() {
    let world = world().await;
    let (body, signed_at) = (event("replayed"), now() - 5600);
    for request_id in [
        "first_id",
        "first_id",
        "a_fresh_id",
        "another_fresh_id",
        "",
        "not an id",
    ] {
        let answer = send_as(&world, WEBHOOK_SECRET, signed_at, request_id, &body).await;
        assert_eq!(answer.status, 200, "{request_id}");
    }
    // Zoom's own retry may be signed anew, and by the other secret of a rotation.
    for (secret, timestamp) in [(WEBHOOK_SECRET, now()), (OLD_WEBHOOK_SECRET, now() - 60)] {
        let answer = send_as(&world, secret, timestamp, "first_id", &body).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(world.inbox().await.len(), 1);
    honest(&world, 1).await;
}

/// Mallory captured A and knows the id that B will have. B must not vanish.
#[tokio::test(flavor = "multi_thread")]
async fn under_the_id_of_another_request_does_not_make_that_one_vanish() {
    let world = world().await;
    let (captured, other) = (event("captured"), event("other"));
    assert_eq!(
        send_as(&world, WEBHOOK_SECRET, now(), "id_of_a", &captured)
            .await
            .status,
        200
    );
    assert_eq!(
        send_as(&world, WEBHOOK_SECRET, now(), "id_of_b", &captured)
            .await
            .status,
        200
    );
    assert_eq!(
        send_as(&world, WEBHOOK_SECRET, now(), "id_of_b", &other)
            .await
            .status,
        200
    );
    assert_eq!(world.inbox().await.len(), 2);
    // Nor in the other order: one id, two events.
    assert_eq!(
        send_as(&world, WEBHOOK_SECRET, now(), "id_of_b", &event("third"))
            .await
            .status,
        200
    );
    assert_eq!(world.inbox().await.len(), 3);
    honest(&world, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_the_window_is_refused() {
    let world = world().await;
    // Some seconds off the edges, which the unit tests have: the region runs on the real clock.
    for (path, secret) in [(EVENTS, WEBHOOK_SECRET), (BOT, BOT_SECRET)] {
        for age in [5760, 86_400, -360, -86_400] {
            refused(
                &send_signed(&world, path, secret, now() - age, &event("old")).await,
                401,
            );
        }
    }
    assert!(world.inbox().await.is_empty());
    for age in [5640, -240] {
        let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, now() - age, &event("old")).await;
        assert_eq!(answer.status, 200);
    }
    honest(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_as_it_is_set() {
    let world = world_with(&[
        ("DOMICILE_INTAKE_MAX_AGE_SECONDS", "600"),
        ("DOMICILE_INTAKE_MAX_AHEAD_SECONDS", "1200"),
    ])
    .await;
    for age in [660, -1260] {
        refused(
            &send_signed(&world, EVENTS, WEBHOOK_SECRET, now() - age, &event("x")).await,
            401,
        );
    }
    assert!(world.inbox().await.is_empty());
    for (age, note) in [(540, "a"), (-1140, "b")] {
        let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, now() - age, &event(note)).await;
        assert_eq!(answer.status, 200);
    }
    honest(&world, 2).await;
}
