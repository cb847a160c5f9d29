use std::collections::{BTreeMap, BTreeSet};

use domicile_region::egress::destinations;
use domicile_region::environment::{Systemd, Value, variables};
use domicile_region::file::{
    AccessKey, Encryption, Identity, IdentityMode, RegionFile, SecretRef, SessionJwt, VaultKey, WebIdentity,
};
use tempfile::TempDir;

use super::super::environment::Environment;
use super::super::{SETTINGS, Settings};

const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// A host on which a region's file, its directory and its secrets lie.
struct Host {
    folder: TempDir,
    file: RegionFile,
}

fn secret(key: &str) -> SecretRef {
    SecretRef {
        name: "domicile-eu-more".to_owned(),
        key: key.to_owned(),
    }
}

impl Host {
    fn new(change: impl FnOnce(&mut RegionFile)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../../../../regions/eu.yaml")
            .replace(
                "region:\n  id: eu",
                &format!(
                    "region:\n  id: eu\n  file: {0}/region.yaml\n  directoryFile: {0}/directory.yaml",
                    folder.path().display()
                ),
            )
            .replacen("# The region", "# This region", 1);
        let source = domicile_region::Source {
            name: "region.yaml".to_owned(),
            text,
        };
        let mut file = domicile_region::check_alone(&source).unwrap().file;
        change(&mut file);
        // What is YAML is JSON too.
        std::fs::write(folder.path().join("region.yaml"), file.canonical()).unwrap();
        let directory = include_str!("../../../../../regions/directory.yaml");
        std::fs::write(folder.path().join("directory.yaml"), directory).unwrap();
        Self { folder, file }
    }

    /// The sample.
    fn simple() -> Self {
        Self::new(|_| {})
    }

    /// Everything that the sample leaves out.
    fn full() -> Self {
        Self::new(|file| {
            file.zoom.calls = Some(vec!["GET /users/me".to_owned(), "GET /users/{userId}".to_owned()]);
            file.zoom.apps.linking.webhook_authorization = Some(secret("linking-authorization"));
            let bot = file.zoom.apps.bot.as_mut().unwrap();
            bot.webhook_header = Some(secret("bot-header"));
            bot.chat.as_mut().unwrap().words = Some(domicile_region::words::Words {
                product: "Example".to_owned(),
                ..domicile_region::words::Words::default()
            });
            file.app.identity = Identity {
                mode: IdentityMode::SessionJwt,
                jwt: Some(SessionJwt {
                    issuer: "https://app.eu.example.com".to_owned(),
                    audience: "zoom eu \"$1\"".to_owned(),
                    jwks_url: "https://app.eu.example.com/jwks".to_owned(),
                    algorithms: vec!["ES256".to_owned(), "EdDSA".to_owned()],
                    cookie: Some("session".to_owned()),
                    header: None,
                    user_claim: "sub".to_owned(),
                    org_claim: Some("org".to_owned()),
                    leeway_seconds: 10,
                }),
            };
            file.egress.allow = vec!["a.eu.example.com".to_owned(), "b.eu.example.com:8443".to_owned()];
            file.vault.keys.push(VaultKey {
                id: "eu-2025".to_owned(),
                aws_kms: None,
            });
            file.vault.keys_secret = Some(secret("vault-keys"));
            file.vault.evidence_key = Some(secret("evidence-key"));
            file.zoom.domain_proof = Some("proof".to_owned());
            file.vault.endpoint = Some("https://kms.eu.example.com".to_owned());
            let objects = &mut file.objects;
            objects.endpoint = Some("https://s3.eu.example.com".to_owned());
            objects.virtual_hosted_style = Some(false);
            objects.encryption = Some(Encryption {
                algorithm: "aws:kms".to_owned(),
                kms_key_id: Some("alias/recordings".to_owned()),
                bucket_key: Some(true),
            });
            let credentials = objects.credentials.as_mut().unwrap();
            credentials.web_identity = None;
            credentials.access_key = Some(AccessKey {
                id: secret("access-key"),
                secret: secret("access-key-secret"),
                session_token: Some(secret("session-token")),
            });
        })
    }

    /// The other half of what excludes itself.
    fn other() -> Self {
        Self::new(|file| {
            file.zoom.calls = Some(Vec::new());
            file.zoom.apps.linking.webhook_header = Some(secret("linking-header"));
            let bot = file.zoom.apps.bot.as_mut().unwrap();
            bot.webhook_authorization = Some(secret("bot-authorization"));
            let credentials = file.objects.credentials.as_mut().unwrap();
            credentials.web_identity = Some(WebIdentity {
                session_name: Some("eu".to_owned()),
                endpoint: Some("https://sts.eu.example.com".to_owned()),
                ..credentials.web_identity.clone().unwrap()
            });
            file.app.identity = Identity {
                mode: IdentityMode::SessionJwt,
                jwt: Some(SessionJwt {
                    issuer: "i".to_owned(),
                    audience: "a".to_owned(),
                    jwks_url: "https://app.eu.example.com/jwks".to_owned(),
                    algorithms: vec!["ES256".to_owned()],
                    cookie: None,
                    header: Some("X-Session".to_owned()),
                    user_claim: "uid".to_owned(),
                    org_claim: None,
                    leeway_seconds: 30,
                }),
            };
        })
    }

