//! A digest of the settings, by which two deployments, or two moments, are told apart.

use sha2::{Digest, Sha256};

use super::environment::Environment;
use super::reference::SETTINGS;

/// Settings whose value is a secret or holds one. Of these the digest says only whether they are set: a digest of a short
/// secret would give it away.
const SECRETS: &[&str] = &[
    "DOMICILE_DATABASE_URL",
    "DOMICILE_ZOOM_CLIENT_SECRET",
    "DOMICILE_ZOOM_WEBHOOK_SECRETS",
    "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION",
    "DOMICILE_ZOOM_WEBHOOK_HEADER",
    "DOMICILE_BOT_CLIENT_SECRET",
    "DOMICILE_BOT_WEBHOOK_SECRETS",
    "DOMICILE_BOT_WEBHOOK_AUTHORIZATION",
    "DOMICILE_BOT_WEBHOOK_HEADER",
    "DOMICILE_VAULT_KEYS",
    "DOMICILE_APP_API_KEYS",
    "DOMICILE_APP_EVENTS_SECRETS",
    "DOMICILE_EVIDENCE_KEY",
];

/// The digest of the settings, in the order of the reference, as `NAME=value` and a line end each.
pub(super) fn digest(environment: &Environment) -> String {
    let mut hash = Sha256::new();
    for setting in SETTINGS {
        let value = match environment.get(setting.name) {
            Some(_) if SECRETS.contains(&setting.name) => "(set)",
            Some(value) => value.trim(),
            None => continue,
        };
        hash.update(format!("{}={value}\n", setting.name));
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> String {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        digest(&pairs.collect())
    }

    #[test]
    fn it_changes_with_every_setting_but_never_with_a_secret() {
        let eu = of(&[("DOMICILE_REGION_ID", "eu"), ("DOMICILE_VAULT_KEYS", "a:1")]);
        assert_eq!(
            eu,
            of(&[("DOMICILE_VAULT_KEYS", "b:2"), ("DOMICILE_REGION_ID", " eu ")])
        );
        assert_ne!(
            eu,
            of(&[("DOMICILE_REGION_ID", "us"), ("DOMICILE_VAULT_KEYS", "a:1")])
        );
        assert_ne!(eu, of(&[("DOMICILE_REGION_ID", "eu")]));
        assert_eq!(
            eu,
            of(&[
                ("DOMICILE_REGION_ID", "eu"),
                ("DOMICILE_VAULT_KEYS", "a:1"),
                ("PATH", "/bin")
            ])
        );
    }

    #[test]
    fn everything_that_sounds_like_a_secret_is_one() {
        for setting in SETTINGS {
            let sounds = ["SECRET", "KEY", "PASSWORD", "AUTHORIZATION", "WEBHOOK_HEADER"]
                .iter()
                .any(|word| setting.name.contains(word));
            assert_eq!(
                sounds || setting.name == "DOMICILE_DATABASE_URL",
                SECRETS.contains(&setting.name),
                "{}",
                setting.name
            );
        }
        for secret in SECRETS {
            assert!(SETTINGS.iter().any(|setting| setting.name == *secret), "{secret}");
        }
    }
}
