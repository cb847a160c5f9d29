//! What is a session of the app's, and what is none.

use actix_web::http::header::{HeaderName, HeaderValue};
use aws_lc_rs::hmac;

use super::signer::{encode, mac};
use super::*;

#[tokio::test]
async fn a_session_names_its_user_and_organisation_and_nobody_else() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    let session = room.verify(&room.token(&key)).await.unwrap();
    assert!(session.names(&subject("user:12345")));
    assert!(session.names(&subject("org:acme")));
    for other in [
        "user:1234",
        "user:123456",
        "user:acme",
        "org:12345",
        "org:Acme",
        "user:12345 ",
    ] {
        assert!(!session.names(&subject(other)), "{other}");
    }
    assert_eq!(format!("{session:?}"), "VerifiedSession { .. }");
}

#[tokio::test]
async fn without_an_organisation_a_session_names_none() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    for none in [Value::Null, "".into()] {
        let token = key.sign(&key.header(), &room.claims_with("org", none));
        let session = room.verify(&token).await.unwrap();
        assert!(session.names(&subject("user:12345")) && !session.names(&subject("org:acme")));
    }
    let unasked = Room::with(&[&key], |settings| settings.org_claim = None);
    let session = unasked.verify(&unasked.token(&key)).await.unwrap();
    assert!(!session.names(&subject("org:acme")));
}

#[tokio::test]
async fn the_claims_that_name_somebody_are_the_configured_ones() {
    let key = AppKey::es256("k1");
    let room = Room::with(&[&key], |settings| {
        settings.user_claim = "https://app.example/user".parse().unwrap();
    });
    assert_eq!(room.outcome(&room.token(&key)).await, "claim_missing");
    let token = key.sign(
        &key.header(),
        &room.claims_with("https://app.example/user", "u7".into()),
    );
    let session = room.verify(&token).await.unwrap();
    assert!(session.names(&subject("user:u7")) && !session.names(&subject("user:12345")));
}

#[tokio::test]
async fn a_header_field_carries_the_token_where_it_is_configured() {
    let key = AppKey::es256("k1");
    let room = Room::with(&[&key], |settings| {
        settings.place = TokenPlace::Field("Authorization".parse().unwrap());
    });
    let token = room.token(&key);
    let mut headers = HeaderMap::new();
    let field = HeaderName::from_static("authorization");
    headers.append(
        field.clone(),
        HeaderValue::from_str(&format!("Bearer {token}")).unwrap(),
    );
    assert!(room.tokens.verify(&[], &headers).await.is_ok());
    headers.append(field, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    assert_eq!(
        room.tokens.verify(&[], &headers).await.unwrap_err().kind(),
        "duplicate"
    );
    assert_eq!(room.outcome(&token).await, "missing", "a cookie is not looked at");
}

#[tokio::test]
async fn a_cookie_that_stands_twice_is_refused() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    let cookie = ("session".to_owned(), room.token(&key));
    let outcome = room
        .tokens
        .verify(&[cookie.clone(), cookie], &HeaderMap::new())
        .await;
    assert_eq!(outcome.unwrap_err().kind(), "duplicate");
    assert_eq!(
        room.tokens
            .verify(&[], &HeaderMap::new())
            .await
            .unwrap_err()
            .kind(),
        "missing"
    );
    assert_eq!(
        room.app.fetches(),
        0,
        "nothing was fetched for requests without a token"
    );
}

#[tokio::test]
async fn every_algorithm_with_a_key_pair_verifies_where_it_is_allowed() {
    let names = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str);
    let keys = names.map(|name| AppKey::new(name, name));
    let published = keys.each_ref();
    let room = Room::start(&published);
    for key in &keys {
        assert_eq!(room.outcome(&room.token(key)).await, "verified", "{}", key.key_id);
    }
    for allowed in names {
        let room = Room::with(&published, |settings| {
            settings.algorithms = allowed.parse().unwrap();
        });
        for key in &keys {
            let expected = if key.key_id == allowed {
                "verified"
            } else {
                "algorithm_not_allowed"
            };
            assert_eq!(
                room.outcome(&room.token(key)).await,
                expected,
                "{} of {allowed}",
                key.key_id
            );
        }
    }
}

