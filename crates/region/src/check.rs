//! Every rule, over all files of the folder or over one alone.

mod agreement;
mod alike;
mod apart;
mod claims;
mod folder;
mod form;
mod jurisdiction;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(crate) use claims::called_hosts;
use folder::Listed;

use crate::directory::Directory;
use crate::document::{self, Document, Lines, Source};
use crate::finding::{Finding, Findings};
use crate::rule::{Rule, Strength};

/// The name by which the public list of regions is known.
pub(crate) const DIRECTORY: &str = "directory.yaml";

/// What a check of some files found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The files that were checked.
    pub files: Vec<String>,
    /// What is wrong with them, by file and line.
    pub findings: Vec<Finding>,
    /// What would be wrong, had a file not stated an exception.
    pub excepted: Vec<Excepted>,
}

/// A finding that a file excepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excepted {
    /// What would be wrong.
    pub finding: Finding,
    /// Why it is not, in the words of the file.
    pub reason: String,
}

/// Checks the files of a folder of regions, the public directory among them.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    Report::of(sources).findings
}

/// Checks one region's file by itself, as a process does with its own when it starts.
pub fn check_alone(source: &Source) -> Result<Document, Findings> {
    let document = match document::read(source) {
        Ok(document) => document,
        Err(findings) => return Err(Findings(findings)),
    };
    let mut findings = Vec::new();
    alone(&document, &mut findings);
    let documents = [document];
    let mut report = Report {
        findings,
        ..Report::default()
    };
    report.except(&documents, false);
    report.place(&documents, None);
    let [document] = documents;
    if report.findings.is_empty() {
        Ok(document)
    } else {
        Err(Findings(report.findings))
    }
}

impl Report {
    /// Checks the files of a folder of regions.
    pub fn of(sources: &[Source]) -> Self {
        let mut report = Self {
            files: sources.iter().map(|source| source.name.clone()).collect(),
            ..Self::default()
        };
        let mut documents = Vec::new();
        let mut directory = None;
        for source in sources {
            if source.file_name() == DIRECTORY {
                directory = Some(report.directory(source));
                continue;
            }
            match document::read(source) {
                Ok(document) => documents.push(document),
                Err(findings) => {
                    let named = findings.into_iter().map(|finding| Finding {
                        file: source.name.clone(),
                        ..finding
                    });
                    report.findings.extend(named);
                }
            }
        }
        documents.sort_by(|a, b| a.name.cmp(&b.name));
        for document in &documents {
            alone(document, &mut report.findings);
        }
        let (lines, listed) = match &directory {
            Some((lines, Some(directory))) => (Some(lines), Listed::Read(directory)),
            Some((lines, None)) => (Some(lines), Listed::Unreadable),
            None => (None, Listed::Missing),
        };
        folder::check(sources, &documents, listed, &mut report.findings);
        apart::check(&documents, &mut report.findings);
        alike::check(&documents, &mut report.findings);
        report.except(&documents, true);
        report.place(&documents, lines);
        report
    }

    /// The public directory, where it can be read, and the lines of its paths.
    fn directory(&mut self, source: &Source) -> (Lines, Option<Directory>) {
        let lines = document::read_yaml(&source.text)
            .map(|(_, lines)| lines)
            .unwrap_or_default();
        match Directory::parse(&source.text) {
            Ok(directory) => (lines, Some(directory)),
            Err(Findings(findings)) => {
                let named = findings.into_iter().map(|finding| Finding {
                    file: source.name.clone(),
                    ..finding
                });
                self.findings.extend(named);
                (lines, None)
            }
        }
    }

