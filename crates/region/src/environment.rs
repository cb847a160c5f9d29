//! The environment of a region's processes, as its file determines it.

use std::fmt::{Display, Write};

use url::Url;

use crate::file::{Admission, IdentityMode, MarketplaceApp, RegionFile, SecretRef, UnknownCluster};
use crate::words::Words;

const BOT_WORDS: &str = "DOMICILE_BOT_WORDS";

/// One environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub value: Value<'a>,
}

/// What a variable says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// It stands in the file, or follows from it.
    Text(String),
    /// It is in a secret.
    Secret(&'a SecretRef),
}

/// Every variable that the file determines, in the order of the settings. What is not among them is not set.
pub fn variables(file: &RegionFile) -> Vec<Variable<'_>> {
    let mut variables = Variables(Vec::new());
    identity(file, &mut variables);
    zoom(file, &mut variables);
    variables.text("DOMICILE_INTAKE_MAX_AGE_SECONDS", file.intake.max_age_seconds);
    variables.text("DOMICILE_INTAKE_MAX_AHEAD_SECONDS", file.intake.max_ahead_seconds);
    variables.text("DOMICILE_INTAKE_BODY_LIMIT_BYTES", file.intake.body_limit_bytes);
    vault(file, &mut variables);
    app(file, &mut variables);
    if !file.egress.allow.is_empty() {
        variables.text("DOMICILE_EGRESS_ALLOW", file.egress.allow.join(","));
    }
    variables.option(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        file.telemetry.otlp_endpoint.as_ref(),
    );
    variables.text("RUST_LOG", &file.telemetry.log_filter);
    aws(file, &mut variables);
    variables.0
}

/// Whether two texts of one variable say the same: as texts, as comma lists of texts or URLs, or as the bot's words.
pub fn is_same(name: &str, one: &str, other: &str) -> bool {
    let entries = |text: &str| -> Vec<String> {
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(|entry| Url::parse(entry).map_or_else(|_| entry.to_owned(), String::from))
            .collect()
    };
    if one.trim() == other.trim() {
        return true;
    }
    if name == BOT_WORDS {
        // Defaults may be written out or left out.
        return Words::parse(one).is_ok_and(|words| Ok(words) == Words::parse(other));
    }
    entries(one) == entries(other)
}

struct Variables<'a>(Vec<Variable<'a>>);

impl<'a> Variables<'a> {
    fn text(&mut self, name: &'static str, value: impl Display) {
        let value = Value::Text(format!("{value}"));
        self.0.push(Variable { name, value });
    }

    fn option(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn secret(&mut self, name: &'static str, secret: Option<&'a SecretRef>) {
        let value = secret.map(Value::Secret);
        self.0.extend(value.map(|value| Variable { name, value }));
    }
}

fn identity(file: &RegionFile, variables: &mut Variables<'_>) {
    let region = &file.region;
    variables.text("DOMICILE_REGION_ID", &region.id);
    variables.text("DOMICILE_REGION_NAME", &region.name);
    variables.text("DOMICILE_REGION_ZOOM_CLUSTERS", region.zoom_clusters.join(","));
    variables.text(
        "DOMICILE_REGION_UNKNOWN_CLUSTER",
        match region.unknown_cluster {
            UnknownCluster::Allow => "allow",
            UnknownCluster::Refuse => "refuse",
        },
    );
    variables.text(
        "DOMICILE_REGION_ADMISSION",
        match region.admission {
            Admission::Open => "open",
            Admission::Accounts => "accounts",
        },
    );
    variables.text("DOMICILE_REGION_FILE", &region.file);
    variables.text("DOMICILE_REGION_DIRECTORY_FILE", &region.directory_file);
    variables.text("DOMICILE_HTTP_PUBLIC_URL", &file.http.public_url);
    variables.text("DOMICILE_HTTP_PUBLIC_LISTEN", &file.http.public_listen);
    variables.text("DOMICILE_HTTP_APP_LISTEN", &file.http.app_listen);
    variables.text("DOMICILE_HTTP_OPS_LISTEN", &file.http.ops_listen);
}

fn zoom<'a>(file: &'a RegionFile, variables: &mut Variables<'a>) {
    let zoom = &file.zoom;
    variables.secret("DOMICILE_DATABASE_URL", Some(&file.database.url_secret));
    let linking = &zoom.apps.linking;
    variables.text("DOMICILE_ZOOM_CLIENT_ID", &linking.client_id);
    variables.secret("DOMICILE_ZOOM_CLIENT_SECRET", Some(&linking.client_secret));
    variables.secret("DOMICILE_ZOOM_WEBHOOK_SECRETS", Some(&linking.webhook_secrets));
    variables.secret(
        "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION",
        linking.webhook_authorization.as_ref(),
    );
    variables.secret("DOMICILE_ZOOM_WEBHOOK_HEADER", linking.webhook_header.as_ref());
    variables.text("DOMICILE_ZOOM_OAUTH_URL", &zoom.oauth_url);
    variables.text("DOMICILE_ZOOM_API_URL", &zoom.api_url);
    variables.text("DOMICILE_ZOOM_HOSTS", zoom.hosts.join(","));
    variables.option(
        "DOMICILE_ZOOM_CALLS",
        zoom.calls.as_ref().map(|calls| {
            if calls.is_empty() {
                "none".to_owned()
            } else {
                calls.join(", ")
            }
        }),
    );
    variables.option("DOMICILE_ZOOM_DOMAIN_PROOF", zoom.domain_proof.as_ref());
    if let Some((_, chat)) = zoom.apps.with_chat() {
        variables.text("DOMICILE_BOT_ROBOT_JID", &chat.robot_jid);
        let words = chat.words.as_ref();
        variables.option(
            BOT_WORDS,
            words.and_then(|words| serde_json::to_string(words).ok()),
        );
        variables.text("DOMICILE_BOT_PROGRESS", if chat.progress { "on" } else { "off" });
    }
    if let Some(bot) = &zoom.apps.bot {
        own_bot(bot, variables);
    }
}

