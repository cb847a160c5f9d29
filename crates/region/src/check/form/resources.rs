//! The form of what the region keeps its data in, of telemetry, egress, intake and deployment.

use url::Url;

use super::Finder;
use super::values::{is_arn, is_host, is_host_and_port, is_key_id, is_label, is_plain, is_url};
use crate::file::{Deployment, Intake, Objects, RegionFile, Vault};
use crate::rule::Rule;

pub(super) fn check(finder: &mut Finder<'_>, file: &RegionFile) {
    let database = &file.database;
    if !is_host(&database.host) {
        finder.value(
            "database.host",
            "it is no host",
            "write such as db.eu.example.com",
        );
    }
    if !is_plain(&database.name) || database.name.len() > 63 || database.name.contains(['/', '?']) {
        finder.value(
            "database.name",
            "it is no name of a database",
            "write such as domicile_eu",
        );
    }
    if database.port == 0 {
        finder.value("database.port", "it is no port", "write such as 5432");
    }
    objects(finder, &file.objects);
    vault(finder, &file.vault);
    if let Some(endpoint) = &file.telemetry.otlp_endpoint
        && !is_url(endpoint)
    {
        finder.value(
            "telemetry.otlpEndpoint",
            "it is no https URL",
            "write such as https://otlp.eu.example.com",
        );
    }
    for (index, host) in file.egress.allow.iter().enumerate() {
        if !is_host_and_port(host) {
            finder.value(
                format!("egress.allow[{index}]"),
                "it is no host",
                "write such as example.com or example.com:8443",
            );
        }
    }
    intake(finder, &file.intake);
    deployment(finder, &file.deployment);
}

fn objects(finder: &mut Finder<'_>, objects: &Objects) {
    let url = Url::parse(&objects.url).ok();
    let scheme = url.as_ref().map(Url::scheme);
    let is_bucket = scheme == Some("s3")
        && url
            .as_ref()
            .and_then(Url::host_str)
            .is_some_and(|bucket| (3..=63).contains(&bucket.len()));
    let is_folder = scheme == Some("file") && objects.url.starts_with("file:///");
    if !is_bucket && !is_folder {
        finder.value(
            "objects.url",
            "it is neither a bucket nor a folder",
            "write s3://bucket/prefix or file:///path",
        );
    }
    if let Some(region) = &objects.region
        && !is_plain(region)
    {
        finder.value(
            "objects.region",
            "it is no region's name",
            "write such as eu-central-1",
        );
    }
    for (path, url) in [
        ("objects.endpoint", objects.endpoint.as_ref()),
        (
            "objects.credentials.webIdentity.endpoint",
            objects
                .credentials
                .as_ref()
                .and_then(|it| it.web_identity.as_ref()?.endpoint.as_ref()),
        ),
    ] {
        if url.is_some_and(|url| !is_url(url)) {
            finder.value(path, "it is no https URL", "write scheme and host of the server");
        }
    }
    if is_bucket && objects.region.is_none() {
        finder.find(
            Rule::Contradiction,
            "objects.region",
            "a bucket needs the name of its region",
            "write such as eu-central-1",
        );
    }
    match &objects.credentials {
        Some(credentials) => {
            if credentials.web_identity.is_some() == credentials.access_key.is_some() {
                finder.find(
                    Rule::Contradiction,
                    "objects.credentials",
                    "requests are signed in one way",
                    "write either webIdentity or accessKey",
                );
            }
            if let Some(identity) = &credentials.web_identity {
                if !is_arn(&identity.role_arn, "iam", "role/") {
                    finder.value(
                        "objects.credentials.webIdentity.roleArn",
                        "it is no ARN of a role",
                        "write such as arn:aws:iam::111122223333:role/domicile-eu",
                    );
                }
                if !identity.token_file.starts_with('/') {
                    finder.value(
                        "objects.credentials.webIdentity.tokenFile",
                        "it is no absolute path",
                        "write where the token is mounted",
                    );
                }
            }
        }
        None if is_bucket => finder.find(
            Rule::Contradiction,
            "objects.credentials",
            "a bucket needs credentials",
            "write webIdentity or accessKey",
        ),
        None => {}
    }
}

fn vault(finder: &mut Finder<'_>, vault: &Vault) {
    if vault.keys.is_empty() {
        finder.value(
            "vault.keys",
            "it is empty",
            "list the region's keys, the one that seals first",
        );
    }
    for (index, key) in vault.keys.iter().enumerate() {
        let path = format!("vault.keys[{index}]");
        let twice = vault.keys.iter().take(index).any(|other| other.id == key.id);
        if !is_key_id(&key.id) || twice {
            finder.value(
                format!("{path}.id"),
                "it is no id of a key, or is listed twice",
                "write letters, digits, '-' and '_', such as eu-2026, once",
            );
        }
        if let Some(arn) = &key.aws_kms
            && !is_arn(arn, "kms", "key/")
        {
            finder.value(
                format!("{path}.awsKms"),
                "it is no ARN of a key",
                "write such as arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            );
        }
    }
    let any_local = vault.keys.iter().any(|key| key.aws_kms.is_none());
    if any_local != vault.keys_secret.is_some() {
        finder.find(
            Rule::Contradiction,
            "vault.keysSecret",
            "the secret holds the bytes of local keys, and is needed for these alone",
            "write it as soon as one key has no awsKms, else remove it",
        );
    }
    if let Some(endpoint) = &vault.endpoint
        && !is_url(endpoint)
    {
        finder.value(
            "vault.endpoint",
            "it is no https URL",
            "write scheme and host of the server",
        );
    }
}

fn intake(finder: &mut Finder<'_>, intake: &Intake) {
    for (path, value, range) in [
        ("intake.maxAgeSeconds", intake.max_age_seconds, 1..=86_400),
        ("intake.maxAheadSeconds", intake.max_ahead_seconds, 0..=3_600),
        ("intake.bodyLimitBytes", intake.body_limit_bytes, 1..=10_485_760),
    ] {
        if !range.contains(&value) {
            let reason = format!("it is not from {} to {}", range.start(), range.end());
            finder.find(Rule::Value, path, reason, "write a number within these bounds");
        }
    }
}

fn deployment(finder: &mut Finder<'_>, deployment: &Deployment) {
    if !is_label(&deployment.namespace) {
        finder.value(
            "deployment.namespace",
            "it is no namespace",
            "write such as domicile-eu",
        );
    }
    let image = &deployment.image_repository;
    let (host, rest) = image.split_once('/').unwrap_or((image, ""));
    if !is_host_and_port(host) || rest.is_empty() || !is_plain(rest) || rest.contains(['@', ':']) {
        finder.value(
            "deployment.imageRepository",
            "it is no image without tag and digest",
            "write registry and name, such as registry.eu.example.com/domicile",
        );
    }
    let is_digest = deployment
        .image_digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| {
            hex.len() == 64
                && hex
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
    if !is_digest {
        finder.value(
            "deployment.imageDigest",
            "it is no digest",
            "write sha256: and 64 hexadecimal digits, never a tag",
        );
    }
    if deployment.soak_minutes > 20_160 {
        finder.value(
            "deployment.soakMinutes",
            "it is more than two weeks",
            "write at most 20160",
        );
    }
    if deployment.release_order == 0 {
        finder.value("deployment.releaseOrder", "it is 0", "count from 1");
    }
}