    /// Moves what a file excepts out of the findings, and finds what is wrong with exceptions.
    fn except(&mut self, documents: &[Document], whole: bool) {
        let mut used = Vec::new();
        for finding in std::mem::take(&mut self.findings) {
            let reason = documents.iter().find_map(|document| {
                let file = &document.name;
                let ours = *file == finding.file
                    || finding
                        .related
                        .as_ref()
                        .is_some_and(|related| related.file == *file);
                let exceptable = finding.rule.strength() == Strength::Exceptable;
                let mut exceptions = document.file.exceptions.iter().enumerate();
                let found = exceptions.find(|(_, exception)| {
                    let path = exception.path.as_ref();
                    ours && exceptable
                        && exception.rule == finding.rule.id()
                        && path.is_none_or(|path| *path == finding.path)
                });
                found.map(|(index, exception)| (file.clone(), index, exception.reason.clone()))
            });
            match reason {
                Some((file, index, reason)) => {
                    used.push((file, index));
                    self.excepted.push(Excepted { finding, reason });
                }
                None => self.findings.push(finding),
            }
        }
        for document in documents {
            for (index, exception) in document.file.exceptions.iter().enumerate() {
                let path = format!("exceptions[{index}]");
                let finder = &mut Finder::new(document, &mut self.findings);
                let strength = exception.rule.parse::<Rule>().map(Rule::strength);
                match strength {
                    Err(_) => finder.find(
                        Rule::ExceptionInvalid,
                        format!("{path}.rule"),
                        format!("there is no rule {:?}", exception.rule),
                        "write the id of a rule, as a report prints it",
                    ),
                    Ok(Strength::Absolute) => finder.find(
                        Rule::ExceptionInvalid,
                        format!("{path}.rule"),
                        format!(
                            "the rule {} keeps regions apart and has no exception",
                            exception.rule
                        ),
                        "keep the rule, and remove the exception",
                    ),
                    Ok(Strength::Exceptable) if exception.reason.trim().is_empty() => finder.find(
                        Rule::ExceptionInvalid,
                        format!("{path}.reason"),
                        "it says no reason",
                        "say why, for whoever reads the file next",
                    ),
                    Ok(Strength::Exceptable)
                        if whole
                            && !used
                                .iter()
                                .any(|(file, at)| *file == document.name && *at == index) =>
                    {
                        finder.find(
                            Rule::ExceptionUnused,
                            path,
                            format!("the exception from {} excepts nothing", exception.rule),
                            "remove it",
                        );
                    }
                    Ok(Strength::Exceptable) => {}
                }
            }
        }
    }

    /// Gives each finding its line, and all of them their order.
    fn place(&mut self, documents: &[Document], directory: Option<&Lines>) {
        let lines_of = |file: &str| {
            let document = documents.iter().find(|document| document.name == file);
            let directory = directory.filter(|_| file.rsplit('/').next() == Some(DIRECTORY));
            document.map(|document| &document.lines).or(directory)
        };
        let excepted = self.excepted.iter_mut().map(|excepted| &mut excepted.finding);
        for finding in self.findings.iter_mut().chain(excepted) {
            if finding.line.is_none() {
                finding.line = lines_of(&finding.file).and_then(|lines| lines.of(&finding.path));
            }
            if let Some(related) = &mut finding.related {
                related.line = lines_of(&related.file).and_then(|lines| lines.of(&related.path));
            }
        }
        self.findings.sort_by(|a, b| order(a).cmp(&order(b)));
        self.findings.dedup();
        self.excepted
            .sort_by(|a, b| order(&a.finding).cmp(&order(&b.finding)));
    }
}

fn order(finding: &Finding) -> (&str, Option<u32>, &str, Rule) {
    (&finding.file, finding.line, &finding.path, finding.rule)
}

/// The rules for which a file needs no other.
fn alone(document: &Document, findings: &mut Vec<Finding>) {
    let finder = &mut Finder::new(document, findings);
    form::check(finder);
    agreement::check(finder);
    jurisdiction::check(finder);
}

/// Collects what is wrong with one document.
struct Finder<'a> {
    document: &'a Document,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Finder<'a> {
    fn new(document: &'a Document, findings: &'a mut Vec<Finding>) -> Self {
        Self { document, findings }
    }

    fn find(
        &mut self,
        rule: Rule,
        path: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) {
        self.findings.push(Finding {
            file: self.document.name.clone(),
            ..Finding::new(rule, path, reason, remedy)
        });
    }

    /// A value whose form is wrong.
    fn value(&mut self, path: impl Into<String>, reason: &str, remedy: &'static str) {
        self.find(Rule::Value, path, reason, remedy);
    }
}
