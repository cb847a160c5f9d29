//! Which crate may import which, and how dependencies are declared.

use super::{File, Finding};

const WHY_ARROW: &str = "a crate imports only from the lines above its own in the floor plan of crates/README.md, and rooms meet through rows or the roof";
const WHY_VERSION: &str = "versions stand in one place, the root Cargo.toml";
const WHY_REASON: &str = "a dependency is for ever; say in one line above it what it is for";
const WHY_GROUND: &str = "the ground floor is the words of the house, without a runtime, a database or HTTP";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Floor {
    Ground,
    Tools,
    Room,
    Roof,
    Workshop,
}

/// The floor plan, from the top of the table down.
const PLAN: &[(Floor, &[&str])] = &[
    (Floor::Ground, &["kernel", "region"]),
    (
        Floor::Tools,
        &[
            "telemetry",
            "store",
            "leases",
            "egress",
            "vault",
            "objects",
            "zoom",
            "web",
        ],
    ),
    (
        Floor::Room,
        &[
            "linking",
            "intake",
            "recordings",
            "chatbot",
            "delivery",
            "custody",
            "console",
        ],
    ),
    (Floor::Roof, &["domicile"]),
    (
        Floor::Workshop,
        &["localpg", "zoomsim", "testkit", "bench", "xtask"],
    ),
];

/// The line and the floor of a crate, by the name of its folder.
fn place(name: &str) -> Option<(usize, Floor)> {
    let lines = PLAN
        .iter()
        .flat_map(|(floor, crates)| crates.iter().map(move |it| (*floor, *it)));
    lines
        .enumerate()
        .find(|(_, (_, it))| *it == name)
        .map(|(line, (floor, _))| (line, floor))
}

/// The crate that a file belongs to: the name of its folder under `crates/`.
pub(crate) fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?
        .split_once('/')
        .map(|(name, _)| name)
}

/// True for the roof, the workshop, and tests that are no crate of the house.
pub(crate) fn may_read_environment(owner: &str) -> bool {
    place(owner).is_none_or(|(_, floor)| matches!(floor, Floor::Roof | Floor::Workshop))
}

/// Checks all Cargo.toml files.
pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        if file.path == "Cargo.toml" {
            reasons(file, "workspace.dependencies", &mut findings);
        } else if file.path.ends_with("/fuzz/Cargo.toml") {
            // A workspace of its own, as cargo-fuzz lays it out, from which nothing is shipped.
            reasons(file, "dependencies", &mut findings);
        } else if file.path.ends_with("/Cargo.toml") {
            declarations(file, &mut findings);
            if let Some(owner) = crate_of(&file.path) {
                arrows(owner, file, &mut findings);
            }
        }
    }
    findings
}

/// One `key = value` line with the table in which it stands.
struct Entry<'a> {
    line: usize,
    table: &'a str,
    key: &'a str,
    value: &'a str,
}

/// The entries of a manifest as it is written here: one line each.
fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines()
        .enumerate()
        .scan("", |table, (index, line)| {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[') {
                *table = name.trim_end_matches(']');
                // A table for one dependency hides it from the rules.
                return Some(table.contains("dependencies.").then(|| Entry {
                    line: index + 1,
                    table,
                    key: table,
                    value: "",
                }));
            }
            let entry = line.split_once('=').filter(|_| !line.starts_with('#'));
            Some(entry.map(|(key, value)| Entry {
                line: index + 1,
                table,
                key: key.trim(),
                value: value.trim(),
            }))
        })
        .flatten()
}

/// The name of the dependency that a line declares.
fn dependency<'a>(entry: &Entry<'a>) -> Option<&'a str> {
    entry
        .table
        .ends_with("dependencies")
        .then(|| entry.key.split('.').next().unwrap_or(entry.key))
}

fn declarations(file: &File, findings: &mut Vec<Finding>) {
    for entry in entries(&file.text).filter(|entry| entry.table.contains("dependencies")) {
        let inherited = entry.key.ends_with(".workspace") && entry.value == "true"
            || entry.value.replace(' ', "").contains("workspace=true");
        if !inherited {
            let what = format!("declare {} as `name.workspace = true`", entry.key);
            findings.push(Finding::new(&file.path, entry.line, what, WHY_VERSION));
        }
    }
}

