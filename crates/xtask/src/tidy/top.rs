//! What stands at the top of the tree, and what a migration consists of.

use std::collections::BTreeSet;

use super::{File, Finding};

const ALLOWED: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "crates",
    "helm",
    "migrations",
    "regions",
    "tests",
];

const WHY_TOP: &str = "a newcomer sees the whole house at one glance; all else has its place inside";
const WHY_DOWN: &str = "a migration that cannot be undone cannot be tried";

/// Checks the tree's shape.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let top: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.split('/').next())
        .collect();
    for name in top
        .into_iter()
        .filter(|name| !name.starts_with('.') && !ALLOWED.contains(name))
    {
        findings.push(Finding::new(
            name,
            0,
            "does not belong at the top; move it into a folder there",
            WHY_TOP,
        ));
    }
    let folders: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| {
            file.path
                .strip_prefix("migrations/")?
                .split_once('/')
                .map(|it| it.0)
        })
        .collect();
    for folder in folders {
        for name in ["up.sql", "down.sql"] {
            let path = format!("migrations/{folder}/{name}");
            if !files
                .iter()
                .any(|file| file.path == path && !file.text.trim().is_empty())
            {
                findings.push(Finding::new(&path, 0, "is missing or empty", WHY_DOWN));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_one, file};
    use super::*;

    #[test]
    fn strangers_at_the_top_are_found() {
        assert_one(
            &check(&[file("docs/a.md", ""), file(".ci/run", ""), file("LICENSE", "")]),
            "does not belong",
        );
    }

    #[test]
    fn a_migration_without_its_undoing_is_found() {
        let up = file("migrations/2026-01-01-000001_a/up.sql", "SELECT 1;");
        assert_one(&check(std::slice::from_ref(&up)), "missing");
        assert_one(
            &check(&[up.clone(), file("migrations/2026-01-01-000001_a/down.sql", "\n")]),
            "empty",
        );
        assert_eq!(
            check(&[up, file("migrations/2026-01-01-000001_a/down.sql", "SELECT 2;")]),
            []
        );
    }
}
