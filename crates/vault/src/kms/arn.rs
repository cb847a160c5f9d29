//! The names of keys at AWS KMS.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use url::Url;

/// AWS's partitions: the name, how the names of its regions begin, the domain of its services. The first takes every
/// region that no other one claims. Source: the partitions of AWS's own SDKs.
const PARTITIONS: [(&str, &str, &str); 4] = [
    ("aws", "", "amazonaws.com"),
    ("aws-cn", "cn-", "amazonaws.com.cn"),
    ("aws-us-gov", "us-gov-", "amazonaws.com"),
    ("aws-eusc", "eusc-", "amazonaws.eu"),
];

/// The Amazon Resource Name of a KMS key: `arn:aws:kms:eu-central-1:111122223333:key/1234abcd-...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKeyArn {
    text: String,
    region: String,
    domain: &'static str,
}

/// Why a text is no name of a KMS key. An ARN is no secret, but what was written instead of one may be, so no text holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidKmsArn {
    /// Not six parts, or not of KMS, or the account is not 12 digits.
    #[error("it is not of the form arn:aws:kms:<region>:<account>:key/<id>")]
    Form,
    /// An alias may lead to another key tomorrow, which would not unwrap what this one wrapped.
    #[error(
        "it names an alias, which may lead to another key later; write the key's own ARN, which has key/<id>"
    )]
    Alias,
    /// The partition is unknown, or the region is not one of it.
    #[error(
        "its partition is none of aws, aws-cn, aws-us-gov and aws-eusc, or the region is of another partition"
    )]
    Partition,
}

impl KmsKeyArn {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The AWS region in which the key lies.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where KMS is called for this key unless a setting names another server.
    pub fn endpoint(&self) -> Option<Url> {
        Url::parse(&format!("https://kms.{}.{}/", self.region, self.domain)).ok()
    }
}

impl FromStr for KmsKeyArn {
    type Err = InvalidKmsArn;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
            return Err(InvalidKmsArn::Form);
        };
        if resource.starts_with("alias/") {
            return Err(InvalidKmsArn::Alias);
        }
        let key = resource.strip_prefix("key/").ok_or(InvalidKmsArn::Form)?;
        let well_formed = account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && is_name(region, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && is_name(key, |b| b.is_ascii_alphanumeric());
        if !well_formed {
            return Err(InvalidKmsArn::Form);
        }
        let claimed = PARTITIONS
            .iter()
            .rev()
            .find(|(_, prefix, _)| region.starts_with(prefix));
        match claimed {
            Some((name, _, domain)) if name == partition => Ok(Self {
                text: text.to_owned(),
                region: (*region).to_owned(),
                domain,
            }),
            _ => Err(InvalidKmsArn::Partition),
        }
    }
}

impl fmt::Display for KmsKeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Words of these characters, joined by single hyphens.
fn is_name(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.len() <= 63
        && text
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(&allowed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoint(text: &str) -> String {
        let arn: KmsKeyArn = text.parse().unwrap();
        arn.endpoint().unwrap().to_string()
    }

    #[test]
    fn the_endpoint_follows_partition_and_region() {
        for (arn, url) in [
            (
                "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "https://kms.eu-central-1.amazonaws.com/",
            ),
            (
                "arn:aws-cn:kms:cn-north-1:111122223333:key/1",
                "https://kms.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1",
                "https://kms.us-gov-west-1.amazonaws.com/",
            ),
            (
                "arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/mrk-1234abcd",
                "https://kms.eusc-de-east-1.amazonaws.eu/",
            ),
        ] {
            assert_eq!(endpoint(arn), url);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", InvalidKmsArn::Form),
            ("arn:aws:s3:eu-west-1:111122223333:key/1", InvalidKmsArn::Form),
            ("arn:aws:kms:eu-west-1:11112222333:key/1", InvalidKmsArn::Form),
            ("arn:aws:kms:eu-west-1:111122223333:key/", InvalidKmsArn::Form),
            ("arn:aws:kms:eu-west-1:111122223333:key/a/b", InvalidKmsArn::Form),
            (
                "arn:aws:kms:evil.example/:111122223333:key/1",
                InvalidKmsArn::Form,
            ),
            ("arn:aws:kms::111122223333:key/1", InvalidKmsArn::Form),
            ("arn:aws:kms:eu-west-1:111122223333:alias/x", InvalidKmsArn::Alias),
            (
                "arn:aws:kms:cn-north-1:111122223333:key/1",
                InvalidKmsArn::Partition,
            ),
            (
                "arn:aws-cn:kms:eu-west-1:111122223333:key/1",
                InvalidKmsArn::Partition,
            ),
            (
                "arn:aws-iso:kms:us-iso-east-1:111122223333:key/1",
                InvalidKmsArn::Partition,
            ),
        ] {
            assert_eq!(text.parse::<KmsKeyArn>(), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_or_leads_out_of_amazons_domains(
            text in "(arn:aws:kms:)?[-a-z0-9.:/@?#%]{0,60}(:111122223333:key/[a-z0-9-]{1,9})?",
        ) {
            if let Ok(arn) = text.parse::<KmsKeyArn>() {
                let url = arn.endpoint().unwrap();
                prop_assert!(url.host_str().unwrap().ends_with(".amazonaws.com"));
                prop_assert_eq!((url.path(), url.query(), url.port()), ("/", None, None));
                prop_assert_eq!(arn.as_str(), text);
            }
        }
    }
}
