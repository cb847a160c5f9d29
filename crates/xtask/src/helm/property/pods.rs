//! Pods: their rights, probes and resources, and how they are replaced.

use std::fs;

use serde_json::{Value, json};

use super::super::case::Case;
use super::super::object::{at, kind, list, name, pods, pods_mut, text, title};
use crate::tree;

/// Each container with its pod and a name for faults.
fn containers(case: &Case) -> impl Iterator<Item = (String, &Value, &Value)> {
    case.objects
        .iter()
        .filter_map(|it| Some((it, pods(it)?)))
        .flat_map(|(object, pod)| {
            ["/containers", "/initContainers", "/ephemeralContainers"]
                .into_iter()
                .flat_map(move |place| list(pod, place))
                .map(move |container| {
                    (
                        format!("{}: {}", title(object), text(container, "/name")),
                        pod,
                        container,
                    )
                })
        })
}

/// What each place must hold; every difference.
fn wanted(title: &str, value: &Value, places: &[(&str, Value)]) -> Vec<String> {
    places
        .iter()
        .filter(|(place, right)| at(value, place) != right)
        .map(|(place, right)| format!("{title}: {place} is {}, not {right}", at(value, place)))
        .collect()
}

/// Breaks the first pod's specification, if the place is there.
#[expect(clippy::needless_pass_by_value, reason = "it is written where it is called")]
fn pod(case: &mut Case, place: &str, to: Value) -> bool {
    case.change(|object| {
        pods_mut(object)
            .and_then(|it| it.pointer_mut(place))
            .is_some_and(|there| {
                *there = to.clone();
                true
            })
    })
}

/// Breaks the first Deployment at this place.
#[expect(clippy::needless_pass_by_value, reason = "it is written where it is called")]
fn deployment(case: &mut Case, place: &str, to: Value) -> bool {
    case.change(|object| {
        kind(object) == "Deployment"
            && object.pointer_mut(place).is_some_and(|there| {
                *there = to.clone();
                true
            })
    })
}

const CONTAINER: &str = "/spec/template/spec/containers/0";

pub(super) fn restricted(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for object in &case.objects {
        let Some(pod) = pods(object) else { continue };
        let title = title(object);
        faults.extend(wanted(
            &title,
            pod,
            &[
                ("/securityContext/runAsNonRoot", json!(true)),
                ("/securityContext/seccompProfile/type", json!("RuntimeDefault")),
            ],
        ));
        if at(pod, "/securityContext/runAsUser")
            .as_u64()
            .is_none_or(|user| user < 1000)
        {
            faults.push(format!("{title}: the user is the system's"));
        }
        for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
            if at(pod, &format!("/{field}")) != &Value::Null {
                faults.push(format!("{title}: {field} is set"));
            }
        }
        for volume in list(pod, "/volumes") {
            let taken = ["configMap", "projected", "secret"];
            if !taken.iter().any(|kind| volume.get(kind).is_some()) {
                faults.push(format!(
                    "{title}: the volume {} is of another kind",
                    text(volume, "/name")
                ));
            }
        }
    }
    for (title, _, container) in containers(case) {
        faults.extend(wanted(
            &title,
            container,
            &[
                ("/securityContext/allowPrivilegeEscalation", json!(false)),
                ("/securityContext/readOnlyRootFilesystem", json!(true)),
                ("/securityContext/runAsNonRoot", json!(true)),
                ("/securityContext/privileged", json!(false)),
                ("/securityContext/capabilities", json!({"drop": ["ALL"]})),
                ("/securityContext/seccompProfile/type", json!("RuntimeDefault")),
            ],
        ));
        if list(container, "/volumeMounts")
            .iter()
            .any(|it| at(it, "/readOnly") != &json!(true))
        {
            faults.push(format!("{title}: a volume can be written"));
        }
        if list(container, "/ports")
            .iter()
            .any(|it| it.get("hostPort").is_some())
        {
            faults.push(format!("{title}: a port of the host is taken"));
        }
    }
    faults
}

pub(super) const UNRESTRICTED: &[fn(&mut Case) -> bool] = &[
    |case| pod(case, "/securityContext/runAsNonRoot", json!(false)),
    |case| pod(case, "/securityContext/runAsUser", json!(0)),
    |case| {
        pod(
            case,
            "/securityContext/seccompProfile",
            json!({"type": "Unconfined"}),
        )
    },
    |case| {
        pod(
            case,
            "/containers/0/securityContext/readOnlyRootFilesystem",
            json!(false),
        )
    },
    |case| {
        pod(
            case,
            "/containers/0/securityContext/allowPrivilegeEscalation",
            Value::Null,
        )
    },
    |case| {
        pod(
            case,
            "/containers/0/securityContext/capabilities",
            json!({"drop": ["ALL"], "add": ["NET_ADMIN"]}),
        )
    },
    |case| pod(case, "/containers/0/securityContext/privileged", json!(true)),
    |case| {
        pod(
            case,
            "/volumes/0",
            json!({"name": "region", "hostPath": {"path": "/"}}),
        )
    },
    |case| pod(case, "/containers/0/volumeMounts/0/readOnly", json!(false)),
];

