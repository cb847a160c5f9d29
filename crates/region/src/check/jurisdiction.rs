//! Names of cloud regions must not contradict the jurisdiction.

use url::Url;

use super::Finder;
use super::claims::hosts;
use crate::file::RegionFile;
use crate::places::{self, Place};
use crate::rule::Rule;

pub(super) fn check(finder: &mut Finder<'_>) {
    let file = &finder.document.file;
    let jurisdiction = &file.region.jurisdiction;
    if !places::is_jurisdiction(jurisdiction) {
        return;
    }
    for (path, rule, text) in texts(file) {
        let contradicting = places::named(&text)
            .into_iter()
            .find(|place| !places::covers(jurisdiction, place.country));
        let Some(Place { cloud, name, country }) = contradicting else {
            continue;
        };
        finder.find(
            rule,
            path,
            format!("{cloud}'s {name} lies in {country}, but the jurisdiction is {jurisdiction}"),
            format!("use a place under the jurisdiction {jurisdiction}, or state an exception from {rule}"),
        );
    }
}

/// Every text that may name a cloud's region.
fn texts(file: &RegionFile) -> Vec<(String, Rule, String)> {
    let mut texts: Vec<(String, Rule, String)> = Vec::new();
    let mut add = |path: &str, rule: Rule, text: Option<&str>| {
        if let Some(text) = text {
            texts.push((path.to_owned(), rule, text.to_owned()));
        }
    };
    let objects = &file.objects;
    let bucket = Url::parse(&objects.url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    add("objects.url", Rule::StorageJurisdiction, bucket.as_deref());
    add(
        "objects.region",
        Rule::StorageJurisdiction,
        objects.region.as_deref(),
    );
    let sse = objects
        .encryption
        .as_ref()
        .and_then(|it| it.kms_key_id.as_deref());
    add("objects.encryption.kmsKeyId", Rule::KeyJurisdiction, sse);
    for (index, key) in file.vault.keys.iter().enumerate() {
        let path = format!("vault.keys[{index}].awsKms");
        add(&path, Rule::KeyJurisdiction, key.aws_kms.as_deref());
    }
    for host in hosts(file).into_iter().filter(|host| !host.derived) {
        let rule = match host.rule {
            Rule::SharedStorageHost => Rule::StorageJurisdiction,
            Rule::SharedKeyHost => Rule::KeyJurisdiction,
            Rule::SharedTelemetryEndpoint => Rule::TelemetryJurisdiction,
            Rule::SharedDatabaseHost => Rule::DatabaseJurisdiction,
            _ => Rule::HostJurisdiction,
        };
        texts.push((host.path, rule, host.host));
    }
    texts
}
