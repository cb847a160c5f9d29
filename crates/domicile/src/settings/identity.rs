//! `DOMICILE_APP_IDENTITY` and `DOMICILE_APP_JWT_*`: how the finisher of a connect session is known.

use std::str::FromStr;

use domicile_linking::IdentitySettings;
use domicile_linking::identity::{ClaimName, IdentityMode, SessionJwtSettings, TokenPlace};
use serde::Deserialize;

use super::parse::Reader;
use super::reference::SETTINGS;

const MODE: &str = "DOMICILE_APP_IDENTITY";
const ISSUER: &str = "DOMICILE_APP_JWT_ISSUER";
const AUDIENCE: &str = "DOMICILE_APP_JWT_AUDIENCE";
const JWKS_URL: &str = "DOMICILE_APP_JWT_JWKS_URL";
const ALGORITHMS: &str = "DOMICILE_APP_JWT_ALGORITHMS";
const COOKIE: &str = "DOMICILE_APP_JWT_COOKIE";
const HEADER: &str = "DOMICILE_APP_JWT_HEADER";
const USER_CLAIM: &str = "DOMICILE_APP_JWT_USER_CLAIM";
const ORG_CLAIM: &str = "DOMICILE_APP_JWT_ORG_CLAIM";
const LEEWAY_SECONDS: &str = "DOMICILE_APP_JWT_LEEWAY_SECONDS";

#[derive(Deserialize, Default)]
struct JwtSection {
    issuer: Option<String>,
    audience: Option<String>,
    jwks_url: Option<String>,
    algorithms: Option<String>,
    cookie: Option<String>,
    header: Option<String>,
    user_claim: Option<String>,
    org_claim: Option<String>,
    leeway_seconds: Option<String>,
}

impl JwtSection {
    /// The settings that are there.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            (ISSUER, &self.issuer),
            (AUDIENCE, &self.audience),
            (JWKS_URL, &self.jwks_url),
            (ALGORITHMS, &self.algorithms),
            (COOKIE, &self.cookie),
            (HEADER, &self.header),
            (USER_CLAIM, &self.user_claim),
            (ORG_CLAIM, &self.org_claim),
            (LEEWAY_SECONDS, &self.leeway_seconds),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|_| name))
    }
}

impl Reader {
    pub(super) fn identity(&mut self, mode: Option<String>) -> Option<IdentitySettings> {
        let section: JwtSection = self.section("DOMICILE_APP_JWT_");
        match self.parsed::<IdentityMode>(MODE, mode) {
            Some(IdentityMode::SessionJwt) => self
                .session_jwt(section)
                .map(|settings| IdentitySettings::SessionJwt(Box::new(settings))),
            Some(IdentityMode::Confirm) => {
                let mut complete = true;
                for name in section.names() {
                    let problem =
                        format!("is set, but {MODE} is confirm; remove it, or set {MODE} to session-jwt");
                    self.faults.add(name, problem);
                    complete = false;
                }
                complete.then_some(IdentitySettings::Confirm)
            }
            None => {
                // Whoever sets some of these means session-jwt; their faults are listed too.
                if section.names().next().is_some() {
                    self.session_jwt(section);
                }
                None
            }
        }
    }

    fn session_jwt(&mut self, section: JwtSection) -> Option<SessionJwtSettings> {
        let issuer = self.needed(ISSUER, section.issuer);
        let audience = self.needed(AUDIENCE, section.audience);
        let jwks_url = self.needed(JWKS_URL, section.jwks_url);
        let jwks_url = jwks_url.and_then(|url| self.url(JWKS_URL, Some(url)));
        let algorithms = self.needed(ALGORITHMS, section.algorithms);
        let algorithms = algorithms.and_then(|text| self.faults.take(ALGORITHMS, text.parse()));
        let place = self.token_place(section.cookie, section.header);
        let user_claim = self.parsed::<ClaimName>(USER_CLAIM, section.user_claim);
        let org_claim = self.org_claim(section.org_claim, user_claim.as_ref());
        let leeway = self.parsed(LEEWAY_SECONDS, section.leeway_seconds);
        Some(SessionJwtSettings {
            issuer: issuer?,
            audience: audience?,
            jwks_url: jwks_url?,
            algorithms: algorithms?,
            place: place?,
            user_claim: user_claim?,
            org_claim: org_claim?,
            leeway: leeway?,
        })
    }