    fn secret_of(&self, setting: &str) -> String {
        let database = &self.file.database;
        match setting {
            "DOMICILE_DATABASE_URL" => format!(
                "postgres://u:hunter2@{}:{}/{}?sslmode=verify-full",
                database.host, database.port, database.name
            ),
            "DOMICILE_VAULT_KEYS" => {
                let key = &self.file.vault.keys[0];
                format!(
                    "{}:aws-kms:{},eu-2025:{KEY}",
                    key.id,
                    key.aws_kms.as_ref().unwrap()
                )
            }
            "DOMICILE_EVIDENCE_KEY" => KEY.to_owned(),
            "DOMICILE_APP_API_KEYS" => format!("app:{}", "0f".repeat(32)),
            "DOMICILE_APP_EVENTS_SECRETS" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION" | "DOMICILE_BOT_WEBHOOK_AUTHORIZATION" => {
                "Bearer hunter2".to_owned()
            }
            "DOMICILE_ZOOM_WEBHOOK_HEADER" | "DOMICILE_BOT_WEBHOOK_HEADER" => "x-own: hunter2".to_owned(),
            _ => "hunter2".to_owned(),
        }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        variables(&self.file)
            .into_iter()
            .map(|variable| {
                let value = match variable.value {
                    Value::Text(text) => text,
                    Value::Secret(_) => self.secret_of(variable.name),
                };
                (variable.name.to_owned(), value)
            })
            .collect()
    }
}

fn faults(environment: &BTreeMap<String, String>) -> Vec<String> {
    let environment: Environment = environment.clone().into_iter().collect();
    match Settings::from_environment(&environment) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_the_file_says_is_a_complete_environment_and_covers_every_setting() {
    let mut covered = BTreeSet::new();
    for host in [Host::simple as fn() -> Host, Host::full, Host::other] {
        let host = host();
        let environment = host.environment();
        assert_eq!(faults(&environment), [""; 0]);
        covered.extend(environment.into_keys());
    }
    for setting in SETTINGS {
        assert!(
            covered.contains(setting.name),
            "{} does not follow from a region's file",
            setting.name
        );
    }
}

#[test]
fn the_fence_lets_out_exactly_what_network_policies_are_made_of() {
    for host in [Host::simple as fn() -> Host, Host::full, Host::other] {
        let host = host();
        let environment: Environment = host.environment().into_iter().collect();
        let settings = Settings::from_environment(&environment).unwrap();
        let listed = destinations(&host.file);
        let database = (&host.file.database.host, host.file.database.port);
        let wanted: BTreeSet<_> = listed
            .iter()
            // It is no HTTP, and not the fence's.
            .filter(|it| (&it.host, it.port) != database)
            .map(|it| match (it.and_below, it.port) {
                (true, _) => format!("{} and all under it", it.host),
                (false, 443) => it.host.clone(),
                (false, port) => format!("{}:{port}", it.host),
            })
            .collect();
        let fenced: BTreeSet<_> = crate::region::allowed(&settings)
            .iter()
            .filter_map(|rule| Some(rule.rsplit_once(" (")?.0.to_owned()))
            // The wider rule for Zoom's hosts says it already.
            .filter(|rule| rule != "zoom.us" && !rule.ends_with(".zoom.us"))
            .collect();
        assert_eq!(fenced, wanted);
    }
}

#[test]
fn every_setting_that_says_something_else_is_a_fault_that_keeps_the_value_for_itself() {
    for host in [Host::simple as fn() -> Host, Host::full, Host::other] {
        let host = host();
        let right = host.environment();
        for variable in variables(&host.file) {
            let Value::Text(text) = variable.value else {
                continue;
            };
            // Another path is another file, and AWS's names are judged as settings too.
            if variable.name == "DOMICILE_REGION_FILE" {
                continue;
            }
            let mut wrong = right.clone();
            let other = match variable.name {
                "DOMICILE_REGION_ADMISSION" => "accounts".to_owned(),
                "DOMICILE_REGION_UNKNOWN_CLUSTER" => "allow".to_owned(),
                "AWS_SSE_BUCKET_KEY_ENABLED" => "false".to_owned(),
                "AWS_VIRTUAL_HOSTED_STYLE_REQUEST" => "true".to_owned(),
                "RUST_LOG" => "debug".to_owned(),
                _ => format!("{text}0"),
            };
            wrong.insert(variable.name.to_owned(), other.clone());
            let found = faults(&wrong);
            let named: Vec<_> = found
                .iter()
                .filter(|fault| fault.starts_with(&format!("{}: ", variable.name)))
                .collect();
            assert!(
                named.iter().any(|fault| fault.contains("the region's file")),
                "{} is {other}: {found:?}",
                variable.name
            );
        }
    }
}

#[test]
fn what_is_missing_and_what_is_too_much_is_a_fault() {
    let host = Host::full();
    for (name, present) in host.environment() {
        let mut wrong = host.environment();
        wrong.remove(&name);
        let has_this_default = SETTINGS
            .iter()
            .any(|setting| matches!(setting.requirement, super::Requirement::Default(default) if default == present));
        // Without the file nothing is compared, which is what it is to be optional.
        if has_this_default || name == "DOMICILE_REGION_FILE" {
            continue;
        }
        let found = faults(&wrong);
        assert!(
            found.iter().any(|fault| fault.starts_with(&format!("{name}: "))),
            "{name}: {found:?}"
        );
    }
    let simple = Host::simple();
    for name in [
        "DOMICILE_EGRESS_ALLOW",
        "DOMICILE_ZOOM_CALLS",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_KMS",
        "AWS_DEFAULT_REGION",
    ] {
        let mut wrong = simple.environment();
        let value = if name == "DOMICILE_ZOOM_CALLS" {
            "none"
        } else {
            "https://hunter2.example.com"
        };
        let value = if name == "DOMICILE_EGRESS_ALLOW" {
            "hunter2.example.com"
        } else {
            value
        };
        wrong.insert(name.to_owned(), value.to_owned());
        let found = faults(&wrong);
        assert!(
            found
                .iter()
                .any(|fault| fault.starts_with(&format!("{name}: is set, but"))),
            "{name}: {found:?}"
        );
        assert!(
            found
                .iter()
                .filter(|fault| fault.contains("region's file"))
                .all(|fault| !fault.contains("hunter2"))
        );
    }
    // AWS's other name for the region says nothing new, and its platforms set what nobody reads.
    let mut right = simple.environment();
    right.insert("AWS_DEFAULT_REGION".to_owned(), "eu-central-1".to_owned());
    right.insert("AWS_STS_REGIONAL_ENDPOINTS".to_owned(), "regional".to_owned());
    assert_eq!(faults(&right), [""; 0]);
}

#[test]
fn a_database_or_keys_of_elsewhere_are_a_fault_although_they_are_secret() {
    let host = Host::full();
    for (name, from, to) in [
        ("DOMICILE_DATABASE_URL", "/domicile_eu", "/domicile_us"),
        (
            "DOMICILE_DATABASE_URL",
            "domicile-rw.domicile-eu.svc",
            "domicile-rw.domicile-us.svc",
        ),
        ("DOMICILE_DATABASE_URL", ":5432/", ":5433/"),
        ("DOMICILE_VAULT_KEYS", "eu-2025:", "eu-2024:"),
        ("DOMICILE_VAULT_KEYS", "eu-central-1", "eu-central-2"),
    ] {
        let mut wrong = host.environment();
        let value = wrong.get_mut(name).unwrap();
        assert!(value.contains(from));
        *value = value.replace(from, to);
        let found = faults(&wrong);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(name) && !found[0].contains("hunter2") && !found[0].contains(KEY),
            "{found:?}"
        );
    }
}

