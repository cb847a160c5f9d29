mod app;
mod fetching;
mod properties;
mod refusals;
mod signer;

use std::sync::Arc;

use domicile_egress::testing;
use domicile_testkit::clock::TestClock;
use serde_json::{Value, json};

use self::app::App;
use self::signer::AppKey;
use super::*;

const ISSUER: &str = "https://app.example";
const AUDIENCE: &str = "https://zoom.eu.example.com";

fn settings(jwks_url: url::Url) -> SessionJwtSettings {
    let algorithms = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str).join(",");
    SessionJwtSettings {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks_url,
        algorithms: algorithms.parse().unwrap(),
        place: TokenPlace::Cookie("session".parse().unwrap()),
        user_claim: "sub".parse().unwrap(),
        org_claim: Some("org".parse().unwrap()),
        leeway: "30".parse().unwrap(),
    }
}

/// The app with its published keys, and a verifier of its tokens.
struct Room {
    app: App,
    clock: TestClock,
    tokens: SessionTokens,
}

impl Room {
    fn start(keys: &[&AppKey]) -> Self {
        Self::with(keys, |_| {})
    }

    fn with(keys: &[&AppKey], change: impl FnOnce(&mut SessionJwtSettings)) -> Self {
        let app = App::start();
        app.publish(keys);
        let mut settings = settings(app.jwks_url());
        change(&mut settings);
        let clock = TestClock::new();
        let client = testing::loopback().client("app_jwks", JWKS_TIMEOUTS);
        let tokens = SessionTokens::new(settings, client, clock.port());
        Self { app, clock, tokens }
    }

    /// The claims of user 12345, signed in just now.
    fn claims(&self) -> Value {
        let now = self.clock.port().now().timestamp();
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "12345", "org": "acme", "iat": now, "exp": now + 300 })
    }

    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    /// A token of user 12345, as the app makes it.
    fn token(&self, key: &AppKey) -> String {
        key.sign(&key.header(), &self.claims())
    }

    async fn verify(&self, token: &str) -> Result<VerifiedSession, IdentityError> {
        let cookies = [
            ("other".to_owned(), "x".to_owned()),
            ("session".to_owned(), token.to_owned()),
        ];
        let outcome = self.tokens.verify(&cookies, &HeaderMap::new()).await;
        if let Err(error) = &outcome {
            assert_tells_nothing(error, token);
        }
        outcome
    }

    /// What is wrong with a token; `verified` if nothing is.
    async fn outcome(&self, token: &str) -> &'static str {
        match self.verify(token).await {
            Ok(_) => "verified",
            Err(error) => error.kind(),
        }
    }
}

/// INV-3: no error shows any part of a token.
fn assert_tells_nothing(error: &IdentityError, token: &str) {
    let mut shown = format!("{error:?}");
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(current) = next {
        shown += &current.to_string();
        next = current.source();
    }
    for part in token.split('.').filter(|part| part.len() > 12) {
        assert!(!shown.contains(part), "{shown}");
    }
    assert!(!shown.contains("12345") && !shown.contains("acme"), "{shown}");
}

fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}
