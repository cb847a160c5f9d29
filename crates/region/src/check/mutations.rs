//! Ways to break the separation, each of which must be found by its rule and at its path. Every rule has at least one.

mod apart;
mod tables;

use std::collections::BTreeSet;

use super::{Report, check};
use crate::document::Source;
use crate::rule::{Rule, Strength};
use apart::APART;
use tables::{AGREEMENT, ALIKE, CHART, EXCEPTIONS, FORM, JURISDICTION, Mutation};

const EU: &str = "regions/eu.yaml";
const UK: &str = "regions/uk.yaml";
const US: &str = "regions/us.yaml";
const LIST: &str = "regions/directory.yaml";

pub(super) fn samples() -> Vec<Source> {
    [
        (EU, include_str!("../../../../regions/eu.yaml")),
        (UK, include_str!("../../../../regions/uk.yaml")),
        (US, include_str!("../../../../regions/us.yaml")),
        (LIST, include_str!("../../../../regions/directory.yaml")),
    ]
    .map(|(name, text)| Source {
        name: name.to_owned(),
        text: text.to_owned(),
    })
    .into()
}

/// The samples with a text replaced, all of its occurrences in that file.
pub(super) fn changed(file: &str, from: &str, to: &str) -> Vec<Source> {
    let mut sources = samples();
    let source = sources.iter_mut().find(|source| source.name == file).unwrap();
    assert!(source.text.contains(from), "{file} does not hold {from:?}");
    source.text = source.text.replace(from, to);
    sources
}

fn all() -> impl Iterator<Item = &'static Mutation> {
    [FORM, CHART, AGREEMENT, APART, ALIKE, JURISDICTION, EXCEPTIONS]
        .into_iter()
        .flatten()
}

#[test]
fn the_untouched_samples_give_nothing() {
    assert_eq!(check(&samples()), []);
}

#[test]
fn every_way_to_break_the_separation_is_found_by_its_rule_at_its_path_and_line() {
    assert!(all().count() >= 40);
    for mutation in all() {
        let Mutation {
            file,
            from,
            to,
            rule,
            path,
        } = mutation;
        let findings = check(&changed(file, from, to));
        let found = findings
            .iter()
            .find(|it| it.rule == *rule && it.path == *path && it.file == *file);
        let Some(found) = found else {
            panic!("{file}: {from:?} -> {to:?} should be {rule} at {path:?}, but found {findings:#?}");
        };
        assert!(found.line.is_some(), "{found:?}");
        assert!(!found.reason.is_empty() && !found.remedy.is_empty(), "{found:?}");
    }
}

#[test]
fn every_rule_is_broken_by_one_of_them() {
    let broken: BTreeSet<_> = all().map(|mutation| mutation.rule).collect();
    let elsewhere = [Rule::NoRegions, Rule::SharedEgressHost];
    for rule in Rule::ALL {
        assert!(broken.contains(rule) != elsewhere.contains(rule), "{rule}");
    }
}

#[test]
fn one_host_in_two_lists_of_egress_is_found() {
    let mut sources = changed(
        UK,
        "deployment:",
        "egress: {allow: [geo.example.com:8443]}\ndeployment:",
    );
    let eu = sources.iter_mut().find(|source| source.name == EU).unwrap();
    eu.text = eu.text.replace(
        "deployment:",
        "egress: {allow: [a.example.com, geo.example.com]}\ndeployment:",
    );
    let findings = check(&sources);
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}")
    };
    assert_eq!(
        (finding.rule, finding.path.as_str()),
        (Rule::SharedEgressHost, "egress.allow[0]")
    );
    let related = finding.related.as_ref().unwrap();
    assert_eq!(
        (related.file.as_str(), related.path.as_str()),
        (EU, "egress.allow[1]")
    );
}

#[test]
fn an_empty_folder_is_no_success() {
    let rules = |sources: &[Source]| check(sources).iter().map(|it| it.rule).collect::<Vec<_>>();
    assert_eq!(rules(&[]), [Rule::NoRegions]);
    let directory = samples()
        .into_iter()
        .filter(|source| source.name == LIST)
        .collect::<Vec<_>>();
    assert_eq!(rules(&directory), [Rule::NoRegions]);
    let regions = samples()
        .into_iter()
        .filter(|source| source.name != LIST)
        .collect::<Vec<_>>();
    assert_eq!(rules(&regions), [Rule::Directory]);
}

#[test]
fn what_may_be_excepted_is_excepted_where_a_reason_is_said_and_nothing_else() {
    for mutation in all() {
        let mut sources = changed(mutation.file, mutation.from, mutation.to);
        let before = check(&sources)
            .into_iter()
            .filter(|it| it.rule == mutation.rule)
            .count();
        if mutation.file == LIST || matches!(mutation.rule, Rule::ExceptionInvalid | Rule::ExceptionUnused) {
            continue;
        }
        let source = sources
            .iter_mut()
            .find(|source| source.name == mutation.file)
            .unwrap();
        let exception = format!("\nexceptions: [{{rule: {}, reason: asked for}}]\n", mutation.rule);
        source.text.push_str(&exception);
        let report = Report::of(&sources);
        let left = report
            .findings
            .iter()
            .filter(|it| it.rule == mutation.rule)
            .count();
        match mutation.rule.strength() {
            Strength::Exceptable => {
                assert_eq!(left, 0, "{}: {:#?}", mutation.rule, report.findings);
                assert_eq!(report.excepted.len(), before, "{}", mutation.rule);
                assert_eq!(report.excepted[0].reason, "asked for");
            }
            Strength::Absolute => {
                assert_eq!(left, before, "{}", mutation.rule);
                assert!(report.excepted.is_empty());
            }
        }
    }
}
