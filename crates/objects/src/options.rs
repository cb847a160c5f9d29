//! AWS's own settings for S3, and for what else is called with the same credentials, by the names that AWS's tools gave them.

use std::collections::BTreeMap;
use std::fmt;

use domicile_egress::{HostRule, InvalidRule};
use domicile_kernel::Secret;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use url::{Host, Url};

use crate::error::{ObjectsError, SettingFault};

/// The settings that are passed on as they are, and their names in `object_store`.
const PASSED_ON: [(&str, &str); 3] = [
    ("AWS_SERVER_SIDE_ENCRYPTION", "aws_server_side_encryption"),
    ("AWS_SSE_KMS_KEY_ID", "aws_sse_kms_key_id"),
    ("AWS_SSE_BUCKET_KEY_ENABLED", "aws_sse_bucket_key_enabled"),
];

/// The settings that are read here.
const READ: [&str; 13] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
];

/// Set by AWS's own platforms; they say nothing that matters here.
const IGNORED: [&str; 3] = [
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EXECUTION_ENV",
];

/// S3's settings as the roof read them. They are judged when storage at an `s3://` URL is opened; a `file://` URL needs
/// none of them.
#[derive(Clone, Default)]
pub struct S3Options(BTreeMap<String, Secret<String>>);

impl S3Options {
    /// Takes all variables whose name begins with `AWS_`; empty ones count as absent.
    pub fn from_vars<N: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(
            vars.into_iter()
                .map(|(name, value)| (name.into(), Secret::new(value.into())))
                .filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
                .collect(),
        )
    }

    /// The server that is called instead of Amazon's KMS, if a setting names one.
    pub fn kms_endpoint(&self) -> Result<Option<Url>, ObjectsError> {
        let mut reader = Reader::new(self);
        let endpoint = ["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"]
            .into_iter()
            .find(|name| self.get(name).is_some())
            .and_then(|name| reader.url(name));
        reader
            .finish(Some(endpoint))
            .map_err(|faults| ObjectsError::Aws { faults })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose().as_str())
    }
}

/// The names alone.
impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// An `s3://` URL and its options, complete and free of contradictions.
pub(crate) struct S3Settings {
    pub(crate) bucket: String,
    /// Without slashes at its ends.
    pub(crate) prefix: String,
    region: String,
    /// With the bucket as its first label if `virtual_hosted`.
    endpoint: Url,
    virtual_hosted: bool,
    credentials: Credentials,
    passed_on: Vec<(AmazonS3ConfigKey, String)>,
}

/// What requests are signed with.
pub(crate) enum Credentials {
    Static {
        key_id: String,
        secret: Secret<String>,
        session_token: Option<Secret<String>>,
    },
    WebIdentity {
        token_file: String,
        role_arn: String,
        session_name: Option<String>,
        sts: Url,
    },
}

impl S3Settings {
    /// Reads URL and options and lists every fault.
    pub(crate) fn read(url: &Url, options: &S3Options) -> Result<Self, Vec<SettingFault>> {
        let mut reader = Reader::new(options);
        let settings = reader.read(url);
        reader.finish(settings)
    }

    /// The hosts that are called: the bucket's and, with a web identity, the token service's.
    pub(crate) fn hosts(&self) -> Result<Vec<HostRule>, InvalidRule> {
        let mut hosts = vec![HostRule::for_url(&self.endpoint)?];
        hosts.extend(self.credentials.hosts()?);
        Ok(hosts)
    }

    /// The builder of the client, which still lacks its transport. Nothing is read from the environment.
    pub(crate) fn builder(self) -> AmazonS3Builder {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(self.bucket)
            .with_region(self.region)
            .with_endpoint(self.endpoint.as_str().trim_end_matches('/'))
            .with_virtual_hosted_style_request(self.virtual_hosted)
            // The fence decides over plain http.
            .with_allow_http(true);
        builder = self.credentials.put_into(builder);
        self.passed_on
            .into_iter()
            .fold(builder, |builder, (key, value)| builder.with_config(key, value))
    }
}

