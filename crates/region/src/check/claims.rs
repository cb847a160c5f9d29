//! What a region claims for itself alone.

use url::Url;

use super::form::is_loopback;
use crate::file::RegionFile;
use crate::rule::Rule;

/// Something that no other region may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) rule: Rule,
    pub(super) path: String,
    /// The value, in a form in which equal things are equal texts.
    pub(super) value: String,
}

/// A host that the region is, or calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostClaim {
    /// The rule between two regions' hosts of this kind.
    pub(super) rule: Rule,
    pub(super) path: String,
    pub(super) host: String,
    /// It is not written there, but follows from what is.
    pub(super) derived: bool,
}

/// Everything but hosts. What says most stands first: of two claims at one path the first is reported.
pub(super) fn claims(file: &RegionFile) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut claim = |rule: Rule, path: String, value: &str| {
        claims.push(Claim {
            rule,
            path,
            value: value.to_owned(),
        });
    };
    claim(Rule::SharedId, "region.id".to_owned(), &file.region.id);
    for (index, cluster) in file.region.zoom_clusters.iter().enumerate() {
        claim(
            Rule::SharedZoomCluster,
            format!("region.zoomClusters[{index}]"),
            cluster,
        );
    }
    for (name, app) in file.zoom.apps.named() {
        let path = format!("zoom.apps.{name}");
        claim(
            Rule::SharedCallbackUrl,
            format!("{path}.redirectUrl"),
            &url_key(&app.redirect_url),
        );
        claim(
            Rule::SharedCallbackUrl,
            format!("{path}.installUrl"),
            &url_key(&app.install_url),
        );
        claim(
            Rule::SharedCallbackUrl,
            format!("{path}.eventsUrl"),
            &url_key(&app.events_url),
        );
        claim(Rule::SharedAppId, format!("{path}.appId"), &app.app_id);
        claim(Rule::SharedClientId, format!("{path}.clientId"), &app.client_id);
        claim(
            Rule::SharedAppName,
            format!("{path}.name"),
            &app.name.trim().to_lowercase(),
        );
        if let Some(development) = &app.development {
            claim(
                Rule::SharedClientId,
                format!("{path}.development.clientId"),
                &development.client_id,
            );
        }
        if let Some(chat) = &app.chat {
            claim(
                Rule::SharedCallbackUrl,
                format!("{path}.chat.messageUrl"),
                &url_key(&chat.message_url),
            );
            claim(
                Rule::SharedRobotJid,
                format!("{path}.chat.robotJid"),
                &chat.robot_jid,
            );
            claim(
                Rule::SharedSlashCommand,
                format!("{path}.chat.slashCommand.command"),
                &chat.slash_command.command,
            );
        }
    }
    for (path, secret) in file.secrets() {
        claim(Rule::SharedSecretReference, format!("{path}.name"), &secret.name);
    }
    claim(
        Rule::SharedDatabaseName,
        "database.name".to_owned(),
        &file.database.name,
    );
    storage_and_keys(file, &mut claim);
    let deployment = &file.deployment;
    claim(
        Rule::SharedNamespace,
        "deployment.namespace".to_owned(),
        &deployment.namespace,
    );
    claim(
        Rule::SharedClusterContext,
        "deployment.clusterContext".to_owned(),
        &deployment.cluster_context,
    );
    claims
}