#[tokio::test]
async fn each_wrong_claim_is_refused_for_what_it_is() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    let now = room.clock.port().now().timestamp();
    for (name, value, expected) in [
        ("iss", Value::Null, "wrong_issuer"),
        ("iss", "https://app.example/".into(), "wrong_issuer"),
        ("iss", "HTTPS://app.example".into(), "wrong_issuer"),
        ("iss", json!([ISSUER]), "wrong_issuer"),
        ("aud", Value::Null, "wrong_audience"),
        ("aud", "https://zoom.us.example.com".into(), "wrong_audience"),
        ("aud", json!([]), "wrong_audience"),
        ("aud", json!([[AUDIENCE]]), "wrong_audience"),
        ("aud", json!({ AUDIENCE: true }), "wrong_audience"),
        ("aud", json!(["https://app.example", AUDIENCE]), "verified"),
        ("exp", Value::Null, "invalid_time"),
        ("exp", (now + 300).to_string().into(), "invalid_time"),
        ("exp", json!(1.0e300), "invalid_time"),
        ("exp", json!(i64::MAX), "invalid_time"),
        ("exp", json!(u64::MAX), "invalid_time"),
        ("exp", json!(now - 30), "expired"),
        ("exp", json!(now - 29), "verified"),
        ("exp", json!(0), "expired"),
        ("exp", json!(-1), "expired"),
        ("nbf", json!(now + 31), "not_yet_valid"),
        ("nbf", json!(now + 30), "verified"),
        ("nbf", json!("soon"), "invalid_time"),
        ("iat", json!(now + 31), "not_yet_valid"),
        ("iat", json!(1_780_315_200.25), "verified"),
        ("iat", json!(true), "invalid_time"),
        ("iat", Value::Null, "verified"),
        ("sub", Value::Null, "claim_missing"),
        ("sub", "".into(), "claim_missing"),
        ("sub", json!(12345), "claim_missing"),
        ("sub", json!(["12345"]), "claim_missing"),
        ("org", json!(["acme"]), "claim_missing"),
    ] {
        let token = key.sign(&key.header(), &room.claims_with(name, value.clone()));
        assert_eq!(room.outcome(&token).await, expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn time_is_that_of_the_clock_that_was_handed_in() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    let token = room.token(&key);
    for (seconds, expected) in [
        (0, "verified"),
        (329, "verified"),
        (330, "expired"),
        (86_400, "expired"),
        (-30, "verified"),
        (-31, "not_yet_valid"),
    ] {
        let moved = TestClock::new();
        room.clock
            .set(moved.port().now() + chrono::TimeDelta::seconds(seconds));
        assert_eq!(room.outcome(&token).await, expected, "{seconds}");
    }
}

#[tokio::test]
async fn each_wrong_header_is_refused_for_what_it_is() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    for (name, value, expected) in [
        ("crit", json!(["exp"]), "critical_header"),
        ("crit", json!([]), "critical_header"),
        ("crit", Value::Null, "critical_header"),
        ("typ", "logout+jwt".into(), "wrong_type"),
        ("typ", "dpop+jwt".into(), "wrong_type"),
        ("typ", json!(1), "malformed"),
        ("typ", Value::Null, "verified"),
        ("typ", "application/JWT".into(), "verified"),
        ("typ", "at+jwt".into(), "verified"),
        ("alg", Value::Null, "malformed"),
        ("alg", json!(["ES256"]), "malformed"),
        ("alg", "none".into(), "algorithm_not_allowed"),
        ("alg", "NONE".into(), "algorithm_not_allowed"),
        ("alg", "".into(), "algorithm_not_allowed"),
        ("alg", "es256".into(), "algorithm_not_allowed"),
        ("alg", "ES256K".into(), "algorithm_not_allowed"),
        ("alg", "ES384".into(), "key_mismatch"),
        ("alg", "RS256".into(), "key_mismatch"),
        ("alg", "EdDSA".into(), "key_mismatch"),
        ("kid", json!(1), "malformed"),
        ("kid", "".into(), "unknown_key"),
        ("kid", "K1".into(), "unknown_key"),
        ("kid", "../../../../dev/null".into(), "unknown_key"),
        ("kid", "k1' OR '1'='1".into(), "unknown_key"),
        ("kid", "k1\0".into(), "unknown_key"),
    ] {
        let mut header = key.header();
        header[name] = value.clone();
        let token = key.sign(&header, &room.claims());
        assert_eq!(room.outcome(&token).await, expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn what_is_no_compact_jwt_is_malformed() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    let good = room.token(&key);
    let parts: Vec<_> = good.split('.').collect();
    let claims = room.claims().to_string();
    let twice = claims.replacen('{', r#"{"sub":"1001","#, 1);
    let header = key.header().to_string();
    for token in [
        "x".to_owned(),
        "...".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.{}", parts[2]),
        format!("{good}.a.b"),
        format!(" {good}"),
        format!("{}.{}.", encode(b"[]"), parts[1]),
        format!("{}.{}.{}", encode(b"{"), parts[1], parts[2]),
        key.sign_texts(&header, &twice),
        key.sign_texts(&header.replacen('{', r#"{"kid":"k1","#, 1), &claims),
        key.sign_texts(&header.replacen('{', r#"{"alg":"ES256","#, 1), &claims),
        key.sign_texts(&header, "[]"),
        key.sign_texts(&header, ""),
        key.sign_texts(&header, &"[".repeat(3000)),
    ] {
        assert_eq!(room.outcome(&token).await, "malformed", "{token}");
    }
    let padded = room.claims_with("padding", "x".repeat(MAX_TOKEN_BYTES).into());
    assert_eq!(room.outcome(&key.sign(&key.header(), &padded)).await, "too_large");
}

#[tokio::test]
async fn an_unsigned_or_cut_signature_is_no_signature() {
    let key = AppKey::es256("k1");
    let room = Room::start(&[&key]);
    let good = room.token(&key);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let none = format!(
        "{}.{}.",
        encode(br#"{"alg":"none"}"#),
        encode(room.claims().to_string().as_bytes())
    );
    assert_eq!(room.outcome(&none).await, "algorithm_not_allowed");
    assert_eq!(room.outcome(&format!("{message}.")).await, "bad_signature");
    assert_eq!(room.outcome(&format!("{good}=")).await, "bad_signature");
    assert_eq!(
        room.outcome(&format!("{message}.{}", &signature[..40])).await,
        "bad_signature"
    );
    let zeros = encode(&[0; 64]);
    assert_eq!(
        room.outcome(&format!("{message}.{zeros}")).await,
        "bad_signature",
        "CVE-2022-21449"
    );
}

#[tokio::test]
async fn a_public_key_is_never_taken_for_a_shared_secret() {
    let key = AppKey::new("k1", "RS256");
    let rooms = [
        Room::start(&[&key]),
        Room::with(&[&key], |settings| settings.algorithms = "RS256".parse().unwrap()),
    ];
    let macs = [
        ("HS256", hmac::HMAC_SHA256),
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
    ];
    for room in rooms {
        for secret in key.public_texts() {
            for (name, algorithm) in macs {
                let header = json!({ "alg": name, "kid": "k1" });
                let token = mac(algorithm, &secret, &header, &room.claims());
                assert_eq!(room.outcome(&token).await, "algorithm_not_allowed");
                let lying = json!({ "alg": "RS256", "kid": "k1" });
                let token = mac(algorithm, &secret, &lying, &room.claims());
                assert_eq!(room.outcome(&token).await, "bad_signature");
            }
        }
    }
}

#[tokio::test]
async fn a_key_serves_only_the_algorithm_that_the_app_gave_it() {
    let (pkcs, pss) = (AppKey::new("k1", "RS256"), AppKey::new("k2", "PS256"));
    let room = Room::start(&[&pkcs, &pss]);
    for (key, algorithm) in [(&pkcs, "PS256"), (&pkcs, "RS512"), (&pss, "RS256")] {
        let mut header = key.header();
        header["alg"] = algorithm.into();
        assert_eq!(
            room.outcome(&key.sign(&header, &room.claims())).await,
            "key_mismatch"
        );
    }
    // A key that the app has given no algorithm serves those of its kind.
    let mut free = pkcs.bare_jwk();
    free["kid"] = "k1".into();
    let room = Room::start(&[]);
    room.app.publish_jwks(&[free]);
    assert_eq!(room.outcome(&room.token(&pkcs)).await, "verified");
}

#[tokio::test]
async fn a_token_names_its_key_unless_there_is_one_alone() {
    let (one, two) = (AppKey::es256("k1"), AppKey::es256("k2"));
    let unnamed = json!({ "alg": "ES256" });
    let alone = Room::start(&[&one]);
    assert_eq!(
        alone.outcome(&one.sign(&unnamed, &alone.claims())).await,
        "verified"
    );
    assert_eq!(
        alone.outcome(&two.sign(&unnamed, &alone.claims())).await,
        "bad_signature"
    );
    let both = Room::start(&[&one, &two]);
    assert_eq!(
        both.outcome(&one.sign(&unnamed, &both.claims())).await,
        "key_not_named"
    );
    assert_eq!(both.outcome(&both.token(&two)).await, "verified");
    let crossed = one.sign(&two.header(), &both.claims());
    assert_eq!(both.outcome(&crossed).await, "bad_signature");
}

#[tokio::test]
async fn keys_that_the_token_brings_along_are_not_used() {
    let (key, forged) = (AppKey::es256("k1"), AppKey::es256("evil"));
    let (room, attacker) = (Room::start(&[&key]), App::start());
    attacker.publish(&[&forged]);
    let url = attacker.jwks_url();
    for (name, value) in [
        ("jwk", forged.jwk()),
        ("jku", url.as_str().into()),
        ("x5u", url.as_str().into()),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = forged.header();
        header["kid"] = "k1".into();
        header[name] = value.clone();
        assert_eq!(
            room.outcome(&forged.sign(&header, &room.claims())).await,
            "bad_signature",
            "{name}"
        );
        header["kid"] = "evil".into();
        assert_eq!(
            room.outcome(&forged.sign(&header, &room.claims())).await,
            "unknown_key",
            "{name}"
        );
    }
    assert_eq!(attacker.fetches(), 0);
}

#[tokio::test]
async fn keys_that_are_not_for_verifying_signatures_are_passed_over() {
    let (key, other) = (AppKey::es256("k1"), AppKey::es256("k2"));
    let room = Room::start(&[]);
    let change = |name: &str, value: Value| {
        let mut jwk = other.jwk();
        jwk[name] = value;
        jwk
    };
    let useless = [
        change("use", "enc".into()),
        change("use", json!(1)),
        change("key_ops", json!(["sign"])),
        change("alg", "HS256".into()),
        change("alg", "none".into()),
        change("kty", "RSA".into()),
        change("crv", "P-521".into()),
        change("crv", "Ed25519".into()),
        change("x", "".into()),
        change("y", "AAAA".into()),
        change("d", "AAAA".into()),
        json!({ "kty": "oct", "kid": "k2", "k": "c2VjcmV0" }),
        json!({ "kty": "RSA", "kid": "k2", "n": encode(&[0xff; 128]), "e": "AQAB" }),
        json!({ "kty": "AKP", "kid": "k2", "alg": "ML-DSA-44", "pub": "AAAA" }),
        json!({ "kid": "k2" }),
        json!("k2"),
        Value::Null,
    ];
    for jwk in useless {
        let room = Room::start(&[]);
        room.app.publish_jwks(&[jwk.clone(), key.jwk()]);
        assert_eq!(room.outcome(&room.token(&key)).await, "verified", "{jwk}");
        assert_eq!(room.outcome(&room.token(&other)).await, "unknown_key", "{jwk}");
    }
    room.app.publish_jwks(&[change("key_ops", json!(["verify"]))]);
    assert_eq!(room.outcome(&room.token(&other)).await, "verified");
}
