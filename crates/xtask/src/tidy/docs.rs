//! What the pages name must exist.

use std::collections::BTreeSet;

use super::{File, Finding};

const WHY: &str = "a page that names what is not there costs its reader's trust";

/// Paths in backquotes are recognised by these beginnings.
const TOP_FOLDERS: &[&str] = &[
    "crates/",
    "tests/",
    "migrations/",
    "helm/",
    "regions/",
    ".ci/",
    ".cargo/",
    ".config/",
];

/// Checks every Markdown page: links, paths, commands and crate names.
pub(crate) fn check(files: &[File], commands: &[String]) -> Vec<Finding> {
    let tree = Tree::of(files);
    let mut findings = Vec::new();
    for page in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in page.text.lines().enumerate() {
            let mut found = |what: String| findings.push(Finding::new(&page.path, index + 1, what, WHY));
            for target in link_targets(line) {
                if let Some(path) = resolve(&page.path, target)
                    && !tree.has(&path)
                {
                    found(format!("the link {target} leads to {path}, which does not exist"));
                }
            }
            for quoted in backquoted(line) {
                let quoted_path = quoted.trim_end_matches('/');
                let beside = resolve(&page.path, quoted_path).unwrap_or_default();
                if is_path(quoted) && !tree.has(quoted_path) && !tree.has(&beside) {
                    found(format!("{quoted} does not exist"));
                }
                // On the operators' pages these are metrics, which a test holds against a running region.
                let is_metric = page.path.starts_with("helm/") && quoted.starts_with("domicile_");
                if is_crate_name(quoted) && !is_metric && !tree.has_crate(quoted) {
                    found(format!("no crate is called {quoted}"));
                }
            }
            for (at, _) in line.match_indices("cargo xtask ") {
                let rest = &line[at + "cargo xtask ".len()..];
                let command: String = rest
                    .chars()
                    .take_while(|it| it.is_ascii_alphanumeric() || *it == '-')
                    .collect();
                if command.starts_with(|it: char| it.is_ascii_alphabetic()) && !commands.contains(&command) {
                    found(format!("`cargo xtask {command}` is no command"));
                }
            }
        }
    }
    findings
}

/// All files, and the folders that they make.
struct Tree<'a> {
    paths: BTreeSet<&'a str>,
}

impl<'a> Tree<'a> {
    fn of(files: &'a [File]) -> Self {
        let mut paths = BTreeSet::new();
        for file in files {
            paths.insert(file.path.as_str());
            paths.extend(file.path.match_indices('/').map(|(at, _)| &file.path[..at]));
        }
        Self { paths }
    }

    fn has(&self, path: &str) -> bool {
        match path.split_once('*') {
            // A pattern stands for at least one file.
            Some((head, _)) => self.paths.iter().any(|it| it.starts_with(head)),
            None => path.is_empty() || self.paths.contains(path),
        }
    }

    fn has_crate(&self, name: &str) -> bool {
        let folder = name.replace('_', "-");
        let folder = folder.strip_prefix("domicile-").unwrap_or(&folder);
        folder == "tests" || self.has(&format!("crates/{folder}/Cargo.toml"))
    }
}

/// The targets of `[text](target)`.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](")
        .filter_map(|(at, _)| line[at + 2..].split_once(')').map(|(target, _)| target))
}

/// The texts between single backquotes.
fn backquoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The path from the top that a link means; none for what is no file: addresses, anchors, Rust paths.
fn resolve(page: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    // A bare name is a Rust item: a crate's README is its rustdoc, which checks those itself.
    let is_item = !target.contains(['/', '.']);
    if is_item || target.contains(':') || target.contains(char::is_whitespace) {
        return None;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn is_path(quoted: &str) -> bool {
    let plain = quoted
        .chars()
        .all(|it| it.is_ascii_alphanumeric() || "/._-*".contains(it));
    plain && TOP_FOLDERS.iter().any(|top| quoted.starts_with(top))
}

fn is_crate_name(quoted: &str) -> bool {
    let rest = quoted
        .strip_prefix("domicile-")
        .or_else(|| quoted.strip_prefix("domicile_"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|it| it.is_ascii_lowercase() || it == '-' || it == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_one, file};
    use super::*;

    fn found(page: &str) -> Vec<Finding> {
        let files = [
            file("crates/README.md", page),
            file("crates/zoom/Cargo.toml", ""),
            file("README.md", ""),
        ];
        check(&files, &["test".to_owned()])
    }

    #[test]
    fn links_to_nowhere_are_found() {
        assert_one(&found("see [it](zoom/src/gone.rs)"), "crates/zoom/src/gone.rs");
        assert_eq!(
            found("[a](zoom/Cargo.toml) [b](../README.md#words) [c](https://x.y) [d](#here) [e](zoom)"),
            []
        );
        assert_eq!(
            found("rustdoc's [own](crate::error::Error) are rustdoc's to check"),
            []
        );
    }

    #[test]
    fn paths_that_are_gone_are_found() {
        assert_one(&found("in `crates/zoom/src/gone.rs`"), "does not exist");
        assert_eq!(
            found("in `crates/zoom/Cargo.toml`, `crates/zoom/`, `crates/*/Cargo.toml`"),
            []
        );
    }

    #[test]
    fn an_operators_page_names_metrics() {
        let files = [file("helm/telemetry.md", "`domicile_db_up` and `domicile-gone`")];
        assert_one(&check(&files, &[]), "no crate is called domicile-gone");
    }

    #[test]
    fn a_crates_page_may_name_its_own_files() {
        let files = [
            file("crates/zoom/README.md", "see `tests/wire.rs`"),
            file("crates/zoom/tests/wire.rs", ""),
        ];
        assert_eq!(check(&files, &[]), []);
    }

    #[test]
    fn unknown_commands_are_found() {
        assert_one(&found("run `cargo xtask tset`"), "tset");
        assert_eq!(
            found("run `cargo xtask test --interop` or `cargo xtask <command>`"),
            []
        );
    }

    #[test]
    fn unknown_crates_are_found() {
        assert_one(&found("`domicile-attic` and `domicile_zoom`"), "domicile-attic");
    }
}