impl Credentials {
    /// The credentials alone, for what is signed beside S3's requests.
    pub(crate) fn read(options: &S3Options) -> Result<Self, Vec<SettingFault>> {
        let mut reader = Reader::new(options);
        reader.unknown();
        // The region leads to the token service; an access key needs none.
        let needs_region = options.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
            && options.get("AWS_ENDPOINT_URL_STS").is_none();
        let region = if needs_region { reader.region() } else { None };
        let credentials = reader.credentials(region.as_deref());
        reader.finish(credentials)
    }

    /// The hosts that are called for them: the token service's, with a web identity.
    pub(crate) fn hosts(&self) -> Result<Vec<HostRule>, InvalidRule> {
        match self {
            Self::Static { .. } => Ok(Vec::new()),
            Self::WebIdentity { sts, .. } => Ok(vec![HostRule::for_url(sts)?]),
        }
    }

    pub(crate) fn put_into(self, builder: AmazonS3Builder) -> AmazonS3Builder {
        match self {
            Self::Static {
                key_id,
                secret,
                session_token,
            } => {
                let builder = builder
                    .with_access_key_id(key_id)
                    .with_secret_access_key(secret.expose().as_str());
                match session_token {
                    Some(token) => builder.with_token(token.expose().as_str()),
                    None => builder,
                }
            }
            Self::WebIdentity {
                token_file,
                role_arn,
                session_name,
                sts,
            } => builder
                .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token_file)
                .with_config(AmazonS3ConfigKey::RoleArn, role_arn)
                .with_config(
                    AmazonS3ConfigKey::RoleSessionName,
                    session_name.unwrap_or_else(|| "domicile".to_owned()),
                )
                .with_config(AmazonS3ConfigKey::StsEndpoint, sts.as_str().trim_end_matches('/')),
        }
    }
}

struct Reader<'a> {
    options: &'a S3Options,
    faults: Vec<SettingFault>,
}

impl<'a> Reader<'a> {
    fn new(options: &'a S3Options) -> Self {
        Self {
            options,
            faults: Vec::new(),
        }
    }

