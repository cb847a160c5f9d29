//! What the pages, rules and dashboards under `helm/` name is what a running region shows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use domicile_zoomsim::FileKind;
use serde_json::Value;

use crate::harness::browser::call;
use crate::harness::process::run;
use crate::harness::world::{ALICE, World};
use crate::harness::{eventually, promql};

/// What others measure: the cluster, Prometheus itself, and what may stand beside the chart.
const FOREIGN: &[&str] = &[
    "ALERTS",
    "certmanager_certificate_expiration_timestamp_seconds",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
    "probe_ssl_earliest_cert_expiry",
    "up",
];

/// Labels that every series has, and those of a histogram's buckets.
const COMMON_LABELS: &[&str] = &[
    "region",
    "le",
    "otel_scope_name",
    "otel_scope_version",
    "otel_scope_schema_url",
];

fn helm() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One metric of a scrape or of the page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
}

/// A scrape: the metrics by name, and the names of all series, buckets and counts too.
struct Scrape {
    metrics: BTreeMap<String, Metric>,
    series: BTreeSet<String>,
}

fn parse(text: &str) -> Scrape {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            kind.clone_into(&mut metrics.entry(name.to_owned()).or_default().kind);
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (name, rest) = line.split_once('{').unwrap_or((line, ""));
        series.insert(name.to_owned());
        let of = ["", "_bucket", "_count", "_sum"]
            .iter()
            .filter_map(|end| name.strip_suffix(end))
            .find(|base| metrics.contains_key(*base))
            .unwrap_or_else(|| panic!("{name} has no type"))
            .to_owned();
        let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
        let names = labels.split(',').filter_map(|pair| pair.split_once('='));
        let names = names
            .map(|(label, _)| label.to_owned())
            .filter(|label| !COMMON_LABELS.contains(&label.as_str()));
        metrics.entry(of).or_default().labels.extend(names);
    }
    Scrape { metrics, series }
}

/// A region that has lived through a link, a webhook, downloads and deliveries; and what it shows then.
async fn scraped() -> Scrape {
    let world = World::start_with(&[("DOMICILE_BOT_ROBOT_JID", "v1robot@xmpp.zoom.us")]).await;
    let user = world.zoom_user();
    world.link(ALICE, &user).await;
    let uuid = world.recording(&user, &[(FileKind::Chat, 900)]);
    world.finish(&uuid).await;
    world.told("recording.stored").await;
    let url = format!("http://{}/metrics", world.environment["DOMICILE_HTTP_OPS_LISTEN"]);
    eventually("every sampler", async || {
        let request = http::Request::get(&url).body(Bytes::new()).unwrap();
        let answer = call(&world.client, request).await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        // What is measured in turns, and what is counted just after the app has its event.
        let late = [
            "domicile_vault_data_keys{",
            "domicile_vault_region_key_age_seconds{",
            "domicile_intake_silence_seconds{",
            "domicile_delivery_duration_seconds_count{",
            "domicile_grants{",
            "domicile_objects_free_bytes{",
            "domicile_clock_skew_seconds{",
        ];
        late.iter().all(|name| text.contains(name)).then(|| parse(&text))
    })
    .await
}

