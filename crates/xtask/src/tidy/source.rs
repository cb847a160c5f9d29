//! Rules for single files.

use super::lexer::{code_only, has_word};
use super::{File, Finding, layers};

/// The most lines of a file.
const MOST_LINES: usize = 700;

const WHY_DIESEL: &str =
    "queries stand in one place per crate, so that a change of the schema is felt there and nowhere else";
const WHY_REQWEST: &str = "every outgoing request passes the fence, and only `egress` builds clients";
const WHY_ENVIRONMENT: &str = "settings are read and checked once, in `domicile` (INV-10)";
const WHY_UNFINISHED: &str = "unfinished work is an issue, not a mark in the code";
const WHY_MACHINE: &str = "the tree must work on every machine";
const WHY_LONG: &str = "a file that is read in one sitting is understood";
const WHY_README: &str =
    "the README is the crate's documentation, so that there is one text (rustdoc shows it)";

/// Checks one file.
pub(crate) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    let long_on_purpose = [
        "Cargo.lock",
        "crates/zoom/fuzz/Cargo.lock",
        "LICENSE",
        "crates/store/src/schema.rs",
        "regions/schema.json",
        "helm/domicile/values.schema.json",
    ]
    .contains(&file.path.as_str())
        || file.path.ends_with("package-lock.json");
    if lines > MOST_LINES && !long_on_purpose {
        findings.push(Finding::new(
            &file.path,
            0,
            format!("{lines} lines; split it, {MOST_LINES} are the most"),
            WHY_LONG,
        ));
    }
    for (number, line) in numbered(&file.text) {
        for folder in [concat!("/wo", "rk/"), concat!("/ro", "ot/")] {
            if line.contains(folder) {
                findings.push(Finding::new(
                    &file.path,
                    number,
                    format!("names the folder {folder} of a machine"),
                    WHY_MACHINE,
                ));
            }
        }
        if has_word(line, concat!("FIX", "ME")) || has_word(line, concat!("TO", "DO")) {
            findings.push(Finding::new(
                &file.path,
                number,
                "finish it, or file an issue and describe what is",
                WHY_UNFINISHED,
            ));
        }
    }
    if file.path.ends_with(".rs") {
        rust(file, &mut findings);
    }
    findings
}

fn rust(file: &File, findings: &mut Vec<Finding>) {
    let owner = layers::crate_of(&file.path).unwrap_or_default();
    let code = code_only(&file.text);
    let is_test = file.path.contains("/tests/");
    let is_store = owner == "store" || file.path.ends_with("/store.rs") || file.path.contains("/store/");
    for (number, line) in numbered(&code) {
        let mut found = |what: &str, why| findings.push(Finding::new(&file.path, number, what, why));
        if !is_store
            && ["diesel", "diesel_async", "diesel_migrations"]
                .iter()
                .any(|it| has_word(line, it))
        {
            found(
                "diesel is named outside of `store` and a store.rs; move the query there",
                WHY_DIESEL,
            );
        }
        if !["egress", "zoom"].contains(&owner) && has_word(line, "reqwest") {
            found(
                "reqwest is named outside of `egress`; take a `domicile_egress::Client`",
                WHY_REQWEST,
            );
        }
        if !layers::may_read_environment(owner) && !is_test && has_word(line, "std::env") {
            found(
                "the environment is read here; take the value as an argument",
                WHY_ENVIRONMENT,
            );
        }
        if has_word(line, "todo") && line.contains("todo!") || line.contains("unimplemented!") {
            found(
                "finish it, or file an issue and leave the code out",
                WHY_UNFINISHED,
            );
        }
    }
    let is_root = file.path == format!("crates/{owner}/src/lib.rs");
    if is_root && !file.text.contains("#![doc = include_str!(\"../README.md\")]") {
        let what = "begin it with #![doc = include_str!(\"../README.md\")]";
        findings.push(Finding::new(&file.path, 1, what, WHY_README));
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_one, file};
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Finding> {
        check(&file(path, text))
    }

    #[test]
    fn diesel_is_for_the_store_and_store_files() {
        assert_one(
            &found("crates/linking/src/routes.rs", "use diesel::prelude::*;"),
            "store.rs",
        );
        assert_one(
            &found(
                "crates/linking/src/jobs.rs",
                "type C = diesel_async::AsyncPgConnection;",
            ),
            "store.rs",
        );
        for path in [
            "crates/linking/src/store.rs",
            "crates/linking/src/store/grants.rs",
            "crates/store/src/db.rs",
        ] {
            assert_eq!(found(path, "use diesel::prelude::*;"), []);
        }
        assert_eq!(
            found(
                "crates/linking/src/routes.rs",
                "// as diesel does\nlet word = \"diesel\";"
            ),
            []
        );
    }

    #[test]
    fn reqwest_is_for_egress() {
        assert_one(
            &found("crates/delivery/src/jobs.rs", "reqwest::get(url)"),
            "egress",
        );
        assert_eq!(found("crates/egress/src/client.rs", "reqwest::get(url)"), []);
    }

    #[test]
    fn the_environment_is_for_the_roof_and_the_workshop() {
        assert_one(
            &found("crates/zoom/src/api.rs", "let x = std::env::var(\"X\");"),
            "argument",
        );
        assert_eq!(found("crates/domicile/src/settings.rs", "use std::env;"), []);
        assert_eq!(found("crates/localpg/src/home.rs", "use std::env;"), []);
        assert_eq!(found("tests/it/main.rs", "use std::env;"), []);
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_comments() {
        assert_one(
            &found("crates/zoom/src/api.rs", concat!("fn f() { to", "do!() }")),
            "finish",
        );
        assert_one(&found("helm/README.md", concat!("FIX", "ME: say more")), "finish");
        assert_one(
            &found("crates/zoom/src/api.rs", concat!("// TO", "DO: later")),
            "finish",
        );
    }

    #[test]
    fn a_folder_of_this_machine_is_found_everywhere() {
        assert_one(&found(".ci/run", concat!("cd /wo", "rk/main")), "machine");
    }

    #[test]
    fn long_files_are_found() {
        assert_one(&found("crates/zoom/src/api.rs", &"x\n".repeat(701)), "701 lines");
        assert_eq!(found("crates/zoom/src/api.rs", &"x\n".repeat(700)), []);
        assert_eq!(found("Cargo.lock", &"x\n".repeat(5000)), []);
    }

    #[test]
    fn a_library_without_its_readme_is_found() {
        assert_one(&found("crates/zoom/src/lib.rs", "pub mod api;"), "README");
    }
}
