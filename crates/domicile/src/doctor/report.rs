//! What was found, for people and for programs.

use std::fmt::{self, Write as _};

use domicile_kernel::Timestamp;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Not looked at, for a reason that is told.
    Skipped,
    /// It works, but not for ever or not for all.
    Warning,
    /// The region does not do its work, or not all of it.
    Fault,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `database.schema`. Names are never used for something else.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found; of something that was skipped, why.
    pub found: String,
    /// What to do; nothing where there is nothing to be done.
    pub remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(id: &'static str, found: impl Into<String>) -> Self {
        Self::new(id, Severity::Ok, found, None)
    }

    pub(super) fn skipped(id: &'static str, why: impl Into<String>) -> Self {
        Self::new(id, Severity::Skipped, why, None)
    }

    pub(super) fn warning(id: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, found, Some(remedy.into()))
    }

    pub(super) fn fault(id: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(id, Severity::Fault, found, Some(remedy.into()))
    }

    fn new(id: &'static str, severity: Severity, found: impl Into<String>, remedy: Option<String>) -> Self {
        Self {
            id,
            severity,
            found: found.into(),
            remedy,
        }
    }
}

/// Everything that was found, in a fixed order.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The region's id, where the settings name one.
    pub region: Option<String>,
    /// The version that looked.
    pub version: &'static str,
    /// When.
    pub examined_at: Timestamp,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether something is at fault.
    pub fn has_faults(&self) -> bool {
        self.count(Severity::Fault) > 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }
}

/// One paragraph each, and the count. What others said cannot command the terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let severity = finding.severity.as_str();
            writeln!(f, "{severity:8} {:22} {}", finding.id, plain(&finding.found))?;
            if let Some(remedy) = &finding.remedy {
                writeln!(f, "{:31} -> {}", "", plain(remedy))?;
            }
        }
        writeln!(
            f,
            "\nRegion {}. Faults: {}, warnings: {}, skipped: {}, ok: {}.",
            self.region.as_deref().unwrap_or("unknown"),
            self.count(Severity::Fault),
            self.count(Severity::Warning),
            self.count(Severity::Skipped),
            self.count(Severity::Ok),
        )
    }
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for part in text.chars().map(|it| if it.is_control() { ' ' } else { it }) {
        // A text cannot fail to be written to.
        let _ = plain.write_char(part);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_was_found_and_what_to_do() {
        let report = Report {
            region: Some("eu".to_owned()),
            version: "0.1.0",
            examined_at: "2026-12-01T09:00:00Z".parse().unwrap(),
            findings: vec![
                Finding::ok("settings", "fine"),
                Finding::fault("database.reach", "no\u{1b}[31m\nanswer", "start it"),
            ],
        };
        assert!(report.has_faults());
        let text = report.to_string();
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(
            text.contains("fault    database.reach         no [31m answer\n"),
            "{text}"
        );
        assert!(text.contains("-> start it\n"), "{text}");
        assert!(
            text.ends_with("Region eu. Faults: 1, warnings: 0, skipped: 0, ok: 1.\n"),
            "{text}"
        );
    }
}
