use std::collections::HashSet;
use std::fmt;
use std::future::{Ready, ready};
use std::str::FromStr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use domicile_kernel::random::secret_bytes;
use domicile_kernel::{RegionId, Rng, Secret};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;

use crate::guard::ClientKind;
use crate::problem::{Problem, ProblemError};

/// The API keys of the app, as SHA-256 digests with names: `name:sha256-hex,...`. The keys themselves are nowhere.
#[derive(Clone)]
pub struct AppKeys {
    keys: Arc<[(AppKey, [u8; 32])]>,
    region: Option<RegionId>,
}

/// What a key begins with that names its region: `domicile_eu_...`.
const KEY_PREFIX: &str = "domicile_";

/// Which key a request on the app listener came with: proof that it may call the App API.
///
/// Needs `web::Data<AppKeys>`. Refused with 401 and `WWW-Authenticate` (RFC 6750 section 3); an `Authorization` header that
/// is there twice is malformed.
#[derive(Clone, PartialEq, Eq)]
pub struct AppKey {
    name: Arc<str>,
}

/// Why a list of keys is refused. Digests are not shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAppKeys {
    /// Nobody could ever call.
    #[error("at least one key is needed, as name:sha256-hex")]
    None,
    /// An entry has another form.
    #[error("entry number {position} is not name:sha256-hex (64 digits)")]
    Form {
        /// Counted from 1.
        position: usize,
    },
    /// A name that cannot stand in a log.
    #[error("the name of entry number {position} must be 1 to 64 of a-z, A-Z, 0-9, '_', '.' and '-'")]
    Name {
        /// Counted from 1.
        position: usize,
    },
    /// Two keys of one name cannot be told apart.
    #[error("the name {0:?} is there twice")]
    DuplicateName(String),
}

impl AppKeys {
    /// The same keys, of this region: a key that names another one is refused with a word about where it belongs, even if
    /// its digest is among them.
    #[must_use]
    pub fn of_region(mut self, region: RegionId) -> Self {
        self.region = Some(region);
        self
    }

    /// A new key for this region, with 256 random bits. Only whoever asked for it ever has it.
    pub fn generate(region: &RegionId, rng: &dyn Rng) -> Secret<String> {
        let random = Secret::new(hex::encode(secret_bytes::<32>(rng).expose()));
        Secret::new(format!("{KEY_PREFIX}{region}_{}", random.expose()))
    }

    /// What stands in the setting for this key.
    pub fn entry(name: &str, key: &Secret<String>) -> String {
        format!("{name}:{}", hex::encode(Sha256::digest(key.expose())))
    }

    /// The other region that the key names, if so, and ours. Anybody may have written it.
    fn elsewhere(&self, key: &Secret<String>) -> Option<(RegionId, RegionId)> {
        let ours = self.region.clone()?;
        let (region, _) = key.expose().strip_prefix(KEY_PREFIX)?.split_once('_')?;
        let theirs: RegionId = region.parse().ok()?;
        (theirs != ours).then_some((theirs, ours))
    }

    /// The name of the key with this value, compared with all digests in constant time.
    pub fn find(&self, key: &Secret<String>) -> Option<&AppKey> {
        let digest: [u8; 32] = Sha256::digest(key.expose()).into();
        // 0 is "none": the place is chosen without a branch, so time says nothing of how many keys matched or which.
        let mut found = 0_u64;
        for (index, (_, known)) in self.keys.iter().enumerate() {
            found.conditional_assign(&(index as u64 + 1), digest.ct_eq(known));
        }
        let index = usize::try_from(found).ok()?.checked_sub(1)?;
        self.keys.get(index).map(|(key, _)| key)
    }

    /// The names, for the operators' pages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(key, _)| key.name())
    }
}

impl FromStr for AppKeys {
    type Err = InvalidAppKeys;

    fn from_str(text: &str) -> Result<Self, InvalidAppKeys> {
        let mut names = HashSet::new();
        let keys = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .enumerate()
            .map(|(index, entry)| {
                let position = index + 1;
                let (name, digest) = entry.split_once(':').ok_or(InvalidAppKeys::Form { position })?;
                let mut known = [0; 32];
                hex::decode_to_slice(digest, &mut known).map_err(|_| InvalidAppKeys::Form { position })?;
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
                if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
                    return Err(InvalidAppKeys::Name { position });
                }
                if !names.insert(name) {
                    return Err(InvalidAppKeys::DuplicateName(name.to_owned()));
                }
                Ok((AppKey { name: name.into() }, known))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(InvalidAppKeys::None);
        }
        Ok(Self {
            keys: keys.into(),
            region: None,
        })
    }
}

impl fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl AppKey {
    /// The name that the operators gave the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn of_request(request: &HttpRequest) -> Result<Self, ProblemError> {
        let keys = request
            .app_data::<web::Data<AppKeys>>()
            .ok_or_else(|| ProblemError::internal("the app keys are not among the app data"))?;
        let mut values = request.headers().get_all(header::AUTHORIZATION);
        let value = values
            .next()
            .ok_or_else(|| refused("Bearer realm=\"domicile\""))?;
        if values.next().is_some() {
            return Err(
                Problem::MalformedRequest.into_error("The Authorization header is there more than once.")
            );
        }
        let key = bearer(value).ok_or_else(|| refused("Bearer realm=\"domicile\""))?;
        if let Some((theirs, ours)) = keys.elsewhere(&key) {
            let detail = format!(
                "This key belongs to the region {theirs}, and this is the region {ours}: call that region."
            );
            return Err(invalid_token().detail(detail));
        }
        let known = keys.find(&key).ok_or_else(invalid_token)?;
        request.extensions_mut().insert(ClientKind::App {
            key: known.name.clone(),
        });
        Ok(known.clone())
    }
}

