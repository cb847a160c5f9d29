//! `cargo xtask test --alerts`: the rules under `helm/domicile/files/rules`, by Prometheus' own tool, each alert firing and
//! silent; and that each has its page.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use domicile_localpg::binaries::program_exists;
use serde_json::Value;

use crate::run::{Failure, Outcome, note, shown};
use crate::tree;

const RULES: &str = "helm/domicile/files/rules";
const CASES: &str = "helm/tests/alerts";
const RUNBOOKS: &str = "helm/runbooks";

/// What a runbook answers at 3 a.m., in this order.
const SECTIONS: [&str; 5] = [
    "## What users notice",
    "## Confirm",
    "## Causes and cures",
    "## It is over when",
    "## Escalate",
];

const SEVERITIES: [&str; 2] = ["critical", "warning"];

/// What fetches promtool where it is not installed.
const FETCH: &str = "the alerts are tested with Prometheus' promtool; install it, or run this where `apt-get download` and \
                     `dpkg` can fetch Debian's package prometheus";

/// Checks and tests the rules.
pub(crate) fn run() -> Outcome {
    let promtool = promtool()?;
    shown(
        Command::new(&promtool)
            .args(["check", "rules"])
            .args(files(RULES)?),
    )?;
    shown(
        Command::new(&promtool)
            .args(["test", "rules"])
            .args(files(CASES)?),
    )?;
    let findings = check(&Tree::read()?);
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure(findings.join("\n")))
}

/// The installed one, or Debian's, unpacked beside the tree: nothing is installed and no server is started.
fn promtool() -> Outcome<PathBuf> {
    if program_exists("promtool") {
        return Ok(PathBuf::from("promtool"));
    }
    let place = tree::tools().join("prometheus");
    let program = place.join("usr/bin/promtool");
    if program.exists() {
        return Ok(program);
    }
    if !program_exists("apt-get") || !program_exists("dpkg") {
        return Err(Failure(FETCH.to_owned()));
    }
    note("fetching Debian's package prometheus for its promtool");
    let download = tempfile::tempdir()?;
    shown(
        Command::new("apt-get")
            .args(["download", "--quiet", "prometheus"])
            .current_dir(download.path()),
    )?;
    let package = fs::read_dir(download.path())?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| Failure(FETCH.to_owned()))?;
    fs::create_dir_all(&place)?;
    shown(Command::new("dpkg").arg("-x").arg(package).arg(&place))?;
    if program.exists() {
        Ok(program)
    } else {
        Err(Failure(FETCH.to_owned()))
    }
}

/// The YAML files of a folder of the tree.
fn files(folder: &str) -> Outcome<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(tree::root().join(folder))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    if files.is_empty() {
        return Err(Failure(format!("{folder} holds no YAML file")));
    }
    Ok(files)
}

/// Rules, cases and pages, as they are read.
struct Tree {
    rules: Vec<Value>,
    cases: Vec<Value>,
    /// The name without `.md`, and the text.
    runbooks: Vec<(String, String)>,
}

impl Tree {
    fn read() -> Outcome<Self> {
        let documents = |folder| -> Outcome<Vec<Value>> {
            let read = |path: &PathBuf| -> Outcome<Value> {
                serde_saphyr::from_str(&fs::read_to_string(path)?)
                    .map_err(|error| Failure(format!("{}: {error}", path.display())))
            };
            files(folder)?.iter().map(read).collect()
        };
        let mut runbooks = Vec::new();
        for entry in fs::read_dir(tree::root().join(RUNBOOKS))? {
            let path = entry?.path();
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
            runbooks.push((name.unwrap_or_default(), fs::read_to_string(&path)?));
        }
        Ok(Self {
            rules: documents(RULES)?,
            cases: documents(CASES)?,
            runbooks,
        })
    }

    fn alerts(&self) -> impl Iterator<Item = &Value> {
        let groups = self.rules.iter().flat_map(|file| items(&file["groups"]));
        let rules = groups.flat_map(|group| items(&group["rules"]));
        rules.filter(|rule| rule["alert"].is_string())
    }