    /// The text of a setting that session-jwt cannot do without.
    fn needed(&mut self, name: &str, value: Option<String>) -> Option<String> {
        let text = self.text(name, value);
        if text.is_none() {
            let meaning = SETTINGS.iter().find(|setting| setting.name == name);
            let meaning = meaning.map_or("", |setting| setting.meaning);
            self.faults
                .add(name, format!("is not set, but {MODE} is session-jwt: {meaning}"));
        }
        text
    }

    fn token_place(&mut self, cookie: Option<String>, header: Option<String>) -> Option<TokenPlace> {
        match (self.text(COOKIE, cookie), self.text(HEADER, header)) {
            (Some(cookie), None) => self.named(COOKIE, &cookie).map(TokenPlace::Cookie),
            (None, Some(header)) => self.named(HEADER, &header).map(TokenPlace::Field),
            (Some(_), Some(_)) => {
                let problem = format!("is set, but {COOKIE} is too; the token is looked for in one place");
                self.faults.add(HEADER, problem);
                None
            }
            (None, None) => {
                let problem =
                    format!("is not set, nor is {HEADER}, but {MODE} is session-jwt; set one of them");
                self.faults.add(COOKIE, problem);
                None
            }
        }
    }

    fn named<T: FromStr<Err: std::fmt::Display>>(&mut self, setting: &str, text: &str) -> Option<T> {
        self.faults.take(setting, text.parse())
    }

    #[expect(clippy::option_option, reason = "a fault and an absent option are two things")]
    fn org_claim(
        &mut self,
        value: Option<String>,
        user_claim: Option<&ClaimName>,
    ) -> Option<Option<ClaimName>> {
        let Some(text) = self.text(ORG_CLAIM, value) else {
            return Some(None);
        };
        let claim = self.named::<ClaimName>(ORG_CLAIM, &text)?;
        if Some(&claim) == user_claim {
            self.faults.add(
                ORG_CLAIM,
                format!("is the claim of {USER_CLAIM}: a user would be an organisation"),
            );
            return None;
        }
        Some(Some(claim))
    }
}

#[cfg(test)]
mod tests {
    use domicile_linking::IdentitySettings;
    use domicile_linking::identity::TokenPlace;

    use super::super::environment::Environment;
    use super::super::faults::Faults;
    use super::super::parse::Reader;

    const COMPLETE: [(&str, &str); 6] = [
        ("DOMICILE_APP_IDENTITY", "session-jwt"),
        ("DOMICILE_APP_JWT_ISSUER", "https://app.example"),
        ("DOMICILE_APP_JWT_AUDIENCE", "zoom-eu"),
        (
            "DOMICILE_APP_JWT_JWKS_URL",
            "https://app.example/.well-known/jwks.json",
        ),
        ("DOMICILE_APP_JWT_ALGORITHMS", "ES256,EdDSA"),
        ("DOMICILE_APP_JWT_COOKIE", "session"),
    ];

    fn read(variables: &[(&str, &str)]) -> (Option<IdentitySettings>, Vec<String>) {
        let environment: Environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mode = environment.get("DOMICILE_APP_IDENTITY").map(str::to_owned);
        let mut reader = Reader {
            faults: Faults::default(),
            environment,
        };
        let settings = reader.identity(mode);
        (settings, reader.faults.iter().map(ToString::to_string).collect())
    }

    /// The complete settings with some of them changed; an empty value takes one away.
    fn changed(changes: &[(&'static str, &'static str)]) -> (Option<IdentitySettings>, Vec<String>) {
        let kept = COMPLETE
            .into_iter()
            .filter(|(name, _)| changes.iter().all(|(other, _)| other != name));
        let added = changes.iter().copied().filter(|(_, value)| !value.is_empty());
        read(&kept.chain(added).collect::<Vec<_>>())
    }

    fn fault(changes: &[(&'static str, &'static str)]) -> String {
        let (settings, faults) = changed(changes);
        assert!(settings.is_none(), "{changes:?}");
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.into_iter().next().unwrap()
    }

    #[test]
    fn there_is_no_default_for_how_somebody_is_known() {
        let (settings, faults) = read(&[]);
        assert!(settings.is_none());
        assert!(
            faults[0].starts_with("DOMICILE_APP_IDENTITY: is not set"),
            "{faults:?}"
        );
        let (settings, faults) = read(&[("DOMICILE_APP_IDENTITY", "both")]);
        assert!(settings.is_none());
        assert_eq!(
            faults,
            ["DOMICILE_APP_IDENTITY: is neither confirm nor session-jwt"]
        );
    }