    /// What was read, if nothing of it was at fault.
    fn finish<T>(self, read: Option<T>) -> Result<T, Vec<SettingFault>> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(self.faults),
        }
    }

    fn fault(&mut self, setting: &str, problem: impl Into<String>) {
        self.faults.push(SettingFault::new(setting, problem));
    }

    /// `None` only if there is a fault.
    fn read(&mut self, url: &Url) -> Option<S3Settings> {
        self.unknown();
        let place = self.place(url);
        let region = self.region();
        let credentials = self.credentials(region.as_deref());
        let passed_on = self.passed_on();
        let endpoint = self.endpoint(
            place.as_ref().map(|(bucket, _)| bucket.as_str()),
            region.as_deref(),
        );
        let ((bucket, prefix), (endpoint, virtual_hosted)) = (place?, endpoint?);
        Some(S3Settings {
            bucket,
            prefix,
            region: region?,
            endpoint,
            virtual_hosted,
            credentials: credentials?,
            passed_on,
        })
    }

    fn unknown(&mut self) {
        let names: Vec<_> = self.options.0.keys().cloned().collect();
        for name in names {
            let known = READ.contains(&name.as_str())
                || IGNORED.contains(&name.as_str())
                || PASSED_ON.iter().any(|(known, _)| *known == name);
            if known {
                continue;
            }
            let problem = if name.starts_with("AWS_CONTAINER_") {
                "metadata addresses are never called; use a web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN) \
                 or an access key"
            } else {
                "is not known here; remove it"
            };
            self.fault(&name, problem);
        }
    }

    /// Bucket and prefix.
    fn place(&mut self, url: &Url) -> Option<(String, String)> {
        const SETTING: &str = "DOMICILE_OBJECTS_URL";
        let bucket = url.host_str().unwrap_or_default().to_owned();
        let before = self.faults.len();
        // "Bucket naming rules" of the Amazon S3 user guide.
        let valid = (3..=63).contains(&bucket.len())
            && bucket
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
            && bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
            && bucket.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !bucket.contains("..");
        if !valid {
            self.fault(SETTING, "names no bucket; write `s3://bucket/prefix`");
        }
        if url.port().is_some()
            || !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            self.fault(
                SETTING,
                "has more than a bucket and a prefix; write `s3://bucket/prefix`",
            );
        }
        let prefix = url.path().trim_matches('/').to_owned();
        if !prefix.is_empty() && crate::key::ObjectKey::parse(&prefix).is_err() {
            self.fault(
                SETTING,
                "has a prefix that is not made of A-Z, a-z, 0-9, '.', '_', '-' and '/'",
            );
        }
        (self.faults.len() == before).then_some((bucket, prefix))
    }

    fn region(&mut self) -> Option<String> {
        let options = self.options;
        let own_endpoint = self.endpoint_setting().is_some();
        let region = match (options.get("AWS_REGION"), options.get("AWS_DEFAULT_REGION")) {
            (Some(one), Some(other)) if one != other => {
                self.fault("AWS_REGION", "contradicts AWS_DEFAULT_REGION; set one of them");
                return None;
            }
            (Some(region), _) | (None, Some(region)) => region,
            // Servers that are not Amazon's accept this one in signatures.
            (None, None) if own_endpoint => "us-east-1",
            (None, None) => {
                self.fault(
                    "AWS_REGION",
                    "is required unless AWS_ENDPOINT_URL names the server",
                );
                return None;
            }
        };
        let valid = region.len() <= 63 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !valid {
            self.fault("AWS_REGION", "is no region; write for example `eu-central-1`");
        }
        valid.then(|| region.to_owned())
    }

    fn endpoint_setting(&self) -> Option<&'static str> {
        ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .into_iter()
            .find(|name| self.options.get(name).is_some())
    }

    /// The endpoint, and whether the bucket is its first label. Amazon's own want it there, others mostly do not.
    fn endpoint(&mut self, bucket: Option<&str>, region: Option<&str>) -> Option<(Url, bool)> {
        let own = self.endpoint_setting();
        let style = match self
            .options
            .get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None => None,
            Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(_) => {
                self.fault(
                    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
                    "is neither `true` nor `false`",
                );
                None
            }
        };
        let endpoint = match own {
            Some(name) => self.url(name),
            None => region.and_then(|region| amazon("s3", region)),
        };
        let (mut endpoint, bucket) = (endpoint?, bucket?);
        // A certificate's wildcard covers one label, so a bucket with dots cannot stand there.
        let virtual_hosted = style.unwrap_or(own.is_none() && !bucket.contains('.'));
        if virtual_hosted {
            let Some(Host::Domain(host)) = endpoint.host().map(|host| host.to_owned()) else {
                self.fault(
                    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
                    "cannot be `true` while the endpoint is an address",
                );
                return None;
            };
            if !host.starts_with(&format!("{bucket}."))
                && endpoint.set_host(Some(&format!("{bucket}.{host}"))).is_err()
            {
                self.fault(
                    "DOMICILE_OBJECTS_URL",
                    "names a bucket that cannot stand in a host name",
                );
                return None;
            }
        }
        Some((endpoint, virtual_hosted))
    }

    fn url(&mut self, name: &str) -> Option<Url> {
        let text = self.options.get(name)?;
        let Ok(url) = Url::parse(text) else {
            self.fault(name, "is no URL; write for example `https://minio.example.com`");
            return None;
        };
        if let Err(invalid) = HostRule::for_url(&url) {
            self.fault(name, invalid.to_string());
            return None;
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            self.fault(name, "has more than a scheme, a host and a port");
            return None;
        }
        Some(url)
    }

    fn credentials(&mut self, region: Option<&str>) -> Option<Credentials> {
        let owned = |name| self.options.get(name).map(str::to_owned);
        let secret = |name| self.options.0.get(name).cloned();
        let key_id = owned("AWS_ACCESS_KEY_ID");
        let secret_key = secret("AWS_SECRET_ACCESS_KEY");
        let session_token = secret("AWS_SESSION_TOKEN");
        let token_file = owned("AWS_WEB_IDENTITY_TOKEN_FILE");
        let role_arn = owned("AWS_ROLE_ARN");
        let session_name = owned("AWS_ROLE_SESSION_NAME");

        let before = self.faults.len();
        let any_key = key_id.is_some() || secret_key.is_some();
        let any_identity = token_file.is_some() || role_arn.is_some();
        if any_key && any_identity {
            self.fault(
                "AWS_ACCESS_KEY_ID",
                "contradicts AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN; set an access key or a web identity, not both",
            );
        }
        if !any_key && !any_identity {
            self.fault(
                "AWS_ACCESS_KEY_ID",
                "is required with AWS_SECRET_ACCESS_KEY, or else AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN",
            );
        }
        for (missing, name, other) in [
            (
                any_key && key_id.is_none(),
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
            ),
            (
                any_key && secret_key.is_none(),
                "AWS_SECRET_ACCESS_KEY",
                "AWS_ACCESS_KEY_ID",
            ),
            (
                any_identity && token_file.is_none(),
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_ROLE_ARN",
            ),
            (
                any_identity && role_arn.is_none(),
                "AWS_ROLE_ARN",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
            ),
        ] {
            if missing {
                self.fault(name, format!("is required where {other} is set"));
            }
        }
        if session_token.is_some() && !any_key {
            self.fault("AWS_SESSION_TOKEN", "belongs to an access key, and none is set");
        }
        for (set, name) in [
            (session_name.is_some(), "AWS_ROLE_SESSION_NAME"),
            (
                self.options.get("AWS_ENDPOINT_URL_STS").is_some(),
                "AWS_ENDPOINT_URL_STS",
            ),
        ] {
            if set && !any_identity {
                self.fault(name, "belongs to a web identity, and none is set");
            }
        }
        let sts = if self.options.get("AWS_ENDPOINT_URL_STS").is_some() {
            self.url("AWS_ENDPOINT_URL_STS")
        } else {
            region.and_then(|region| amazon("sts", region))
        };
        if self.faults.len() > before {
            return None;
        }
        match (key_id, secret_key, token_file, role_arn) {
            (Some(key_id), Some(secret), ..) => Some(Credentials::Static {
                key_id,
                secret,
                session_token,
            }),
            (_, _, Some(token_file), Some(role_arn)) => Some(Credentials::WebIdentity {
                token_file,
                role_arn,
                session_name,
                sts: sts?,
            }),
            _ => None,
        }
    }

    fn passed_on(&mut self) -> Vec<(AmazonS3ConfigKey, String)> {
        let mut passed_on = Vec::new();
        for (name, theirs) in PASSED_ON {
            let Some(value) = self.options.get(name) else {
                continue;
            };
            let valid = match name {
                "AWS_SERVER_SIDE_ENCRYPTION" => ["AES256", "aws:kms", "aws:kms:dsse"].contains(&value),
                "AWS_SSE_BUCKET_KEY_ENABLED" => ["true", "false"].contains(&value),
                _ => true,
            };
            match theirs.parse() {
                Ok(key) if valid => passed_on.push((key, value.to_owned())),
                _ => self.fault(name, "has a value that S3 does not know"),
            }
        }
        let encryption = self.options.get("AWS_SERVER_SIDE_ENCRYPTION");
        let by_kms = encryption.is_some_and(|value| value.starts_with("aws:kms"));
        let has_key = self.options.get("AWS_SSE_KMS_KEY_ID").is_some();
        if by_kms && !has_key {
            self.fault(
                "AWS_SSE_KMS_KEY_ID",
                "is required where AWS_SERVER_SIDE_ENCRYPTION is a kind of `aws:kms`",
            );
        }
        for name in ["AWS_SSE_KMS_KEY_ID", "AWS_SSE_BUCKET_KEY_ENABLED"] {
            if self.options.get(name).is_some() && !by_kms {
                self.fault(name, "needs AWS_SERVER_SIDE_ENCRYPTION to be a kind of `aws:kms`");
            }
        }
        passed_on
    }
}

/// The endpoint of one of Amazon's services; China is a partition of its own.
fn amazon(service: &str, region: &str) -> Option<Url> {
    let partition = if region.starts_with("cn-") { ".cn" } else { "" };
    Url::parse(&format!("https://{service}.{region}.amazonaws.com{partition}")).ok()
}

#[cfg(test)]
mod tests;