/// What the bot has of its own; otherwise it borrows from the linking app.
fn own_bot<'a>(bot: &'a MarketplaceApp, variables: &mut Variables<'a>) {
    variables.text("DOMICILE_BOT_CLIENT_ID", &bot.client_id);
    variables.secret("DOMICILE_BOT_CLIENT_SECRET", Some(&bot.client_secret));
    variables.secret("DOMICILE_BOT_WEBHOOK_SECRETS", Some(&bot.webhook_secrets));
    variables.secret(
        "DOMICILE_BOT_WEBHOOK_AUTHORIZATION",
        bot.webhook_authorization.as_ref(),
    );
    variables.secret("DOMICILE_BOT_WEBHOOK_HEADER", bot.webhook_header.as_ref());
}

fn vault<'a>(file: &'a RegionFile, variables: &mut Variables<'a>) {
    const KEYS: &str = "DOMICILE_VAULT_KEYS";
    match &file.vault.keys_secret {
        Some(secret) => variables.secret(KEYS, Some(secret)),
        None => {
            let keys = file.vault.keys.iter().filter_map(|key| {
                let arn = key.aws_kms.as_ref()?;
                Some(format!("{}:aws-kms:{arn}", key.id))
            });
            variables.text(KEYS, keys.collect::<Vec<_>>().join(","));
        }
    }
    variables.secret("DOMICILE_EVIDENCE_KEY", file.vault.evidence_key.as_ref());
}

fn app<'a>(file: &'a RegionFile, variables: &mut Variables<'a>) {
    let app = &file.app;
    variables.text("DOMICILE_OBJECTS_URL", &file.objects.url);
    variables.secret("DOMICILE_APP_API_KEYS", Some(&app.api_keys));
    variables.text("DOMICILE_APP_START_URL", &app.start_url);
    variables.text("DOMICILE_APP_RETURN_URLS", app.return_urls.join(","));
    variables.option("DOMICILE_APP_EVENTS_URL", app.events_url.as_ref());
    variables.secret("DOMICILE_APP_EVENTS_SECRETS", app.events_secrets.as_ref());
    variables.text(
        "DOMICILE_APP_IDENTITY",
        match app.identity.mode {
            IdentityMode::Confirm => "confirm",
            IdentityMode::SessionJwt => "session-jwt",
        },
    );
    if let Some(jwt) = &app.identity.jwt {
        variables.text("DOMICILE_APP_JWT_ISSUER", &jwt.issuer);
        variables.text("DOMICILE_APP_JWT_AUDIENCE", &jwt.audience);
        variables.text("DOMICILE_APP_JWT_JWKS_URL", &jwt.jwks_url);
        variables.text("DOMICILE_APP_JWT_ALGORITHMS", jwt.algorithms.join(","));
        variables.option("DOMICILE_APP_JWT_COOKIE", jwt.cookie.as_ref());
        variables.option("DOMICILE_APP_JWT_HEADER", jwt.header.as_ref());
        variables.text("DOMICILE_APP_JWT_USER_CLAIM", &jwt.user_claim);
        variables.option("DOMICILE_APP_JWT_ORG_CLAIM", jwt.org_claim.as_ref());
        variables.text("DOMICILE_APP_JWT_LEEWAY_SECONDS", jwt.leeway_seconds);
    }
}

fn aws<'a>(file: &'a RegionFile, variables: &mut Variables<'a>) {
    let objects = &file.objects;
    variables.option("AWS_REGION", objects.region.as_ref());
    variables.option("AWS_ENDPOINT_URL_S3", objects.endpoint.as_ref());
    variables.option("AWS_ENDPOINT_URL_KMS", file.vault.endpoint.as_ref());
    variables.option("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", objects.virtual_hosted_style);
    if let Some(credentials) = &objects.credentials {
        if let Some(identity) = &credentials.web_identity {
            variables.text("AWS_ROLE_ARN", &identity.role_arn);
            variables.text("AWS_WEB_IDENTITY_TOKEN_FILE", &identity.token_file);
            variables.option("AWS_ROLE_SESSION_NAME", identity.session_name.as_ref());
            variables.option("AWS_ENDPOINT_URL_STS", identity.endpoint.as_ref());
        }
        if let Some(key) = &credentials.access_key {
            variables.secret("AWS_ACCESS_KEY_ID", Some(&key.id));
            variables.secret("AWS_SECRET_ACCESS_KEY", Some(&key.secret));
            variables.secret("AWS_SESSION_TOKEN", key.session_token.as_ref());
        }
    }
    if let Some(encryption) = &objects.encryption {
        variables.text("AWS_SERVER_SIDE_ENCRYPTION", &encryption.algorithm);
        variables.option("AWS_SSE_KMS_KEY_ID", encryption.kms_key_id.as_ref());
        variables.option("AWS_SSE_BUCKET_KEY_ENABLED", encryption.bucket_key);
    }
}

