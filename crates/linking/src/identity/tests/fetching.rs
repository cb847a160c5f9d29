//! When the app's keys are fetched, and what happens when they cannot be.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;

fn advance(room: &Room, by: TimeDelta) {
    room.clock.advance(by.to_std().unwrap());
}

#[tokio::test]
async fn keys_are_fetched_once_and_kept() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    for _ in 0..3 {
        assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    }
    assert_eq!(room.app.fetches(), 1);
    advance(&room, JWKS_MAX_AGE - TimeDelta::seconds(1));
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    assert_eq!(room.app.fetches(), 1);
    advance(&room, TimeDelta::seconds(1));
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    assert_eq!(room.app.fetches(), 2);
}

#[tokio::test]
async fn a_new_key_serves_at_once_and_a_withdrawn_one_no_longer_than_the_maximum_age() {
    let (old, new) = (AppKey::es256("k1"), AppKey::es256("k2"));
    let room = Room::start(&[&old]);
    assert_eq!(room.outcome(&room.token(&old)).await, "verified");
    advance(&room, JWKS_REFRESH_INTERVAL);
    room.app.publish(&[&old, &new]);
    assert_eq!(room.outcome(&room.token(&new)).await, "verified");
    room.app.publish(&[&new]);
    assert_eq!(
        room.outcome(&room.token(&old)).await,
        "verified",
        "nothing told us yet"
    );
    advance(&room, JWKS_MAX_AGE);
    assert_eq!(room.outcome(&room.token(&old)).await, "unknown_key");
    assert_eq!(room.outcome(&room.token(&new)).await, "verified");
}

#[tokio::test]
async fn an_app_that_withdraws_every_key_is_obeyed() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    room.app.publish(&[]);
    advance(&room, JWKS_MAX_AGE);
    assert_eq!(room.outcome(&room.token(&key)).await, "unknown_key");
}

#[tokio::test]
async fn a_key_without_a_name_may_be_replaced_too() {
    let (old, new) = (AppKey::es256("k1"), AppKey::es256("k2"));
    let room = Room::start(&[]);
    room.app.publish_jwks(&[old.bare_jwk()]);
    let header = json!({ "alg": "ES256" });
    assert_eq!(room.outcome(&old.sign(&header, &room.claims())).await, "verified");
    advance(&room, JWKS_REFRESH_INTERVAL);
    room.app.publish_jwks(&[new.bare_jwk()]);
    assert_eq!(room.outcome(&new.sign(&header, &room.claims())).await, "verified");
    assert_eq!(
        room.outcome(&old.sign(&header, &room.claims())).await,
        "bad_signature"
    );
}

#[tokio::test]
async fn a_flood_of_forged_key_ids_costs_the_app_one_fetch_per_interval() {
    let (key, forged) = (AppKey::es256("k1"), AppKey::es256("evil"));
    let room = Arc::new(Room::start(&[&key]));
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    for interval in 1..=3 {
        advance(&room, JWKS_REFRESH_INTERVAL);
        let flood = (0..100).map(|number| {
            let mut header = forged.header();
            header["kid"] = format!("forged-{interval}-{number}").into();
            let token = forged.sign(&header, &room.claims());
            let room = Arc::clone(&room);
            tokio::spawn(async move { room.outcome(&token).await })
        });
        for outcome in flood.collect::<Vec<_>>() {
            assert_eq!(outcome.await.unwrap(), "unknown_key");
        }
        assert_eq!(room.app.fetches(), 1 + interval);
        assert_eq!(
            room.outcome(&room.token(&key)).await,
            "verified",
            "honest users notice nothing"
        );
    }
}

#[tokio::test]
async fn all_who_wait_share_one_fetch() {
    let key = AppKey::es256("k1");
    let room = Arc::new(Room::start(&[&key]));
    room.app.hold_next();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (room, token) = (Arc::clone(&room), room.token(&key));
            tokio::spawn(async move { room.outcome(&token).await })
        })
        .collect();
    room.app.arrived().await;
    room.app.go_on();
    for outcome in waiting {
        assert_eq!(outcome.await.unwrap(), "verified");
    }
    assert_eq!(room.app.fetches(), 1);
}