    #[test]
    fn confirm_wants_no_settings_of_tokens() {
        let (settings, faults) = read(&[("DOMICILE_APP_IDENTITY", "confirm")]);
        assert!(matches!(settings, Some(IdentitySettings::Confirm)) && faults.is_empty());
        let (settings, faults) = changed(&[("DOMICILE_APP_IDENTITY", "confirm")]);
        assert!(settings.is_none());
        assert_eq!(faults.len(), COMPLETE.len() - 1, "{faults:?}");
        assert!(
            faults[0].starts_with("DOMICILE_APP_JWT_ISSUER: is set, but DOMICILE_APP_IDENTITY is confirm")
        );
    }

    #[test]
    fn session_jwt_has_defaults_for_claim_and_leeway_alone() {
        let (settings, faults) = changed(&[]);
        assert!(faults.is_empty(), "{faults:?}");
        let Some(IdentitySettings::SessionJwt(settings)) = settings else {
            panic!("session-jwt was asked for")
        };
        assert_eq!(settings.issuer, "https://app.example");
        assert_eq!(settings.user_claim, "sub".parse().unwrap());
        assert_eq!(settings.org_claim, None);
        assert_eq!(settings.leeway, "30".parse().unwrap());
        assert_eq!(settings.place, TokenPlace::Cookie("session".parse().unwrap()));
        let (_, faults) = read(&[("DOMICILE_APP_IDENTITY", "session-jwt")]);
        let named: Vec<_> = faults
            .iter()
            .filter_map(|fault| fault.split(':').next())
            .collect();
        assert_eq!(
            named,
            [
                "DOMICILE_APP_JWT_ISSUER",
                "DOMICILE_APP_JWT_AUDIENCE",
                "DOMICILE_APP_JWT_JWKS_URL",
                "DOMICILE_APP_JWT_ALGORITHMS",
                "DOMICILE_APP_JWT_COOKIE",
            ]
        );
    }

    #[test]
    fn the_token_has_one_place() {
        let (settings, _) = changed(&[
            ("DOMICILE_APP_JWT_COOKIE", ""),
            ("DOMICILE_APP_JWT_HEADER", "X-Session"),
        ]);
        let Some(IdentitySettings::SessionJwt(settings)) = settings else {
            panic!("session-jwt was asked for")
        };
        assert_eq!(settings.place, TokenPlace::Field("x-session".parse().unwrap()));
        assert!(fault(&[("DOMICILE_APP_JWT_HEADER", "X-Session")]).contains("one place"));
        assert!(fault(&[("DOMICILE_APP_JWT_COOKIE", "")]).contains("set one of them"));
    }

    #[test]
    fn each_wrong_value_is_a_fault_of_its_setting() {
        for (name, value) in [
            ("DOMICILE_APP_JWT_JWKS_URL", "http://app.example/jwks"),
            ("DOMICILE_APP_JWT_JWKS_URL", "app.example"),
            ("DOMICILE_APP_JWT_ALGORITHMS", "ES256,HS256"),
            ("DOMICILE_APP_JWT_ALGORITHMS", "none"),
            ("DOMICILE_APP_JWT_COOKIE", "a b"),
            ("DOMICILE_APP_JWT_USER_CLAIM", "aud"),
            ("DOMICILE_APP_JWT_ORG_CLAIM", "sub"),
            ("DOMICILE_APP_JWT_LEEWAY_SECONDS", "121"),
        ] {
            assert!(
                fault(&[(name, value)]).starts_with(&format!("{name}: ")),
                "{name}"
            );
        }
        // The faults of the rest are listed although the mode is wrong too.
        let (_, faults) = changed(&[
            ("DOMICILE_APP_IDENTITY", "jwt"),
            ("DOMICILE_APP_JWT_ALGORITHMS", "HS512"),
        ]);
        assert_eq!(faults.len(), 2, "{faults:?}");
    }

    #[test]
    fn loopback_hosts_may_publish_keys_over_http() {
        let (settings, faults) = changed(&[("DOMICILE_APP_JWT_JWKS_URL", "http://127.0.0.1:4000/jwks")]);
        assert!(settings.is_some(), "{faults:?}");
    }
}