/// How a plain host under systemd is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Systemd {
    /// The unit that runs the process, such as `domicile.service`.
    pub unit: String,
    /// The folder that holds a folder for each secret, with a file for each of its keys.
    pub secrets: String,
}

impl Systemd {
    /// The environment file: `EnvironmentFile=` of the unit. Secrets are named by the files that systemd makes of credentials.
    pub fn environment_file(&self, file: &RegionFile) -> String {
        let mut text = format!(
            "# The environment of the region {}, from its file.\n# Configuration digest {}\n",
            file.region.id,
            file.digest()
        );
        for variable in variables(file) {
            let (suffix, value) = match variable.value {
                Value::Text(value) => ("", value),
                Value::Secret(secret) => {
                    let path = format!("/run/credentials/{}/{}", self.unit, credential(secret));
                    ("_FILE", path)
                }
            };
            // Writing into a String does not fail.
            let _ = writeln!(text, "{}{suffix}={}", variable.name, quoted(&value));
        }
        text
    }

    /// The drop-in of the unit that hands its secrets over: one `LoadCredential=` each.
    pub fn drop_in(&self, file: &RegionFile, environment_file: &str) -> String {
        let mut text = format!(
            "# The credentials of the region {}, from its file.\n[Service]\nEnvironmentFile={environment_file}\n",
            file.region.id
        );
        for variable in variables(file) {
            if let Value::Secret(secret) = variable.value {
                let _ = writeln!(
                    text,
                    "LoadCredential={}:{}/{}/{}",
                    credential(secret),
                    self.secrets.trim_end_matches('/'),
                    secret.name,
                    secret.key
                );
            }
        }
        text
    }
}

/// A credential's name: neither part holds a slash, and no two secrets read alike.
fn credential(secret: &SecretRef) -> String {
    format!("{}:{}", secret.name, secret.key).replace(':', "_")
}

/// As systemd's `EnvironmentFile=` reads values: in double quotes, in which four characters are escaped.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-./:,@+=%".contains(&b));
    if plain {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for it in value.chars() {
        if matches!(it, '"' | '\\' | '`' | '$') {
            text.push('\\');
        }
        text.push(it);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eu() -> RegionFile {
        serde_saphyr::from_str(include_str!("../../../regions/eu.yaml")).unwrap()
    }

    #[test]
    fn a_host_gets_values_and_the_files_of_secrets_and_no_secret() {
        let systemd = Systemd {
            unit: "domicile.service".to_owned(),
            secrets: "/etc/domicile/secrets".to_owned(),
        };
        let file = eu();
        let text = systemd.environment_file(&file);
        for line in [
            "DOMICILE_REGION_NAME=\"European Union\"",
            "DOMICILE_REGION_FILE=/etc/domicile/region.yaml",
            "DOMICILE_ZOOM_CLIENT_SECRET_FILE=/run/credentials/domicile.service/domicile-eu-zoom_client-secret",
            "DOMICILE_BOT_ROBOT_JID=v1euq3pmzltb2ua7k0x5h9wc@xmpp.zoom.us",
            "AWS_REGION=eu-central-1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
        assert!(text.contains(&file.digest()));
        let drop_in = systemd.drop_in(&file, "/etc/domicile/eu.env");
        for variable in variables(&file) {
            if let Value::Secret(secret) = variable.value {
                let path = format!(
                    "_{}:/etc/domicile/secrets/{}/{}\n",
                    secret.key, secret.name, secret.key
                );
                assert!(drop_in.contains(&path), "{path} in\n{drop_in}");
            }
        }
    }

    #[test]
    fn no_variable_is_there_twice() {
        let file = eu();
        let mut names: Vec<_> = variables(&file).iter().map(|it| it.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    /// What systemd does with a quoted value, after its manual: systemd.exec(5), `EnvironmentFile=`.
    fn unquoted(text: &str) -> String {
        let Some(inner) = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')) else {
            return text.to_owned();
        };
        let mut value = String::new();
        let mut characters = inner.chars();
        while let Some(it) = characters.next() {
            value.push(if it == '\\' {
                characters.next().unwrap()
            } else {
                it
            });
        }
        value
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(value in "[ -~äß]{0,40}") {
            prop_assert_eq!(unquoted(&quoted(&value)), value);
        }
    }
}