fn arrows(owner: &str, file: &File, findings: &mut Vec<Finding>) {
    let Some((line, floor)) = place(owner) else {
        let what = format!(
            "{owner} has no line in the floor plan; give it one in crates/README.md and in xtask's tidy/layers.rs"
        );
        findings.push(Finding::new(&file.path, 0, what, WHY_ARROW));
        return;
    };
    for entry in entries(&file.text) {
        let Some(name) = dependency(&entry) else { continue };
        if floor == Floor::Ground && ["tokio", "diesel", "diesel-async", "reqwest"].contains(&name) {
            findings.push(Finding::new(
                &file.path,
                entry.line,
                format!("{owner} may not use {name}"),
                WHY_GROUND,
            ));
        }
        let other = if name == "domicile" {
            name
        } else {
            name.strip_prefix("domicile-").unwrap_or_default()
        };
        let Some((other_line, other_floor)) = place(other) else {
            continue;
        };
        let for_tests = entry.table.ends_with("dev-dependencies") && other_floor == Floor::Workshop;
        let siblings = floor == Floor::Room && other_floor == Floor::Room;
        if (other_line >= line || siblings) && !for_tests {
            let what = if siblings {
                format!("the room {owner} imports the room {other}")
            } else {
                format!("{owner} imports {other}, which stands below it")
            };
            findings.push(Finding::new(&file.path, entry.line, what, WHY_ARROW));
        }
    }
}

fn reasons(file: &File, table: &str, findings: &mut Vec<Finding>) {
    let lines: Vec<&str> = file.text.lines().collect();
    for entry in entries(&file.text).filter(|entry| entry.table == table) {
        let above = entry
            .line
            .checked_sub(2)
            .and_then(|index| lines.get(index))
            .copied()
            .unwrap_or_default();
        // The house's own crates say it in their READMEs.
        if !above.starts_with("# ") && !entry.value.contains("path =") {
            let what = format!("{} has no reason above it", entry.key);
            findings.push(Finding::new(&file.path, entry.line, what, WHY_REASON));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_one, file};
    use super::*;

    fn found(path: &str, text: &str) -> Vec<Finding> {
        check(&[file(path, text)])
    }

    #[test]
    fn an_import_from_below_is_found() {
        let text = "[dependencies]\ndomicile-leases.workspace = true\n";
        assert_one(
            &found("crates/store/Cargo.toml", text),
            "store imports leases, which stands below it",
        );
        assert_eq!(found("crates/recordings/Cargo.toml", text), []);
        let roof = "[dependencies]\ndomicile.workspace = true\n";
        assert_one(&found("crates/web/Cargo.toml", roof), "web imports domicile");
    }

    #[test]
    fn rooms_do_not_import_each_other() {
        let text = "[dependencies]\ndomicile-intake.workspace = true\n";
        assert_one(
            &found("crates/recordings/Cargo.toml", text),
            "the room recordings imports the room intake",
        );
        assert_eq!(found("crates/domicile/Cargo.toml", text), []);
    }

    #[test]
    fn the_workshop_serves_tests_and_nothing_else() {
        let tests = "[dev-dependencies]\ndomicile-testkit.workspace = true\n";
        assert_eq!(found("crates/leases/Cargo.toml", tests), []);
        let shipped = "[dependencies]\ndomicile-testkit.workspace = true\n";
        assert_one(
            &found("crates/domicile/Cargo.toml", shipped),
            "domicile imports testkit",
        );
    }

    #[test]
    fn the_ground_floor_has_no_runtime() {
        assert_one(
            &found(
                "crates/kernel/Cargo.toml",
                "[dependencies]\ntokio.workspace = true\n",
            ),
            "may not use tokio",
        );
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        assert_one(
            &found("crates/attic/Cargo.toml", "[package]\n"),
            "no line in the floor plan",
        );
    }

    #[test]
    fn versions_outside_of_the_root_are_found() {
        assert_one(
            &found("crates/zoom/Cargo.toml", "[dependencies]\nurl = \"2\"\n"),
            "url",
        );
        assert_one(
            &found(
                "tests/Cargo.toml",
                "[dev-dependencies]\nurl = { version = \"2\" }\n",
            ),
            "url",
        );
        assert_one(&found("crates/zoom/Cargo.toml", "[dependencies.url]\n"), "url");
        assert_eq!(
            found(
                "crates/zoom/Cargo.toml",
                "[dependencies]\nurl = { workspace = true, features = [\"x\"] }\n"
            ),
            []
        );
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let text =
            "[workspace.dependencies]\n# Paths.\nhex = \"1\"\nurl = \"2\"\nown = { path = \"crates/own\" }\n";
        assert_one(&found("Cargo.toml", text), "url has no reason");
    }
}
