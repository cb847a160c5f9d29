//! What texts must look like.

use url::{Host, Url};

/// An https URL with a host, or http on a loopback host, and nobody's name or password in it.
pub(super) fn is_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    scheme
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && is_plain(text)
        // It goes into a comma list.
        && !text.contains(',')
}

pub(in crate::check) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Printable ASCII without spaces.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A host name or address, without port.
pub(super) fn is_host(text: &str) -> bool {
    is_plain(text)
        && !text.contains([':', '/', '@', '?', '#', ','])
        && Url::parse(&format!("https://{text}")).is_ok_and(|url| url.host_str() == Some(text))
}

/// `example.com` or `example.com:8443`.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "443"));
    is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

pub(super) fn is_cluster(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase())
}

/// A DNS label, as Kubernetes names things.
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub(super) fn is_secret_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

pub(super) fn is_secret_key(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !text.starts_with("..")
        && text != "."
}

/// An id of a key, as the vault reads them.
pub(super) fn is_key_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// An ARN of this service and resource, with region and account where these are wanted.
pub(super) fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, its_service, region, account, its_resource] = parts.as_slice() else {
        return false;
    };
    let regional = service != "iam";
    is_plain(text)
        && *arn == "arn"
        && partition.starts_with("aws")
        && *its_service == service
        && region.is_empty() != regional
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && its_resource
            .strip_prefix(resource)
            .is_some_and(|rest| !rest.is_empty())
}

/// What kind of secret a text is or holds, by the forms that the world's secrets have.
pub(super) fn secret_in(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN") {
        return Some("a private key or certificate");
    }
    if text.contains("whsec_") {
        return Some("a webhook secret");
    }
    if text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.contains('@')
    }) {
        return Some("a user name or password in a URL");
    }
    text.split(|it: char| !(it.is_ascii_alphanumeric() || "+/=_.-".contains(it)))
        .find_map(secret_word)
}

fn secret_word(word: &str) -> Option<&'static str> {
    let is_access_key = ["AKIA", "ASIA"].iter().any(|prefix| word.starts_with(prefix))
        && word.len() == 20
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if is_access_key {
        return Some("an access key's id");
    }
    if word.starts_with("eyJ") && word.matches('.').count() == 2 {
        return Some("a token");
    }
    // 32 bytes in base64: a key of the vault.
    (word.len() == 44 && word.ends_with('=') && !word.contains(['.', '_', '-'])).then_some("a key")
}
