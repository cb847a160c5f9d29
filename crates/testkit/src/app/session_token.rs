//! Sessions as JWTs, for a region that knows the app's users by them (`DOMICILE_APP_IDENTITY=session-jwt`).

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use domicile_kernel::random::random_bytes;
use domicile_kernel::{Clock, Rng};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// Where the keys are published.
pub(super) const JWKS_PATH: &str = "/.well-known/jwks.json";

/// How long a token lives, in seconds: longer than a connect session. Every page of a signed-in user brings a new one.
const LIFE_SECONDS: i64 = 15 * 60;

/// Makes and publishes session tokens.
pub(super) struct SessionIssuer {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// The cookie that holds the token.
    pub(super) cookie: String,
    keys: RwLock<Keys>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

struct Keys {
    current: SigningKey,
    /// Those before it that are still published.
    earlier: Vec<Jwk>,
}

struct SigningKey {
    key: EncodingKey,
    jwk: Jwk,
}

impl SigningKey {
    /// A new P-256 key; its id is its thumbprint (RFC 7638).
    fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key can be made");
        let document = pair.to_pkcs8v1().expect("the key has a form");
        let key = EncodingKey::from_ec_der(document.as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("the key has a public half");
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256);
        jwk.common.key_id = Some(thumbprint.expect("the key has a thumbprint"));
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Self { key, jwk }
    }
}

impl SessionIssuer {
    pub(super) fn new(
        issuer: String,
        audience: String,
        cookie: String,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            issuer,
            audience,
            cookie,
            keys: RwLock::new(Keys {
                current: SigningKey::generate(),
                earlier: Vec::new(),
            }),
            clock,
            rng,
        }
    }

    /// A token for the live session of this subject: `user:1001`, or `org:acme` for somebody who acts for it.
    pub(super) fn token(&self, subject: &str) -> String {
        let now = self.clock.now().timestamp();
        let mut claims = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now,
            "exp": now + LIFE_SECONDS,
            "jti": hex::encode(random_bytes::<16>(self.rng.as_ref())),
        });
        match subject.split_once(':') {
            Some(("org", id)) => {
                claims["sub"] = format!("admin-of-{id}").into();
                claims["org"] = id.into();
            }
            Some((_, id)) => claims["sub"] = id.into(),
            None => claims["sub"] = subject.into(),
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut header = Header::new(Algorithm::ES256);
        header.kid.clone_from(&keys.current.jwk.common.key_id);
        jsonwebtoken::encode(&header, &claims, &keys.current.key).expect("the claims can be signed")
    }

    /// The published keys (RFC 7517, section 5).
    pub(super) fn jwks(&self) -> Value {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<&Jwk> = std::iter::once(&keys.current.jwk).chain(&keys.earlier).collect();
        json!({ "keys": all })
    }

    /// Signs with a new key from now on; the old one stays published, for the tokens that it has signed.
    pub(super) fn rotate(&self) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut keys.current, SigningKey::generate());
        keys.earlier.push(old.jwk);
    }

    /// Publishes the current key alone.
    pub(super) fn withdraw_earlier(&self) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.earlier.clear();
    }

    /// The `Set-Cookie` of a live session.
    pub(super) fn set_cookie(&self, subject: &str) -> String {
        let token = self.token(subject);
        format!(
            "{}={token}; Max-Age={LIFE_SECONDS}; Path=/; HttpOnly; SameSite=Lax",
            self.cookie
        )
    }

    /// The `Set-Cookie` that ends it.
    pub(super) fn clear_cookie(&self) -> String {
        format!("{}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax", self.cookie)
    }
}