fn storage_and_keys(file: &RegionFile, claim: &mut impl FnMut(Rule, String, &str)) {
    let objects = &file.objects;
    // Of a bucket the prefix does not matter: whoever may read the one may mostly read the other.
    let bucket = Url::parse(&objects.url).ok().map_or_else(
        || objects.url.clone(),
        |url| match url.host_str() {
            Some(bucket) if url.scheme() == "s3" => bucket.to_ascii_lowercase(),
            _ => objects.url.trim_end_matches('/').to_owned(),
        },
    );
    claim(Rule::SharedBucket, "objects.url".to_owned(), &bucket);
    for (index, key) in file.vault.keys.iter().enumerate() {
        claim(Rule::SharedKey, format!("vault.keys[{index}].id"), &key.id);
        if let Some(arn) = &key.aws_kms {
            claim(Rule::SharedKey, format!("vault.keys[{index}].awsKms"), arn);
        }
    }
    let sse = objects.encryption.as_ref().and_then(|it| it.kms_key_id.as_ref());
    if let Some(key) = sse {
        claim(Rule::SharedKey, "objects.encryption.kmsKeyId".to_owned(), key);
    }
    let role = objects
        .credentials
        .as_ref()
        .and_then(|it| it.web_identity.as_ref());
    if let Some(role) = role {
        claim(
            Rule::SharedCloudRole,
            "objects.credentials.webIdentity.roleArn".to_owned(),
            &role.role_arn,
        );
    }
    let keys = file.vault.keys.iter().enumerate();
    let arns = keys
        .map(|(index, key)| (format!("vault.keys[{index}].awsKms"), key.aws_kms.as_ref()))
        .chain([
            ("objects.encryption.kmsKeyId".to_owned(), sse),
            (
                "objects.credentials.webIdentity.roleArn".to_owned(),
                role.map(|role| &role.role_arn),
            ),
        ]);
    for (path, arn) in arns {
        if let Some(account) = arn.and_then(|arn| account_of(arn)) {
            claim(Rule::SharedCloudAccount, path, account);
        }
    }
}

/// Every host that the file names or implies, but the ports of other machines: a host is one machine for this purpose.
pub(super) fn hosts(file: &RegionFile) -> Vec<HostClaim> {
    let mut hosts = Hosts(Vec::new());
    hosts.url(Rule::SharedPublicHost, "http.publicUrl", &file.http.public_url);
    for (name, app) in file.zoom.apps.named() {
        let path = format!("zoom.apps.{name}");
        hosts.url(
            Rule::SharedCallbackUrl,
            &format!("{path}.redirectUrl"),
            &app.redirect_url,
        );
        hosts.url(
            Rule::SharedCallbackUrl,
            &format!("{path}.installUrl"),
            &app.install_url,
        );
        hosts.url(
            Rule::SharedCallbackUrl,
            &format!("{path}.eventsUrl"),
            &app.events_url,
        );
        if let Some(chat) = &app.chat {
            hosts.url(
                Rule::SharedCallbackUrl,
                &format!("{path}.chat.messageUrl"),
                &chat.message_url,
            );
        }
        if let Some(development) = &app.development {
            let path = format!("{path}.development.publicUrl");
            hosts.url(Rule::SharedPublicHost, &path, &development.public_url);
        }
    }
    let listing = &file.zoom.listing;
    for (path, url) in [
        ("zoom.listing.privacyUrl", &listing.privacy_url),
        ("zoom.listing.termsUrl", &listing.terms_url),
        ("zoom.listing.supportUrl", &listing.support_url),
        ("zoom.listing.documentationUrl", &listing.documentation_url),
    ] {
        hosts.url(Rule::SharedListingHost, path, url);
    }
    let app = &file.app;
    hosts.url(Rule::SharedAppHost, "app.startUrl", &app.start_url);
    for (index, url) in app.return_urls.iter().enumerate() {
        hosts.url(Rule::SharedAppHost, &format!("app.returnUrls[{index}]"), url);
    }
    if let Some(url) = &app.events_url {
        hosts.url(Rule::SharedAppHost, "app.eventsUrl", url);
    }
    if let Some(jwt) = &app.identity.jwt {
        hosts.url(Rule::SharedAppHost, "app.identity.jwt.jwksUrl", &jwt.jwks_url);
    }
    hosts.name(Rule::SharedDatabaseHost, "database.host", &file.database.host);
    resources(file, &mut hosts);
    if let Some(url) = &file.telemetry.otlp_endpoint {
        hosts.url(Rule::SharedTelemetryEndpoint, "telemetry.otlpEndpoint", url);
    }
    for (index, host) in file.egress.allow.iter().enumerate() {
        hosts.name(Rule::SharedEgressHost, &format!("egress.allow[{index}]"), host);
    }
    let registry = file
        .deployment
        .image_repository
        .split('/')
        .next()
        .unwrap_or_default();
    hosts.name(Rule::SharedRegistry, "deployment.imageRepository", registry);
    if let Some(app) = &file.chart.ingress.app {
        hosts.name(Rule::SharedAppHost, "chart.ingress.app.host", &app.host);
    }
    if let Some((registry, _)) = file
        .chart
        .postgres
        .image
        .as_ref()
        .and_then(|it| it.split_once('/'))
    {
        hosts.name(Rule::SharedRegistry, "chart.postgres.image", registry);
    }
    hosts.0
}

