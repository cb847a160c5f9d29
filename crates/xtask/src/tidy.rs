//! `cargo xtask tidy`: the rules of the house that no compiler knows, each with its reason.

mod docs;
mod layers;
mod lexer;
mod source;
mod top;

use std::fs;
use std::process::Command;

use crate::cli;
use crate::run::{Failure, Outcome};
use crate::tree;

/// The options of `tidy`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {}

/// A text file of the tree.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Relative to the top, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counts from 1; 0 is the file as a whole.
    pub(crate) line: usize,
    /// What is wrong and how to mend it.
    pub(crate) what: String,
    /// Why the rule exists.
    pub(crate) why: &'static str,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, why: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            why,
        }
    }
}

/// Checks the whole tree.
pub(crate) fn run(_: &Args) -> Outcome {
    let files = files()?;
    let findings = check(&files, &cli::command_names());
    for finding in &findings {
        let Finding {
            path,
            line,
            what,
            why,
        } = finding;
        if *line == 0 {
            eprintln!("{path}: {what}\n    why: {why}");
        } else {
            eprintln!("{path}:{line}: {what}\n    why: {why}");
        }
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err(Failure("1 breach of the house rules".to_owned())),
        count => Err(Failure(format!("{count} breaches of the house rules"))),
    }
}

fn check(files: &[File], commands: &[String]) -> Vec<Finding> {
    let mut findings = top::check(files);
    findings.extend(layers::check(files));
    findings.extend(docs::check(files, commands));
    for file in files {
        findings.extend(source::check(file));
    }
    findings.sort();
    findings
}

/// Every text file that is or would be committed.
fn files() -> Outcome<Vec<File>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(tree::root())
        .output()?;
    if !output.status.success() {
        return Err(Failure("git cannot list the files of the tree".to_owned()));
    }
    let mut files = Vec::new();
    for path in String::from_utf8(output.stdout)?
        .split('\0')
        .filter(|path| !path.is_empty())
    {
        match fs::read(tree::root().join(path)) {
            // What is not text has an empty text: its path still counts.
            Ok(bytes) => {
                files.push(File {
                    path: path.to_owned(),
                    text: String::from_utf8(bytes).unwrap_or_default(),
                });
            }
            // Removed, and not yet committed so.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod testing {
    use super::{File, Finding};

    pub(crate) fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Exactly one finding, whose text holds this.
    #[track_caller]
    pub(crate) fn assert_one(findings: &[Finding], holds: &str) {
        assert!(
            matches!(findings, [one] if one.what.contains(holds)),
            "{holds:?} is not what was found: {findings:#?}"
        );
    }
}