    /// The cases of an alert: what comes in, and whether it fires.
    fn cases_of(&self, name: &str) -> impl Iterator<Item = (&Value, bool)> {
        let tests = self.cases.iter().flat_map(|file| items(&file["tests"]));
        tests.flat_map(move |test| {
            items(&test["alert_rule_test"])
                .filter(move |case| case["alertname"] == name)
                .map(move |case| (&test["input_series"], items(&case["exp_alerts"]).next().is_some()))
        })
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// What promtool does not know: that each alert is tried both ways, and leads to a page that answers.
fn check(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for alert in tree.alerts() {
        let name = text(alert, "alert");
        let mut found = |what: String| findings.push(format!("{name}: {what}"));
        let (fires, silent): (Vec<_>, Vec<_>) = tree.cases_of(name).partition(|(_, fires)| *fires);
        if fires.is_empty() {
            found(format!("no case under {CASES} in which it fires"));
        }
        // Silence about series that the rule does not name would prove nothing.
        let measured = |input: &Value| {
            items(input).any(|series| {
                let series = text(series, "series").split('{').next().unwrap_or_default();
                !series.is_empty() && text(alert, "expr").contains(series)
            })
        };
        if !silent.iter().any(|(input, _)| measured(input)) {
            found(format!(
                "no case under {CASES} in which its own series keep it silent"
            ));
        }
        if !SEVERITIES.contains(&text(&alert["labels"], "severity")) {
            found("its severity is neither critical nor warning".to_owned());
        }
        for annotation in ["summary", "description"] {
            if text(&alert["annotations"], annotation).is_empty() {
                found(format!("it has no {annotation}"));
            }
        }
        let page = format!("{RUNBOOKS}/{name}.md");
        if text(&alert["annotations"], "runbook_url") != page {
            found(format!("its runbook_url is not {page}"));
        }
        match tree.runbooks.iter().find(|(stem, _)| stem == name) {
            None => found(format!("{page} is missing")),
            Some((_, page)) => {
                let places: Vec<_> = SECTIONS.iter().map(|section| page.find(section)).collect();
                if places.contains(&None) || !places.is_sorted() {
                    found(format!("its page lacks one of {}", SECTIONS.join(", ")));
                }
            }
        }
    }
    for (stem, _) in &tree.runbooks {
        if stem != "README" && !tree.alerts().any(|alert| text(alert, "alert") == stem) {
            findings.push(format!("{RUNBOOKS}/{stem}.md: no alert leads here"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_alert_of_the_tree_fires_and_is_silent_in_a_case_and_has_its_page() {
        let tree = Tree::read().unwrap_or_else(|failure| panic!("{failure}"));
        assert!(tree.alerts().count() > 20);
        assert_eq!(check(&tree), Vec::<String>::new());
        assert!(tree.runbooks.iter().any(|(stem, _)| stem == "README"));
    }

    fn sound() -> Tree {
        Tree {
            rules: vec![json!({"groups": [{"rules": [
                {"record": "a:b", "expr": "a"},
                {
                    "alert": "ItIsHot", "expr": "heat > 3", "labels": {"severity": "warning"},
                    "annotations": {
                        "summary": "s", "description": "d", "runbook_url": "helm/runbooks/ItIsHot.md",
                    },
                },
            ]}]})],
            cases: vec![json!({"tests": [
                {"input_series": [{"series": "heat{a=\"b\"}"}], "alert_rule_test": [
                    {"alertname": "ItIsHot", "exp_alerts": [{"exp_labels": {}}]},
                ]},
                {"input_series": [{"series": "heat{a=\"b\"}"}], "alert_rule_test": [
                    {"alertname": "ItIsHot", "exp_alerts": []},
                ]},
            ]})],
            runbooks: vec![
                ("README".to_owned(), String::new()),
                ("ItIsHot".to_owned(), SECTIONS.join("\n")),
            ],
        }
    }

    fn finding(change: impl FnOnce(&mut Tree)) -> String {
        let mut tree = sound();
        change(&mut tree);
        check(&tree).join("\n")
    }

    #[test]
    fn what_is_missing_is_found() {
        assert_eq!(finding(|_| ()), "");
        let of_alert =
            |change: fn(&mut Value)| finding(move |tree| change(&mut tree.rules[0]["groups"][0]["rules"][1]));
        let of_tests = |change: fn(&mut Vec<Value>)| {
            finding(move |tree| {
                if let Some(tests) = tree.cases[0]["tests"].as_array_mut() {
                    change(tests);
                }
            })
        };
        for (found, expected) in [
            (
                of_tests(|tests| drop(tests.remove(0))),
                "no case under helm/tests/alerts in which it fires",
            ),
            (of_tests(|tests| drop(tests.remove(1))), "keep it silent"),
            (
                of_tests(|tests| tests[1]["input_series"] = json!([{"series": "cold{}"}])),
                "keep it silent",
            ),
            (of_alert(|alert| alert["labels"] = json!({})), "severity"),
            (
                of_alert(|alert| alert["annotations"]["summary"] = json!("")),
                "no summary",
            ),
            (
                of_alert(|alert| alert["annotations"]["runbook_url"] = json!("elsewhere")),
                "its runbook_url is not helm/runbooks/ItIsHot.md",
            ),
            (
                finding(|tree| drop(tree.runbooks.remove(1))),
                "helm/runbooks/ItIsHot.md is missing",
            ),
            (
                finding(|tree| tree.runbooks[1].1 = SECTIONS[1..].join("\n")),
                "lacks one of",
            ),
            (
                finding(|tree| tree.runbooks.push(("Old".to_owned(), String::new()))),
                "helm/runbooks/Old.md: no alert leads here",
            ),
        ] {
            assert!(found.contains(expected), "{expected} in: {found}");
        }
    }
}