fn bearer(value: &HeaderValue) -> Option<Secret<String>> {
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| Secret::from(key))
}

fn invalid_token() -> ProblemError {
    refused("Bearer realm=\"domicile\", error=\"invalid_token\"")
}

fn refused(challenge: &'static str) -> ProblemError {
    ProblemError::new(Problem::Unauthenticated)
        .detail("Send one of the region's API keys as Authorization: Bearer <key>.")
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppKey").field(&self.name).finish()
    }
}

impl FromRequest for AppKey {
    type Error = ProblemError;
    type Future = Ready<Result<Self, ProblemError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of_request(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::http::StatusCode;
    use actix_web::test::{self, TestRequest};
    use proptest::prelude::*;

    fn digest(key: &str) -> String {
        hex::encode(Sha256::digest(key))
    }

    fn keys(entries: &[(&str, &str)]) -> AppKeys {
        let text: Vec<_> = entries
            .iter()
            .map(|(name, key)| format!("{name}:{}", digest(key)))
            .collect();
        text.join(",").parse().unwrap()
    }

    async fn call(authorization: &[&str]) -> (StatusCode, Option<String>, String) {
        let app = test::init_service(
            App::new()
                .app_data(web::Data::new(keys(&[
                    ("old", "first key"),
                    ("new", "second-key"),
                ])))
                .route("/", web::get().to(async |key: AppKey| key.name().to_owned())),
        )
        .await;
        let mut request = TestRequest::get().uri("/");
        for value in authorization {
            request = request.append_header((header::AUTHORIZATION, *value));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let challenge = response
            .headers()
            .get(header::WWW_AUTHENTICATE)
            .map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        let body = test::read_body(response).await;
        (status, challenge, String::from_utf8(body.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn each_configured_key_is_known_by_its_name() {
        assert_eq!(call(&["Bearer first key"]).await.2, "old");
        assert_eq!(call(&["bearer second-key"]).await.2, "new");
    }

    #[actix_web::test]
    async fn no_key_or_another_one_is_refused_with_a_challenge() {
        for authorization in [
            &[][..],
            &["second-key"],
            &["Basic c2Vjb25kLWtleQ=="],
            &["Bearer "],
            &["Bearer"],
        ] {
            let (status, challenge, body) = call(authorization).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{authorization:?}");
            assert_eq!(challenge.as_deref(), Some("Bearer realm=\"domicile\""));
            assert!(body.contains("urn:domicile:problem:unauthenticated"), "{body}");
        }
        let (status, challenge, body) = call(&["Bearer wrong-key"]).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            challenge.as_deref(),
            Some("Bearer realm=\"domicile\", error=\"invalid_token\"")
        );
        assert!(!body.contains("wrong-key"));
    }

    #[actix_web::test]
    async fn two_authorization_headers_are_malformed() {
        let (status, _, _) = call(&["Bearer second-key", "Bearer second-key"]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }

    #[actix_web::test]
    async fn without_configured_keys_nobody_gets_in() {
        let app = test::init_service(App::new().route("/", web::get().to(async |_: AppKey| "in"))).await;
        let request = TestRequest::get()
            .uri("/")
            .insert_header((header::AUTHORIZATION, "Bearer x"));
        assert_eq!(
            test::call_service(&app, request.to_request()).await.status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }

    #[test]
    fn each_fault_of_the_setting_is_named() {
        let good = digest("k");
        for (text, expected) in [
            (String::new(), InvalidAppKeys::None),
            (" , ".to_owned(), InvalidAppKeys::None),
            (format!("a:{good},{good}"), InvalidAppKeys::Form { position: 2 }),
            ("a:123".to_owned(), InvalidAppKeys::Form { position: 1 }),
            (format!(":{good}"), InvalidAppKeys::Name { position: 1 }),
            (format!("a b:{good}"), InvalidAppKeys::Name { position: 1 }),
            (
                format!("a:{good},a:{good}"),
                InvalidAppKeys::DuplicateName("a".to_owned()),
            ),
        ] {
            assert_eq!(text.parse::<AppKeys>().unwrap_err(), expected, "{text}");
        }
        let capitals = format!("a:{}", good.to_uppercase());
        assert!(
            capitals
                .parse::<AppKeys>()
                .unwrap()
                .find(&Secret::from("k"))
                .is_some()
        );
    }

    proptest! {
        #[test]
        fn only_the_very_key_is_found(known in "[!-~]{1,40}", other in "[!-~]{1,40}") {
            let keys = keys(&[("a", "unrelated"), ("b", &known)]);
            let found = keys.find(&Secret::from(other.as_str())).map(AppKey::name);
            prop_assert_eq!(found, (known == other).then_some("b"));
        }
    }
}