#[tokio::test]
async fn whoever_hangs_up_does_not_keep_the_keys_from_others() {
    let key = AppKey::es256("k1");
    let room = Arc::new(Room::start(&[&key]));
    room.app.hold_next();
    let hanging_up = {
        let (room, token) = (Arc::clone(&room), room.token(&key));
        tokio::spawn(async move { room.outcome(&token).await })
    };
    room.app.arrived().await;
    hanging_up.abort();
    assert!(hanging_up.await.unwrap_err().is_cancelled());
    let honest = {
        let (room, token) = (Arc::clone(&room), room.token(&key));
        tokio::spawn(async move { room.outcome(&token).await })
    };
    room.app.go_on();
    assert_eq!(honest.await.unwrap(), "verified");
    assert_eq!(room.app.fetches(), 1);
}

#[tokio::test]
async fn in_an_outage_known_keys_go_on_for_an_hour_and_then_nobody_is_known() {
    let (key, new) = (AppKey::es256("k1"), AppKey::es256("k2"));
    let room = Room::start(&[&key]);
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    room.app.fail();
    advance(&room, JWKS_MAX_AGE);
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    assert_eq!(
        room.outcome(&room.token(&new)).await,
        "keys_unavailable",
        "it may be a new key"
    );
    advance(&room, JWKS_OUTAGE_LIMIT - JWKS_MAX_AGE - TimeDelta::seconds(1));
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    advance(&room, TimeDelta::seconds(1));
    let error = room.verify(&room.token(&key)).await.unwrap_err();
    assert_eq!(error.kind(), "keys_unavailable");
    assert!(error.fate().is_retry());
    room.app.publish(&[&key]);
    advance(&room, JWKS_RETRY_INTERVAL);
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
}

#[tokio::test]
async fn an_outage_is_not_hammered() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    room.app.fail();
    for _ in 0..10 {
        assert_eq!(room.outcome(&room.token(&key)).await, "keys_unavailable");
    }
    assert_eq!(room.app.fetches(), 1);
    advance(&room, JWKS_RETRY_INTERVAL);
    assert_eq!(room.outcome(&room.token(&key)).await, "keys_unavailable");
    assert_eq!(room.app.fetches(), 2);
}

#[tokio::test]
async fn what_is_no_set_of_keys_is_an_outage() {
    let key = AppKey::es256("k1");
    let many: Vec<_> = (0..101).map(|_| key.jwk()).collect();
    for (status, body) in [
        (200, String::new()),
        (200, "<html>".to_owned()),
        (200, "[]".to_owned()),
        (200, r#"{"keys":{}}"#.to_owned()),
        (200, json!({ "keys": many }).to_string()),
        (
            200,
            format!(r#"{{"keys":[],"padding":"{}"}}"#, "x".repeat(256 * 1024)),
        ),
        (404, json!({ "keys": [key.jwk()] }).to_string()),
        (500, String::new()),
        // A redirect is not followed: the keys are where the operator said.
        (302, String::new()),
    ] {
        let room = Room::start(&[]);
        room.app.answer(status, &body);
        let error = room.verify(&room.token(&key)).await.unwrap_err();
        assert_eq!(error.kind(), "keys_unavailable", "{status}");
        assert!(error.fate().is_retry());
        assert_eq!(room.app.fetches(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_app_that_is_not_there_is_an_outage() {
    let key = AppKey::es256("k1");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", closed.local_addr().unwrap());
    drop(closed);
    let room = Room::with(&[&key], |settings| settings.jwks_url = url.parse().unwrap());
    assert_eq!(room.outcome(&room.token(&key)).await, "keys_unavailable");
}

#[tokio::test]
async fn keys_from_a_time_to_come_are_fetched_anew() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    let start = room.clock.port().now();
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    room.clock.set(start - Duration::from_secs(86_400));
    assert_eq!(room.outcome(&room.token(&key)).await, "verified");
    assert_eq!(room.app.fetches(), 2);
    room.app.fail();
    room.clock.set(start - Duration::from_secs(2 * 86_400));
    assert_eq!(
        room.outcome(&room.token(&key)).await,
        "keys_unavailable",
        "their age is not known"
    );
}
