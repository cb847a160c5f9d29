//! The shape of what is rendered: labels, names, kinds, hooks, and that it is the same each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::super::case::Case;
use super::super::object::{at, is_hook, kind, list, name, pod_labels, pods, text, title};
use super::super::tools::{CHART, files};
use crate::tree;

/// The labels that Kubernetes recommends, and the chart's own.
const LABEL_NAMES: &[&str] = &[
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/version",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
];

pub(super) fn labels(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for object in &case.objects {
        let mut all = vec![at(object, "/metadata/labels")];
        if pods(object).is_some() {
            all.push(pod_labels(object));
        }
        for labels in all {
            for wanted in LABEL_NAMES {
                let value = labels.get(*wanted).and_then(Value::as_str).unwrap_or_default();
                if value.is_empty() {
                    faults.push(format!("{}: it has no label {wanted}", title(object)));
                }
            }
            let ours = labels.get("app.kubernetes.io/instance").and_then(Value::as_str);
            let version = labels.get("app.kubernetes.io/version").and_then(Value::as_str);
            if ours != Some(case.release.as_str()) || version != Some(env!("CARGO_PKG_VERSION")) {
                faults.push(format!(
                    "{}: its labels are of another release or version",
                    title(object)
                ));
            }
        }
    }
    faults
}

pub(super) const LABELS: &[fn(&mut Case) -> bool] = &[
    |case| set(case, "/metadata/labels/app.kubernetes.io~1component", json!("")),
    |case| {
        set(
            case,
            "/metadata/labels/app.kubernetes.io~1version",
            json!("0.0.1"),
        )
    },
    |case| set(case, "/spec/template/metadata/labels", json!({"app": "domicile"})),
];

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is called")]
fn set(case: &mut Case, place: &str, to: Value) -> bool {
    case.change(|object| {
        object.pointer_mut(place).is_some_and(|it| {
            *it = to.clone();
            true
        })
    })
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The longest name of what makes pods: Kubernetes keeps 58 characters of it, a hyphen and a hash of ten included.
const LONGEST_WORKLOAD: usize = 58 - 12;

pub(super) fn names(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for object in &case.objects {
        let title = title(object);
        if !is_label(name(object)) {
            faults.push(format!("{title}: its name is no label of at most 63 characters"));
        }
        if matches!(kind(object), "Deployment" | "Job") && name(object).len() > LONGEST_WORKLOAD {
            faults.push(format!("{title}: its pods' names would be cut"));
        }
        if !seen.insert(title.clone()) {
            faults.push(format!("{title}: it is there twice"));
        }
        for labels in [at(object, "/metadata/labels"), pod_labels(object)] {
            for (key, value) in labels.as_object().into_iter().flatten() {
                let valid = value.as_str().is_some_and(|it| {
                    it.len() <= 63
                        && it
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                });
                if !valid {
                    faults.push(format!("{title}: the value of the label {key} is none"));
                }
            }
        }
        let Some(pod) = pods(object) else { continue };
        let ports = list(pod, "/containers")
            .iter()
            .flat_map(|it| list(it, "/ports"))
            .map(|it| text(it, "/name"));
        let containers = list(pod, "/containers")
            .iter()
            .chain(list(pod, "/volumes"))
            .map(|it| text(it, "/name"));
        faults.extend(
            containers
                .filter(|it| !is_label(it))
                .chain(ports.filter(|it| it.len() > 15))
                .map(|it| format!("{title}: {it} is no name")),
        );
    }
    faults
}

pub(super) const NAMES: &[fn(&mut Case) -> bool] = &[
    |case| set(case, "/metadata/name", json!("a".repeat(64))),
    |case| set(case, "/metadata/name", json!("Domicile_eu")),
    |case| {
        set(
            case,
            "/metadata/labels/app.kubernetes.io~1instance",
            json!("b".repeat(64)),
        )
    },
    |case| {
        let first = case.objects.first().cloned();
        case.objects.extend(first);
        true
    },
];

/// Every kind that the chart may render; all are kinds of a namespace.
const KINDS: &[(&str, &str)] = &[
    ("v1", "ConfigMap"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("barmancloud.cnpg.io/v1", "ObjectStore"),
    ("batch/v1", "Job"),
    ("cilium.io/v2", "CiliumNetworkPolicy"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("postgresql.cnpg.io/v1", "Cluster"),
    ("postgresql.cnpg.io/v1", "ScheduledBackup"),
];

pub(super) fn namespaced(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for object in &case.objects {
        let known = KINDS.contains(&(text(object, "/apiVersion"), kind(object)));
        if !known {
            faults.push(format!(
                "{}: it is of no kind that the chart may render",
                title(object)
            ));
        }
        if text(object, "/metadata/namespace") != case.file.deployment.namespace {
            faults.push(format!("{}: it is not in the region's namespace", title(object)));
        }
    }
    faults
}

pub(super) const NAMESPACED: &[fn(&mut Case) -> bool] = &[
    |case| set(case, "/metadata/namespace", json!("default")),
    |case| {
        case.objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "a", "namespace": case.file.deployment.namespace}
        }));
        true
    },
];