#[test]
fn a_file_with_a_fault_of_its_own_stops_the_start_and_lists_them_all() {
    let host = Host::new(|file| {
        file.zoom.apps.linking.redirect_url = "https://zoom.us.example.com/oauth/callback".to_owned();
        file.objects.region = Some("us-east-1".to_owned());
    });
    let found = faults(&host.environment());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("zoom.apps.linking.redirectUrl"))
    );
    assert!(found.iter().any(|fault| fault.contains("the jurisdiction is eu")));
}

/// A plain host: the environment file as systemd reads it, and credentials as files.
#[test]
fn the_environment_file_of_a_plain_host_starts_it() {
    for host in [Host::simple(), Host::full()] {
        let systemd = Systemd {
            unit: "domicile.service".to_owned(),
            secrets: "/etc/domicile/secrets".to_owned(),
        };
        let credentials = host.folder.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        let text = systemd
            .environment_file(&host.file)
            .replace("/run/credentials/domicile.service", credentials.to_str().unwrap());
        let mut environment = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once('=').unwrap();
            let bare = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            let value = bare.unwrap_or(value).replace("\\\"", "\"").replace("\\$", "$");
            if let Some(setting) = name
                .strip_suffix("_FILE")
                .filter(|it| value.contains("credentials/") && !it.is_empty())
            {
                std::fs::write(&value, host.secret_of(setting) + "\n").unwrap();
            }
            environment.insert(name.to_owned(), value);
        }
        assert!(!text.contains("hunter2"));
        assert_eq!(faults(&environment), [""; 0]);
    }
}

#[test]
fn words_that_leave_out_the_defaults_say_the_same_as_those_that_write_them_out() {
    let host = Host::full();
    let mut environment = host.environment();
    environment.insert(
        "DOMICILE_BOT_WORDS".to_owned(),
        r#"{"product": "Example"}"#.to_owned(),
    );
    assert_eq!(faults(&environment), [""; 0]);
    environment.insert(
        "DOMICILE_BOT_WORDS".to_owned(),
        r#"{"product": "Another"}"#.to_owned(),
    );
    assert!(
        faults(&environment)
            .iter()
            .any(|fault| fault.starts_with("DOMICILE_BOT_WORDS: contradicts the region's file")),
        "{:?}",
        faults(&environment)
    );
}
