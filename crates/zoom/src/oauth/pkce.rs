use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domicile_kernel::{Rng, Secret, random};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};

/// The secret half of PKCE (RFC 7636 section 4.1), kept sealed between the start and the exchange.
#[derive(Clone)]
pub struct PkceVerifier(Secret<String>);

/// The public half: the S256 challenge (RFC 7636 section 4.2).
#[derive(Clone)]
pub struct PkceChallenge(PkceCodeChallenge);

impl PkceVerifier {
    /// A new verifier of 256 random bits, 43 characters.
    pub fn generate(rng: &dyn Rng) -> Self {
        let bytes = random::secret_bytes::<32>(rng);
        Self(Secret::new(URL_SAFE_NO_PAD.encode(bytes.expose())))
    }

    /// A verifier that was kept.
    pub fn from_secret(verifier: Secret<String>) -> Self {
        Self(verifier)
    }

    /// The verifier as text, to be sealed.
    pub fn as_secret(&self) -> &Secret<String> {
        &self.0
    }

    /// The challenge that goes with it.
    pub fn challenge(&self) -> PkceChallenge {
        let verifier = PkceCodeVerifier::new(self.expose().to_owned());
        PkceChallenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl PkceChallenge {
    /// The value of `code_challenge`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn to_oauth2(&self) -> PkceCodeChallenge {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Rng for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (index, byte) in (0..).zip(bytes) {
                *byte = index;
            }
        }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = PkceVerifier::from_secret(Secret::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert_eq!(
            verifier.challenge().as_str(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_new_verifier_has_43_characters_from_32_random_bytes() {
        let verifier = PkceVerifier::generate(&Counting);
        assert_eq!(
            verifier.as_secret().expose(),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        );
    }
}