/// How many objects of each kind the file asks for.
fn wanted(case: &Case) -> BTreeMap<&'static str, usize> {
    let chart = &case.file.chart;
    let split = chart.mode == domicile_region::file::chart::Mode::Split;
    let processes: Vec<_> = if split {
        vec![&chart.serve, &chart.work]
    } else {
        vec![&chart.serve]
    };
    let within = !case.upgrade && (chart.postgres.enabled || chart.external_secrets.enabled);
    let count = usize::from;
    let kept = processes.iter().filter(|role| {
        let scaling = &role.autoscaling;
        (if scaling.enabled {
            scaling.min_replicas
        } else {
            role.replicas
        }) > 1
    });
    let mut secrets: BTreeSet<_> = case.file.secrets().into_iter().map(|(_, it)| &it.name).collect();
    if !chart.external_secrets.enabled {
        secrets.clear();
    }
    let files =
        |folder: &str, end: &str| files(&format!("{CHART}/files/{folder}"), end).map_or(0, |it| it.len());
    let rules = if chart.monitoring.rules {
        files("rules", "yaml")
    } else {
        0
    };
    let dashboards = if chart.monitoring.dashboards {
        files("dashboards", "json")
    } else {
        0
    };
    let policy = &chart.network_policy;
    let backup = chart.postgres.enabled && chart.postgres.backup.enabled;
    BTreeMap::from([
        ("Deployment", processes.len()),
        (
            "HorizontalPodAutoscaler",
            processes.iter().filter(|role| role.autoscaling.enabled).count(),
        ),
        ("PodDisruptionBudget", kept.count()),
        ("Service", 3),
        ("ServiceAccount", 1 + count(!within)),
        ("ConfigMap", 1 + count(!within) + dashboards),
        ("Job", 1),
        ("Pod", 1),
        (
            "Ingress",
            count(chart.ingress.enabled) + count(chart.ingress.app.is_some()),
        ),
        ("HTTPRoute", count(chart.gateway.enabled)),
        // Those of the migration and of the test are plain ones always.
        (
            "NetworkPolicy",
            count(policy.enabled) * (2 + count(!policy.cilium)),
        ),
        ("CiliumNetworkPolicy", count(policy.enabled && policy.cilium)),
        ("ServiceMonitor", count(chart.monitoring.service_monitor)),
        ("PrometheusRule", rules),
        ("ExternalSecret", secrets.len()),
        ("Cluster", count(chart.postgres.enabled)),
        ("ObjectStore", count(backup)),
        ("ScheduledBackup", count(backup)),
    ])
}

pub(super) fn nothing_extra(case: &Case) -> Vec<String> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for object in &case.objects {
        *found.entry(kind(object)).or_default() += 1;
    }
    let wanted = wanted(case);
    let kinds: BTreeSet<_> = found.keys().chain(wanted.keys()).copied().collect();
    kinds
        .into_iter()
        .map(|kind| {
            (
                kind,
                found.get(kind).copied().unwrap_or(0),
                wanted.get(kind).copied().unwrap_or(0),
            )
        })
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(kind, found, wanted)| format!("{found} objects {kind}, and {wanted} are asked for"))
        .collect()
}

pub(super) const EXTRA: &[fn(&mut Case) -> bool] = &[
    |case| case.objects.pop().is_some(),
    |case| {
        case.objects.push(
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a"}}),
        );
        true
    },
];

pub(super) fn twice(case: &Case) -> Vec<String> {
    let differs = case
        .text
        .lines()
        .zip(case.again.lines())
        .find(|(one, other)| one != other);
    match differs {
        Some((one, other)) => vec![format!("{one:?} is {other:?} the second time")],
        None if case.text.len() == case.again.len() => Vec::new(),
        None => vec!["one of them is longer".to_owned()],
    }
}

pub(super) const TWICE: &[fn(&mut Case) -> bool] = &[
    |case| {
        case.again = case.again.replacen("kind: ", "kind:  ", 1);
        true
    },
    |case| {
        case.again.push_str("---\n");
        true
    },
];