pub(super) fn tokens(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for object in &case.objects {
        let title = title(object);
        if kind(object) == "ServiceAccount" && at(object, "/automountServiceAccountToken") != &json!(false) {
            faults.push(format!("{title}: its token is mounted"));
        }
        let Some(pod) = pods(object) else { continue };
        faults.extend(wanted(
            &title,
            pod,
            &[
                ("/automountServiceAccountToken", json!(false)),
                ("/enableServiceLinks", json!(false)),
            ],
        ));
        for source in list(pod, "/volumes")
            .iter()
            .flat_map(|volume| list(volume, "/projected/sources"))
        {
            // A token for the cloud says nothing to the cluster.
            if source.get("serviceAccountToken").is_some()
                && text(source, "/serviceAccountToken/audience") != "sts.amazonaws.com"
            {
                faults.push(format!("{title}: it has a token of the cluster"));
            }
        }
    }
    faults
}

pub(super) const TOKENS: &[fn(&mut Case) -> bool] = &[
    |case| pod(case, "/automountServiceAccountToken", json!(true)),
    |case| {
        case.change(|object| {
            kind(object) == "ServiceAccount"
                && object
                    .as_object_mut()
                    .is_some_and(|it| it.remove("automountServiceAccountToken").is_some())
        })
    },
    |case| {
        pod(
            case,
            "/volumes/1/projected/sources/0",
            json!({"serviceAccountToken": {"path": "token"}}),
        )
    },
];

pub(super) fn probes(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for object in case.of(&["Deployment"]) {
        let container = at(object, CONTAINER);
        let title = title(object);
        for (probe, path) in [
            ("startup", "/livez"),
            ("liveness", "/livez"),
            ("readiness", "/readyz"),
        ] {
            faults.extend(wanted(
                &title,
                container,
                &[
                    (format!("/{probe}Probe/httpGet/path").as_str(), json!(path)),
                    (format!("/{probe}Probe/httpGet/port").as_str(), json!("ops")),
                ],
            ));
        }
        // The process itself waits two seconds for its database.
        if at(container, "/readinessProbe/timeoutSeconds")
            .as_u64()
            .is_none_or(|seconds| seconds < 3)
        {
            faults.push(format!(
                "{title}: readiness has less time than the process takes to say no"
            ));
        }
        let listen = [
            ("public", &case.file.http.public_listen, true),
            ("app", &case.file.http.app_listen, true),
            ("ops", &case.file.http.ops_listen, false),
        ];
        let works = list(container, "/args") == [json!("work")];
        let ports: Vec<_> = listen
            .into_iter()
            .filter(|(_, _, answers)| !(works && *answers))
            .filter_map(|(name, listen, _)| {
                let port: u16 = listen.rsplit_once(':')?.1.parse().ok()?;
                Some(json!({"name": name, "containerPort": port}))
            })
            .collect();
        if list(container, "/ports") != ports {
            faults.push(format!(
                "{title}: its ports are not its listeners: {}",
                at(container, "/ports")
            ));
        }
    }
    faults
}

pub(super) const PROBES: &[fn(&mut Case) -> bool] = &[
    |case| {
        deployment(
            case,
            &format!("{CONTAINER}/readinessProbe/httpGet/path"),
            json!("/livez"),
        )
    },
    |case| {
        deployment(
            case,
            &format!("{CONTAINER}/livenessProbe/httpGet/path"),
            json!("/readyz"),
        )
    },
    |case| deployment(case, &format!("{CONTAINER}/startupProbe"), Value::Null),
    |case| {
        deployment(
            case,
            &format!("{CONTAINER}/readinessProbe/timeoutSeconds"),
            json!(1),
        )
    },
    |case| deployment(case, &format!("{CONTAINER}/ports"), json!([])),
];

pub(super) fn resources(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for (title, _, container) in containers(case) {
        for place in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            if text(at(container, "/resources"), place).is_empty() {
                faults.push(format!("{title}: resources have no {place}"));
            }
        }
    }
    let chart = &case.file.chart;
    for object in case.of(&["Deployment"]) {
        let role = if name(object).ends_with("-work") {
            &chart.work
        } else {
            &chart.serve
        };
        let right = json!({
            "requests": {"cpu": role.resources.requests.cpu, "memory": role.resources.requests.memory},
            "limits": {"memory": role.resources.memory_limit}
        });
        faults.extend(wanted(
            &title(object),
            at(object, CONTAINER),
            &[("/resources", right)],
        ));
        let replicas = if role.autoscaling.enabled {
            Value::Null
        } else {
            json!(role.replicas)
        };
        faults.extend(wanted(&title(object), object, &[("/spec/replicas", replicas)]));
    }
    faults
}

