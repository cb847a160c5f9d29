//! Sessions as JWTs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::super::{AppIdentity, ReceivingAppSettings};
use super::browser::Browser;
use super::region::{CONNECT_URL, Region};
use crate::clock::TestClock;

const AUDIENCE: &str = "https://zoom.eu.example.com";

fn region() -> Region {
    Region::start_with(settings())
}

fn settings() -> ReceivingAppSettings {
    ReceivingAppSettings {
        identity: AppIdentity::SessionJwt {
            audience: AUDIENCE.to_owned(),
        },
        ..ReceivingAppSettings::default()
    }
}

/// The claims of a token, if the published keys made its signature.
async fn claims(region: &Region, token: &str) -> Option<Value> {
    let published = Browser::new(region.app.url()).get("/.well-known/jwks.json").await;
    assert_eq!(published.status, StatusCode::OK);
    let keys: JwkSet = serde_json::from_slice(&published.body).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref()?)?).unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[region.app.audience()]);
    rules.set_issuer(&[region.app.issuer()]);
    rules.required_spec_claims = HashSet::from(["iss".to_owned(), "aud".to_owned()]);
    rules.validate_exp = false;
    Some(jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap().claims)
}

#[tokio::test]
async fn who_signs_in_carries_a_session_token_until_she_signs_out() {
    let region = region();
    let alice = Browser::new(region.app.url());
    alice.get("/sign-in").await;
    let cookie = region.app.session_cookie();
    assert!(!alice.cookies().contains_key(&cookie), "a visitor is nobody");
    alice.sign_in("alice").await;
    let token = alice.cookies()[&cookie].clone();
    let claims = claims(&region, &token).await.unwrap();
    assert_eq!(claims["sub"], "1001");
    assert_eq!(claims["aud"], AUDIENCE);
    let form_token = alice.get("/settings").await.field("form_token");
    alice.post("/sign-out", &[("form_token", &form_token)]).await;
    assert!(!alice.cookies().contains_key(&cookie));
}

#[tokio::test]
async fn every_page_and_the_way_to_zoom_renew_the_token() {
    let clock = TestClock::new();
    let region = Region::start_with(ReceivingAppSettings {
        clock: Some(Arc::new(clock.clone())),
        ..settings()
    });
    let alice = Browser::new(region.app.url());
    let cookie = region.app.session_cookie();
    alice.sign_in("alice").await;
    let mut tokens = vec![alice.cookies()[&cookie].clone()];
    clock.advance(Duration::from_secs(60));
    let form_token = alice.get("/settings").await.field("form_token");
    tokens.push(alice.cookies()[&cookie].clone());
    clock.advance(Duration::from_secs(60));
    let answer = alice.post("/zoom/connect", &[("form_token", &form_token)]).await;
    assert_eq!(answer.leads_to(), CONNECT_URL);
    tokens.push(alice.cookies()[&cookie].clone());
    let mut ends = Vec::new();
    for token in &tokens {
        let claims = claims(&region, token).await.unwrap();
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            900
        );
        ends.push(claims["exp"].as_i64().unwrap());
    }
    assert_eq!((ends[1] - ends[0], ends[2] - ends[1]), (60, 60));
}

#[tokio::test]
async fn who_comes_back_with_a_link_of_hers_is_told_that_zoom_is_connected() {
    let region = region();
    region.has_link("user:1001", json!({}));
    let (alice, bob) = (Browser::new(region.app.url()), Browser::new(region.app.url()));
    alice.sign_in("alice").await;
    bob.sign_in("bob").await;
    for (browser, path, words) in [
        (&alice, "/zoom/return?link_id=l1", "Zoom is connected"),
        (&alice, "/zoom/return?link_id=l2", "no such connection of yours"),
        (&alice, "/zoom/return?ticket=t1", "without a connection"),
        (&bob, "/zoom/return?link_id=l1", "no such connection of yours"),
    ] {
        assert_eq!(browser.get(path).await.leads_to(), "/settings");
        let flash = browser.get("/settings").await.flash();
        assert!(flash.contains(words), "{path}: {flash}");
    }
    assert_eq!(region.asked(), [], "there is no ticket to confirm");
}

#[tokio::test]
async fn who_comes_back_signed_out_signs_in_first_and_the_link_is_kept() {
    let region = region();
    region.has_link("user:1001", json!({}));
    let alice = Browser::new(region.app.url());
    let page = alice.get("/zoom/return?link_id=l1").await;
    assert_eq!(page.status, StatusCode::OK);
    let (token, link_id) = (page.field("form_token"), page.field("link_id"));
    let fields = [
        ("user", "alice"),
        ("form_token", token.as_str()),
        ("link_id", link_id.as_str()),
    ];
    let answer = alice.post("/sign-in", &fields).await;
    assert_eq!(answer.leads_to(), "/zoom/return?link_id=l1");
}

#[tokio::test]
async fn a_new_key_signs_while_the_old_one_is_still_published() {
    let region = region();
    let old = region.app.session_jwt_for("user:1001");
    region.app.rotate_key();
    let new = region.app.session_jwt_for("org:acme");
    assert_eq!(claims(&region, &old).await.unwrap()["sub"], "1001");
    assert_eq!(claims(&region, &new).await.unwrap()["org"], "acme");
    region.app.withdraw_earlier_keys();
    assert!(claims(&region, &old).await.is_none());
    assert!(claims(&region, &new).await.is_some());
}

#[tokio::test]
async fn an_app_that_confirms_tickets_publishes_no_keys_and_sets_no_token() {
    let region = Region::start();
    let alice = Browser::new(region.app.url());
    assert_eq!(
        alice.get("/.well-known/jwks.json").await.status,
        StatusCode::NOT_FOUND
    );
    alice.sign_in("alice").await;
    assert_eq!(alice.cookies().len(), 1);
}
