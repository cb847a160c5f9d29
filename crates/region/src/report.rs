//! A report for people, for programs, for code-scanning tools and for a page.

mod sarif;

use std::fmt::Write;

use serde_json::{Value, json};

use crate::check::Report;
use crate::finding::Finding;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    Human,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code-scanning tools.
    Sarif,
    /// For a page, such as the comment on a change.
    Markdown,
}

impl Report {
    /// The report as text.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Human => self.human(),
            Format::Json => format!("{:#}\n", self.json()),
            Format::Sarif => format!("{:#}\n", sarif::log(self)),
            Format::Markdown => self.markdown(),
        }
    }

    fn human(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let _ = writeln!(
                text,
                "{} [{}]\n    {}\n    remedy: {}\n",
                place(finding),
                finding.rule,
                finding.reason,
                finding.remedy
            );
        }
        for excepted in &self.excepted {
            let _ = writeln!(
                text,
                "{} [{}] excepted\n    {}\n    because: {}\n",
                place(&excepted.finding),
                excepted.finding.rule,
                excepted.finding.reason,
                excepted.reason
            );
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    fn summary(&self) -> String {
        let files = count(self.files.len(), "file");
        let findings = match self.findings.len() {
            0 => "no finding".to_owned(),
            findings => count(findings, "finding"),
        };
        match self.excepted.len() {
            0 => format!("{files}, {findings}."),
            excepted => format!("{files}, {findings}, {excepted} excepted."),
        }
    }

    fn json(&self) -> Value {
        let excepted = self.excepted.iter().map(|excepted| {
            let mut value = finding(&excepted.finding);
            if let Some(members) = value.as_object_mut() {
                members.insert("exception".to_owned(), excepted.reason.clone().into());
            }
            value
        });
        json!({
            "files": self.files,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "excepted": excepted.collect::<Vec<_>>(),
        })
    }

    fn markdown(&self) -> String {
        let mut text = format!("# Regions\n\n{}\n", self.summary());
        if !self.findings.is_empty() {
            text.push_str("\n| where | rule | what | remedy |\n| --- | --- | --- | --- |\n");
        }
        for finding in &self.findings {
            let _ = writeln!(
                text,
                "| {} | `{}` | {} | {} |",
                cell(&place(finding)),
                finding.rule,
                cell(&finding.reason),
                cell(&finding.remedy)
            );
        }
        if !self.excepted.is_empty() {
            text.push_str("\n## Excepted\n\n| where | rule | what | because |\n| --- | --- | --- | --- |\n");
        }
        for excepted in &self.excepted {
            let _ = writeln!(
                text,
                "| {} | `{}` | {} | {} |",
                cell(&place(&excepted.finding)),
                excepted.finding.rule,
                cell(&excepted.finding.reason),
                cell(&excepted.reason)
            );
        }
        text
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// File, line and path, as far as they are known.
fn place(finding: &Finding) -> String {
    let mut text = finding.file.clone();
    if let Some(line) = finding.line {
        let _ = write!(text, ":{line}");
    }
    if !finding.path.is_empty() {
        let separator = if text.is_empty() { "" } else { ": " };
        let _ = write!(text, "{separator}{}", finding.path);
    }
    text
}

fn finding(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.id(),
        "file": finding.file,
        "line": finding.line,
        "path": finding.path,
        "reason": finding.reason,
        "remedy": finding.remedy,
        "related": finding.related,
    })
}

/// A text that neither ends a cell nor becomes markup.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '\n' | '\r' => escaped.push(' '),
            '|' | '`' | '*' | '_' | '[' | ']' | '<' | '\\' => escaped.extend(['\\', it]),
            it => escaped.push(it),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Excepted;
    use crate::finding::Related;
    use crate::rule::Rule;

    pub(super) fn sample() -> Report {
        let finding = Finding {
            rule: Rule::SharedClientId,
            file: "regions/uk.yaml".to_owned(),
            path: "zoom.apps.linking.clientId".to_owned(),
            line: Some(28),
            reason: "regions/eu.yaml has \"a|b\" too".to_owned(),
            remedy: "create an app".into(),
            related: Some(Related {
                file: "regions/eu.yaml".to_owned(),
                path: "zoom.apps.linking.clientId".to_owned(),
                line: Some(27),
            }),
        };
        Report {
            files: vec!["regions/eu.yaml".to_owned(), "regions/uk.yaml".to_owned()],
            excepted: vec![Excepted {
                finding: Finding {
                    rule: Rule::ImageDigest,
                    line: None,
                    path: String::new(),
                    related: None,
                    ..finding.clone()
                },
                reason: "the pilot".to_owned(),
            }],
            findings: vec![finding],
        }
    }

    #[test]
    fn people_read_place_rule_reason_and_remedy() {
        let text = sample().render(Format::Human);
        assert!(text.starts_with(
            "regions/uk.yaml:28: zoom.apps.linking.clientId [shared-client-id]\n    regions/eu.yaml has \"a|b\" too\n    \
             remedy: create an app\n"
        ));
        assert!(text.contains("regions/uk.yaml [image-digest] excepted"));
        assert!(text.ends_with("2 files, 1 finding, 1 excepted.\n"));
        assert_eq!(Report::default().render(Format::Human), "0 files, no finding.\n");
    }

    #[test]
    fn programs_read_the_same() {
        let value: Value = serde_json::from_str(&sample().render(Format::Json)).unwrap();
        assert_eq!(value["findings"][0]["rule"], "shared-client-id");
        assert_eq!(value["findings"][0]["related"]["line"], 27);
        assert_eq!(value["excepted"][0]["exception"], "the pilot");
    }

    #[test]
    fn a_page_keeps_its_table_whatever_values_hold() {
        let text = sample().render(Format::Markdown);
        let row = text
            .lines()
            .find(|line| line.contains("shared-client-id"))
            .unwrap();
        let bars = row
            .match_indices('|')
            .filter(|(at, _)| *at == 0 || row.as_bytes()[at - 1] != b'\\');
        assert_eq!(bars.count(), 5, "{row}");
    }
}