pub(super) fn migration(case: &Case) -> Vec<String> {
    let chart = &case.file.chart;
    let first = !case.upgrade && (chart.postgres.enabled || chart.external_secrets.enabled);
    let mut faults = Vec::new();
    let jobs: Vec<_> = case.of(&["Job"]).collect();
    let [job] = jobs.as_slice() else {
        return vec![format!("there are {} jobs", jobs.len())];
    };
    let title = title(job);
    for (place, right) in [
        ("/spec/backoffLimit", json!(chart.migration.retries)),
        (
            "/spec/activeDeadlineSeconds",
            json!(chart.migration.deadline_seconds),
        ),
        ("/spec/template/spec/restartPolicy", json!("Never")),
        ("/spec/template/spec/containers/0/args", json!(["migrate"])),
    ] {
        if at(job, place) != &right {
            faults.push(format!("{title}: {place} is {}, not {right}", at(job, place)));
        }
    }
    if first {
        // What it needs is made by the release, so it is a part of it; the next upgrade brings the hook.
        if is_hook(job) {
            faults.push(format!("{title}: it would wait for what is made after it"));
        }
        return faults;
    }
    let hook = |object: &Value, part: &str| {
        text(object, &format!("/metadata/annotations/helm.sh~1{part}")).to_owned()
    };
    if hook(job, "hook") != "pre-install,pre-upgrade" {
        faults.push(format!("{title}: it is no hook before installation and upgrade"));
    }
    if hook(job, "hook-delete-policy") != "before-hook-creation,hook-succeeded" {
        faults.push(format!(
            "{title}: what failed would be gone, or in the way of the next try"
        ));
    }
    let weight = |object: &Value| hook(object, "hook-weight").parse::<i32>().ok();
    let pod = at(job, "/spec/template/spec");
    let config = list(pod, "/volumes")
        .iter()
        .map(|it| text(it, "/configMap/name"))
        .find(|it| !it.is_empty());
    let mut needs = vec![
        ("ServiceAccount", text(pod, "/serviceAccountName")),
        ("ConfigMap", config.unwrap_or_default()),
    ];
    if chart.network_policy.enabled {
        needs.push(("NetworkPolicy", name(job)));
    }
    for (kind, needed) in needs {
        let Some(object) = case.of(&[kind]).find(|it| name(it) == needed) else {
            faults.push(format!("{title}: there is no {kind} {needed}"));
            continue;
        };
        let earlier = weight(object)
            .zip(weight(job))
            .is_some_and(|(one, other)| one < other);
        if hook(object, "hook") != hook(job, "hook") || !earlier {
            faults.push(format!("{title}: {kind} {needed} is not there yet when it runs"));
        }
    }
    faults
}

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is called")]
fn job(case: &mut Case, place: &str, to: Value) -> bool {
    case.change(|object| {
        kind(object) == "Job"
            && object.pointer_mut(place).is_some_and(|it| {
                *it = to.clone();
                true
            })
    })
}

pub(super) const MIGRATION: &[fn(&mut Case) -> bool] = &[
    |case| job(case, "/spec/backoffLimit", json!(999)),
    |case| job(case, "/spec/activeDeadlineSeconds", Value::Null),
    |case| job(case, "/metadata/annotations/helm.sh~1hook", json!("post-install")),
    |case| {
        job(
            case,
            "/metadata/annotations/helm.sh~1hook-delete-policy",
            json!("hook-failed"),
        )
    },
    |case| job(case, "/spec/template/spec/containers/0/args", json!(["run"])),
    |case| {
        case.change(|object| {
            kind(object) == "ServiceAccount"
                && is_hook(object)
                && object
                    .pointer_mut("/metadata")
                    .and_then(Value::as_object_mut)
                    .is_some_and(|it| it.remove("annotations").is_some())
        })
    },
];

pub(super) fn monitoring(case: &Case) -> Vec<String> {
    let monitoring = &case.file.chart.monitoring;
    let mut faults = Vec::new();
    for (wanted, folder, end) in [
        (monitoring.rules, "rules", "yaml"),
        (monitoring.dashboards, "dashboards", "json"),
    ] {
        if !wanted {
            continue;
        }
        for path in files(&format!("{CHART}/files/{folder}"), end).unwrap_or_default() {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let right: Value = match end {
                "yaml" => serde_saphyr::from_str(&text).unwrap_or_default(),
                _ => serde_json::from_str(&text).unwrap_or_default(),
            };
            let found = case.objects.iter().any(|object| match end {
                "yaml" => kind(object) == "PrometheusRule" && at(object, "/spec") == &right,
                _ => at(object, "/data")
                    .get(&file)
                    .and_then(Value::as_str)
                    .is_some_and(|it| serde_json::from_str::<Value>(it).is_ok_and(|it| it == right)),
            });
            if !found || right.is_null() {
                faults.push(format!(
                    "{} is not rendered as it stands",
                    path.strip_prefix(tree::root()).unwrap_or(&path).display()
                ));
            }
        }
    }
    if monitoring.service_monitor
        && !case.of(&["ServiceMonitor"]).any(|it| {
            text(it, "/spec/endpoints/0/interval") == monitoring.interval
                && text(it, "/spec/endpoints/0/path") == "/metrics"
        })
    {
        faults.push("metrics are not scraped as the file says".to_owned());
    }
    faults
}

/// Empties the first object of a kind.
fn emptied(case: &mut Case, wanted: &str, place: &str) -> bool {
    case.change(|object| {
        kind(object) == wanted
            && object.pointer_mut(place).is_some_and(|it| {
                *it = json!({});
                true
            })
    })
}

pub(super) const MONITORING: &[fn(&mut Case) -> bool] = &[
    // Where there are rules these, else what scrapes for them.
    |case| emptied(case, "PrometheusRule", "/spec") || emptied(case, "ServiceMonitor", "/spec"),
    |case| {
        case.change(|object| {
            kind(object) == "ServiceMonitor"
                && object.pointer_mut("/spec/endpoints/0/path").is_some_and(|it| {
                    *it = json!("/");
                    true
                })
        })
    },
];