pub(super) const RESOURCES: &[fn(&mut Case) -> bool] = &[
    |case| pod(case, "/containers/0/resources/limits", json!({})),
    |case| deployment(case, &format!("{CONTAINER}/resources/requests/cpu"), json!("7")),
    |case| deployment(case, "/spec/replicas", json!(99)),
];

/// How long each step of a stop may take, as the program has it.
fn drain_seconds() -> Option<u64> {
    let source = fs::read_to_string(tree::root().join("crates/domicile/src/settings.rs")).ok()?;
    let (_, rest) = source.split_once("DRAIN_TIMEOUT: Duration = Duration::from_secs(")?;
    rest.split_once(')')?.0.parse().ok()
}

/// Requests of two listeners, jobs, the inbox, grants that are being refreshed: one after the other.
const DRAIN_STEPS: u64 = 5;

pub(super) fn rollout(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    let drain = drain_seconds();
    for object in case.of(&["Deployment"]) {
        let title = title(object);
        faults.extend(wanted(
            &title,
            object,
            &[(
                "/spec/strategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
            )],
        ));
        let pod = at(object, "/spec/template/spec");
        let wait = at(object, &format!("{CONTAINER}/lifecycle/preStop/sleep/seconds")).as_u64();
        let grace = at(pod, "/terminationGracePeriodSeconds").as_u64();
        let needed = wait.zip(drain).map(|(wait, drain)| wait + DRAIN_STEPS * drain);
        if wait.is_none_or(|wait| wait < 5) || grace < needed || needed.is_none() {
            faults.push(format!(
                "{title}: {grace:?} seconds are given to stop, and {needed:?} may be needed"
            ));
        }
        let spread = json!(case.file.chart.spread);
        let keys: Vec<_> = list(pod, "/topologySpreadConstraints")
            .iter()
            .filter(|it| at(it, "/labelSelector") == at(object, "/spec/selector"))
            .filter(|it| at(it, "/whenUnsatisfiable") == &spread)
            .map(|it| text(it, "/topologyKey"))
            .collect();
        if keys != ["topology.kubernetes.io/zone", "kubernetes.io/hostname"] {
            faults.push(format!("{title}: pods are not spread over zones and nodes"));
        }
        let checksum = text(object, "/spec/template/metadata/annotations/checksum~1region");
        if checksum.len() != 64 {
            faults.push(format!("{title}: a changed file would not reach the processes"));
        }
        let role = if name(object).ends_with("-work") {
            &case.file.chart.work
        } else {
            &case.file.chart.serve
        };
        let scaling = &role.autoscaling;
        let least = if scaling.enabled {
            scaling.min_replicas
        } else {
            role.replicas
        };
        let budgets = case
            .of(&["PodDisruptionBudget"])
            .filter(|it| at(it, "/spec/selector") == at(object, "/spec/selector"))
            .filter(|it| at(it, "/spec/maxUnavailable") == &json!(1))
            .count();
        if budgets != usize::from(least > 1) {
            faults.push(format!("{title}: {budgets} budgets keep {least} processes"));
        }
    }
    faults
}

pub(super) const ROLLOUT: &[fn(&mut Case) -> bool] = &[
    |case| deployment(case, "/spec/strategy/rollingUpdate/maxUnavailable", json!(1)),
    |case| {
        deployment(
            case,
            "/spec/template/spec/terminationGracePeriodSeconds",
            json!(60),
        )
    },
    |case| deployment(case, &format!("{CONTAINER}/lifecycle"), Value::Null),
    |case| {
        deployment(
            case,
            "/spec/template/spec/topologySpreadConstraints/0/topologyKey",
            json!("zone"),
        )
    },
    |case| {
        deployment(
            case,
            "/spec/template/metadata/annotations/checksum~1region",
            json!(""),
        )
    },
    |case| {
        let before = case.objects.len();
        case.objects.retain(|it| kind(it) != "PodDisruptionBudget");
        case.objects.len() < before
    },
];

pub(super) fn image(case: &Case) -> Vec<String> {
    let deployment = &case.file.deployment;
    let right = json!(format!(
        "{}@{}",
        deployment.image_repository, deployment.image_digest
    ));
    containers(case)
        .flat_map(|(title, _, container)| wanted(&title, container, &[("/image", right.clone())]))
        .collect()
}

pub(super) const IMAGE: &[fn(&mut Case) -> bool] = &[|case| {
    pod(
        case,
        "/containers/0/image",
        json!("registry.eu.example.com/domicile:latest"),
    )
}];
