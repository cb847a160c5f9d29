//! What is wrong with a file, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::rule::Rule;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// In which file; empty where there is but one.
    pub file: String,
    /// Where in the file, such as `regions[2].install_url`; empty for the file as a whole.
    pub path: String,
    /// The line of the path, from 1, where it is known.
    pub line: Option<u32>,
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub remedy: Cow<'static, str>,
    /// The other end of it, where two files are not apart.
    pub related: Option<Related>,
}

/// The other end of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// In which file.
    pub file: String,
    /// Where in it.
    pub path: String,
    /// On which line.
    pub line: Option<u32>,
}

impl Finding {
    /// A finding whose file and line are not known yet.
    pub(crate) fn new(
        rule: Rule,
        path: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            rule,
            file: String::new(),
            path: path.into(),
            line: None,
            reason: reason.into(),
            remedy: remedy.into(),
            related: None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

/// Every finding, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}
