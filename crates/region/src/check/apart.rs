//! No two regions have anything in common.

use std::collections::BTreeSet;

use super::agreement::is_zooms;
use super::claims::{Claim, HostClaim, claims, hosts};
use crate::document::Document;
use crate::finding::{Finding, Related};
use crate::rule::Rule;

struct Side<'a> {
    document: &'a Document,
    claims: Vec<Claim>,
    hosts: Vec<HostClaim>,
}

impl Side<'_> {
    fn related(&self, path: &str) -> Related {
        Related {
            file: self.document.name.clone(),
            path: path.to_owned(),
            line: None,
        }
    }
}

pub(super) fn check(documents: &[Document], findings: &mut Vec<Finding>) {
    let sides: Vec<Side<'_>> = documents
        .iter()
        .map(|document| Side {
            document,
            claims: claims(&document.file),
            hosts: hosts(&document.file)
                .into_iter()
                .filter(|claim| !is_zooms(&claim.host))
                .collect(),
        })
        .collect();
    for (index, one) in sides.iter().enumerate() {
        within(one, findings);
        for other in sides.iter().take(index) {
            pair(one, other, findings);
        }
    }
}

/// Two apps of one region are apart as well.
fn within(side: &Side<'_>, findings: &mut Vec<Finding>) {
    let of_apps = |rule| {
        matches!(
            rule,
            Rule::SharedClientId | Rule::SharedAppId | Rule::SharedAppName | Rule::SharedRobotJid
        )
    };
    for (index, one) in side.claims.iter().enumerate().filter(|(_, it)| of_apps(it.rule)) {
        let before = side.claims.iter().take(index);
        if let Some(other) = before
            .into_iter()
            .find(|other| other.rule == one.rule && other.value == one.value)
        {
            findings.push(Finding {
                file: side.document.name.clone(),
                related: Some(side.related(&other.path)),
                ..Finding::new(
                    one.rule,
                    &one.path,
                    format!("{} has {:?} too", other.path, one.value),
                    remedy(one.rule),
                )
            });
        }
    }
}

fn pair(one: &Side<'_>, other: &Side<'_>, findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    let mut find = |rule: Rule, path: &str, their_path: &str, value: &str| {
        if !told.insert(path.to_owned()) {
            return;
        }
        let reason = format!("{} has {value:?} too, at {their_path}", other.document.name);
        findings.push(Finding {
            file: one.document.name.clone(),
            related: Some(other.related(their_path)),
            ..Finding::new(rule, path, reason, remedy(rule))
        });
    };
    for ours in &one.claims {
        let theirs = other
            .claims
            .iter()
            .find(|theirs| theirs.rule == ours.rule && theirs.value == ours.value);
        if let Some(theirs) = theirs {
            find(ours.rule, &ours.path, &theirs.path, &ours.value);
        }
    }
    for ours in &one.hosts {
        let same_kind = other
            .hosts
            .iter()
            .find(|theirs| theirs.rule == ours.rule && meets(ours, theirs));
        let any_kind = || other.hosts.iter().find(|theirs| theirs.host == ours.host);
        if let Some(theirs) = same_kind {
            find(ours.rule, &ours.path, &theirs.path, &ours.host);
        } else if let Some(theirs) = any_kind() {
            find(Rule::SharedHost, &ours.path, &theirs.path, &ours.host);
        }
    }
}

/// Whether two hosts are one; public hosts meet where one lies below the other too, because cookies reach down.
fn meets(ours: &HostClaim, theirs: &HostClaim) -> bool {
    let below = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|rest| rest.ends_with('.'));
    ours.host == theirs.host
        || (ours.rule == Rule::SharedPublicHost
            && (below(&ours.host, &theirs.host) || below(&theirs.host, &ours.host)))
}

fn remedy(rule: Rule) -> &'static str {
    match rule {
        Rule::SharedId => "give each region an id of its own",
        Rule::SharedZoomCluster => "let each of Zoom's home clusters belong to one region",
        Rule::SharedClientId | Rule::SharedAppId => {
            "create a Marketplace app for this region alone, and write its ids"
        }
        Rule::SharedAppName => "name the region in the app's name",
        Rule::SharedSlashCommand => "name the region in the command",
        Rule::SharedRobotJid => "copy the JID from this region's app",
        Rule::SharedBucket => "create a bucket for this region alone",
        Rule::SharedKey => "create a key for this region alone, with an id of its own",
        Rule::SharedSecretReference => "create a secret for this region alone, with a name that says so",
        Rule::SharedNamespace => "deploy each region into a namespace of its own",
        Rule::SharedClusterContext => "run each region in a cluster of its own",
        Rule::SharedCloudRole => "create a role for this region alone",
        Rule::SharedCloudAccount => "use an account of this region's own, or state an exception",
        Rule::SharedDatabaseName => "name the region in the database's name",
        _ => "give this region a host of its own",
    }
}
