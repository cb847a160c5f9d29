use std::sync::LazyLock;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::jwks::KeySet;
use super::super::token::Presented;
use super::*;

static KEY: LazyLock<AppKey> = LazyLock::new(|| AppKey::es256("k1"));
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let jwks = json!({ "keys": [KEY.jwk()] });
    KeySet::parse(jwks.to_string().as_bytes()).unwrap()
});

fn rules() -> SessionJwtSettings {
    settings("https://app.example/jwks".parse().unwrap())
}

/// The verifier without the fetch.
fn verify(token: &str) -> Result<VerifiedSession, IdentityError> {
    let rules = rules();
    let claims = Presented::parse(token, &rules.algorithms)?.verify(&KEYS)?;
    session(&claims, &rules, &TestClock::new())
}

fn claims(user: &str) -> Value {
    let now = TestClock::new().now().timestamp();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": user, "exp": now + 300 })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(".{0,6}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn member(names: &'static [&'static str]) -> impl Strategy<Value = (&'static str, Value)> {
    (proptest::sample::select(names), any_json())
}

proptest! {
    #[test]
    fn a_token_with_any_byte_changed_is_refused(at in any::<proptest::sample::Index>(), byte in 0x21_u8..0x7f) {
        let good = KEY.sign(&KEY.header(), &claims("12345"));
        prop_assert!(verify(&good).is_ok());
        let mut bytes = good.into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(verify(&String::from_utf8(bytes).unwrap()).is_err());
    }

    #[test]
    fn a_token_that_is_cut_or_longer_is_refused(at in any::<proptest::sample::Index>(), more in "[A-Za-z0-9_.-]{1,8}") {
        let good = KEY.sign(&KEY.header(), &claims("12345"));
        prop_assert!(verify(&good[..at.index(good.len())]).is_err());
        let longer = format!("{good}{more}");
        prop_assert!(verify(&longer).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in ".{0,200}", parts in "[A-Za-z0-9_-]{0,80}(\\.[A-Za-z0-9_-]{0,80}){2}") {
        prop_assert!(verify(&text).is_err());
        prop_assert!(verify(&parts).is_err());
    }

    #[test]
    fn any_header_is_answered_without_a_panic(
        (name, value) in member(&["alg", "kid", "typ", "crit", "jwk", "jku", "x5c", "x5u", "cty", "zip", "b64", "enc"]),
    ) {
        let mut header = KEY.header();
        header[name] = value;
        let outcome = verify(&KEY.sign(&header, &claims("12345")));
        prop_assert!(name != "crit" || outcome.is_err());
    }

    #[test]
    fn any_claim_is_answered_without_a_panic(
        (name, value) in member(&["iss", "aud", "exp", "nbf", "iat", "sub", "org", "jti"]),
    ) {
        let mut claims = claims("12345");
        claims[name] = value.clone();
        let outcome = verify(&KEY.sign(&KEY.header(), &claims));
        match (name, value) {
            ("iss", value) => prop_assert_eq!(outcome.is_ok(), value == ISSUER),
            ("sub", value) => prop_assert_eq!(
                outcome.is_ok(),
                value.as_str().is_some_and(|text| !text.is_empty())
            ),
            ("jti", _) => prop_assert!(outcome.is_ok()),
            _ => {}
        }
    }

    #[test]
    fn any_published_set_is_read_without_a_panic(
        keys in vec(any_json(), 0..4),
        (name, value) in member(&["kty", "crv", "x", "y", "use", "key_ops", "alg", "kid"]),
    ) {
        let mut jwk = KEY.jwk();
        jwk[name] = value;
        let all: Vec<_> = keys.into_iter().chain([jwk]).collect();
        let set = KeySet::parse(json!({ "keys": all }).to_string().as_bytes()).unwrap();
        let token = KEY.sign(&KEY.header(), &claims("12345"));
        let _ = Presented::parse(&token, &rules().algorithms).unwrap().verify(&set);
    }

    #[test]
    fn a_session_names_exactly_its_own_subject(user in "\\PC{1,40}", other in "\\PC{1,40}") {
        prop_assume!(user.len() <= 190 && other.len() <= 190);
        let session = verify(&KEY.sign(&KEY.header(), &claims(&user))).unwrap();
        let names = |prefix: &str, value: &str| session.names(&subject(&format!("{prefix}{value}")));
        prop_assert!(names("user:", &user));
        prop_assert_eq!(names("user:", &other), user == other);
        prop_assert!(!names("org:", &user));
    }
}