/// The rows of the page's tables: the metric, and whether it shows only once it has happened.
fn page() -> BTreeMap<String, (Metric, bool)> {
    let mut rows = BTreeMap::new();
    for line in read(&helm().join("telemetry.md")).lines() {
        let Some(row) = line.strip_prefix("| `") else {
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, _unit, labels, meaning] = cells[..] else {
            continue;
        };
        let (name, mark) = name.split_once('`').unwrap();
        let labels = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`').to_owned())
            .filter(|label| !label.is_empty());
        assert!(!meaning.is_empty(), "{name} has no meaning");
        let metric = Metric {
            kind: kind.to_owned(),
            labels: labels.collect(),
        };
        let twice = rows.insert(name.to_owned(), (metric, mark.trim() == "\u{2020}"));
        assert_eq!(twice, None, "{name} stands twice on the page");
    }
    rows
}

fn rule_files() -> Vec<PathBuf> {
    let folder = helm().join("domicile/files/rules");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The expressions of all rules, each with where it stands; and the names that rules record.
fn rules() -> (Vec<(String, String)>, BTreeSet<String>) {
    let (mut expressions, mut recorded) = (Vec::new(), BTreeSet::new());
    for file in rule_files() {
        let document: Value = serde_saphyr::from_str(&read(&file)).unwrap();
        for rule in document["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
        {
            let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
            if let Some(record) = rule["record"].as_str() {
                recorded.insert(record.to_owned());
            }
            expressions.push((name.to_owned(), rule["expr"].as_str().unwrap().to_owned()));
        }
    }
    (expressions, recorded)
}

/// The expressions of all panels, each with its title.
fn panels() -> Vec<(String, String)> {
    let mut expressions = Vec::new();
    let folder = helm().join("domicile/files/dashboards");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = read(&entry.unwrap().path());
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().unwrap();
                expressions.push((format!("panel {title}"), expression.to_owned()));
            }
        }
    }
    assert!(!expressions.is_empty());
    expressions
}

/// What the runbooks ask Prometheus, each with its page.
fn of_runbooks() -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for entry in std::fs::read_dir(helm().join("runbooks")).unwrap() {
        let path = entry.unwrap().path();
        let mut inside = false;
        for line in read(&path).lines() {
            match line.strip_prefix("```") {
                Some(language) => inside = language == "promql",
                None if inside => asked.push((path.display().to_string(), line.to_owned())),
                None => {}
            }
        }
    }
    assert!(!asked.is_empty());
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_the_rules_and_the_dashboard_name_what_a_region_shows() {
    let scrape = scraped().await;
    let page = page();
    let mut faults = Vec::new();

    for (name, metric) in &scrape.metrics {
        let Some((on_page, _)) = page.get(name) else {
            faults.push(format!("{name} ({}) is not on the page", metric.kind));
            continue;
        };
        if on_page.kind != metric.kind {
            faults.push(format!(
                "{name} is a {}, the page says {}",
                metric.kind, on_page.kind
            ));
        }
        for label in metric.labels.difference(&on_page.labels) {
            // What the process is, for joins; its labels are the resource's.
            if name != "target_info" {
                faults.push(format!(
                    "{name} has the label {label}, which the page does not name"
                ));
            }
        }
    }
    for (name, (_, later)) in &page {
        if !later && !scrape.metrics.contains_key(name) {
            faults.push(format!(
                "{name} is on the page without \u{2020}, and is not shown"
            ));
        }
    }

    let (expressions, recorded) = rules();
    for (place, expression) in expressions.into_iter().chain(panels()) {
        for name in promql::metrics(&expression) {
            let known =
                scrape.series.contains(&name) || recorded.contains(&name) || FOREIGN.contains(&name.as_str());
            if !known {
                faults.push(format!("{place} names {name}, which no region shows"));
            }
        }
    }
    for (place, expression) in of_runbooks() {
        for name in promql::metrics(&expression) {
            let base = ["", "_bucket", "_count", "_sum"]
                .iter()
                .filter_map(|end| name.strip_suffix(end))
                .any(|base| page.contains_key(base));
            if !base && !scrape.series.contains(&name) {
                faults.push(format!("{place} asks for {name}, which is not on the page"));
            }
        }
    }
    // A region runs in this process, so a panic's words are withheld; these are told before it.
    for fault in &faults {
        writeln!(std::io::stderr(), "{fault}").unwrap();
    }
    assert_eq!(faults.len(), 0);
}

/// Commands that the pages name and that may not be there yet.
const COMING: &[&str] = &["doctor", "jobs", "reconcile"];

/// Every command of `domicile` that the pages name, with its words and options.
fn commands() -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    let pages = std::fs::read_dir(helm().join("runbooks")).unwrap();
    for page in pages.map(|entry| read(&entry.unwrap().path())) {
        let mut shell = false;
        for line in page.lines() {
            if let Some(language) = line.strip_prefix("```") {
                shell = language == "sh";
            } else if shell {
                commands.extend(line.starts_with("domicile ").then(|| line.to_owned()));
            } else {
                let quoted = line.split('`').skip(1).step_by(2);
                commands.extend(
                    quoted
                        .filter(|text| text.starts_with("domicile "))
                        .map(str::to_owned),
                );
            }
        }
    }
    commands
}

fn help(words: &[&str]) -> String {
    let asked: Vec<&str> = words.iter().copied().chain(["--help"]).collect();
    let output = run(&BTreeMap::new(), &asked);
    assert!(
        output.status.success(),
        "there is no `domicile {}`",
        words.join(" ")
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_commands_of_the_runbooks_exist() {
    let commands = commands();
    assert!(commands.len() > 5, "{commands:?}");
    let known = help(&[]);
    for command in &commands {
        let name = command.split_whitespace().nth(1).unwrap();
        let is_known = known
            .lines()
            .any(|line| line.split_whitespace().next() == Some(name));
        if !is_known && COMING.contains(&name) {
            continue;
        }
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let names = words.iter().take_while(|word| {
            word.chars().all(|sign| sign.is_ascii_lowercase() || sign == '-') && !word.starts_with('-')
        });
        let names: Vec<&str> = names.copied().collect();
        let help = help(&names);
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "`{command}`: {option} is not in its help");
        }
    }
}