fn resources(file: &RegionFile, hosts: &mut Hosts) {
    let objects = &file.objects;
    let is_bucket = objects.url.starts_with("s3://");
    match (&objects.endpoint, &objects.region) {
        (Some(endpoint), _) => hosts.url(Rule::SharedStorageHost, "objects.endpoint", endpoint),
        (None, Some(region)) if is_bucket => {
            let host = format!("s3.{region}.amazonaws.com");
            hosts.derived(Rule::SharedStorageHost, "objects.region", host);
        }
        _ => {}
    }
    let identity = objects
        .credentials
        .as_ref()
        .and_then(|it| it.web_identity.as_ref());
    match identity.map(|identity| (&identity.endpoint, &objects.region)) {
        Some((Some(endpoint), _)) => hosts.url(
            Rule::SharedStorageHost,
            "objects.credentials.webIdentity.endpoint",
            endpoint,
        ),
        Some((None, Some(region))) => {
            let host = format!("sts.{region}.amazonaws.com");
            hosts.derived(Rule::SharedStorageHost, "objects.region", host);
        }
        Some((None, None)) | None => {}
    }
    match &file.vault.endpoint {
        Some(endpoint) => hosts.url(Rule::SharedKeyHost, "vault.endpoint", endpoint),
        None => {
            for (index, key) in file.vault.keys.iter().enumerate() {
                if let Some(region) = key.aws_kms.as_ref().and_then(|arn| arn.split(':').nth(3)) {
                    let host = format!("kms.{region}.amazonaws.com");
                    hosts.derived(Rule::SharedKeyHost, &format!("vault.keys[{index}].awsKms"), host);
                }
            }
        }
    }
}

struct Hosts(Vec<HostClaim>);

impl Hosts {
    fn push(&mut self, rule: Rule, path: &str, host: String, derived: bool) {
        self.0.push(HostClaim {
            rule,
            path: path.to_owned(),
            host,
            derived,
        });
    }

    fn derived(&mut self, rule: Rule, path: &str, host: String) {
        self.push(rule, path, host, true);
    }

    fn url(&mut self, rule: Rule, path: &str, url: &str) {
        if let Ok(url) = Url::parse(url)
            && let Some(host) = url.host_str()
        {
            // This machine's own addresses are apart by their ports.
            let port = url.port_or_known_default().filter(|_| is_loopback(&url));
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            self.push(
                rule,
                path,
                port.map_or(host.clone(), |port| format!("{host}:{port}")),
                false,
            );
        }
    }

    /// A host, perhaps with a port.
    fn name(&mut self, rule: Rule, path: &str, host: &str) {
        self.url(rule, path, &format!("https://{host}"));
    }
}

/// A URL in the form in which equal ones are equal texts.
fn url_key(text: &str) -> String {
    Url::parse(text).map_or_else(|_| text.to_owned(), Into::into)
}

/// The account that an ARN names.
fn account_of(arn: &str) -> Option<&str> {
    arn.split(':')
        .nth(4)
        .filter(|account| !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit()))
}

/// The hosts that the region calls, Zoom's aside, each once.
pub(crate) fn called_hosts(file: &RegionFile) -> Vec<String> {
    let called = |rule| {
        matches!(
            rule,
            Rule::SharedDatabaseHost
                | Rule::SharedStorageHost
                | Rule::SharedKeyHost
                | Rule::SharedTelemetryEndpoint
                | Rule::SharedEgressHost
        )
    };
    let answers = ["app.eventsUrl", "app.identity.jwt.jwksUrl"];
    let mut hosts: Vec<_> = hosts(file)
        .into_iter()
        .filter(|claim| called(claim.rule) || answers.contains(&claim.path.as_str()))
        .map(|claim| claim.host)
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
