//! Connections: what may go out, who may come in, and that one object leads to another that is there.

use std::collections::BTreeSet;

use domicile_region::egress::{Destination, destinations};
use serde_json::{Value, json};

use super::super::case::Case;
use super::super::object::{at, kind, list, name, pod_labels, pods, selects, text, title};

/// One thing that may be called, as text: a namespace, a name, an address or the whole of the Internet, with its port.
type Rules = BTreeSet<String>;

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(
        || value.as_str().unwrap_or_default().to_owned(),
        |it| it.to_string(),
    )
}

/// What a plain policy can say of the list: Services by their namespace, everything else by its port.
fn plain_rules(case: &Case) -> Rules {
    let private = &case.file.chart.network_policy.private_cidrs;
    let mut rules = name_service();
    for Destination {
        host,
        port,
        and_below,
    } in destinations(&case.file)
    {
        let destination = Destination {
            host,
            port,
            and_below,
        };
        match destination.namespace() {
            Some(namespace) => drop(rules.insert(format!("namespace {namespace} {port}"))),
            None => {
                for network in ["0.0.0.0/0", "2000::/3"]
                    .into_iter()
                    .chain(private.iter().map(String::as_str))
                {
                    rules.insert(format!("network {network} {port}"));
                }
            }
        }
    }
    rules
}

fn name_service() -> Rules {
    Rules::from(["names 53".to_owned()])
}

/// Address blocks of IPv4 that no packet may leave for unless they were named.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "100.64.0.0/10",
];

fn plain(policy: &Value, faults: &mut Vec<String>) -> Rules {
    let mut rules = Rules::new();
    for rule in list(policy, "/spec/egress") {
        let ports: Vec<_> = list(rule, "/ports")
            .iter()
            .map(|it| number(at(it, "/port")))
            .collect();
        if list(rule, "/to").is_empty() || ports.is_empty() {
            faults.push(format!("{}: a rule leads everywhere", title(policy)));
        }
        for (to, port) in list(rule, "/to")
            .iter()
            .flat_map(|to| ports.iter().map(move |port| (to, port)))
        {
            let network = text(to, "/ipBlock/cidr");
            let namespace = text(to, "/namespaceSelector/matchLabels/kubernetes.io~1metadata.name");
            if !network.is_empty() {
                let except: Vec<_> = list(to, "/ipBlock/except")
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                if network == "0.0.0.0/0" && !PRIVATE.iter().all(|it| except.contains(it)) {
                    faults.push(format!("{}: private networks may be called", title(policy)));
                }
                rules.insert(format!("network {network} {port}"));
            } else if text(to, "/podSelector/matchLabels/k8s-app") == "kube-dns" && namespace == "kube-system"
            {
                rules.insert(format!("names {port}"));
            } else if !namespace.is_empty() && to.get("podSelector").is_none() {
                rules.insert(format!("namespace {namespace} {port}"));
            } else {
                rules.insert(format!("{to} {port}"));
            }
        }
    }
    rules
}

fn cilium_rules(case: &Case) -> Rules {
    let mut rules = name_service();
    for destination in destinations(&case.file) {
        let Destination {
            host,
            port,
            and_below,
        } = &destination;
        if let Some(namespace) = destination.namespace() {
            rules.insert(format!("namespace {namespace} {port}"));
        } else if host.parse::<std::net::Ipv4Addr>().is_ok() {
            rules.insert(format!("network {host}/32 {port}"));
        } else {
            rules.insert(format!("name {host} {port}"));
            if *and_below {
                rules.insert(format!("name *.{host} {port}"));
                rules.insert(format!("name *.*.{host} {port}"));
            }
        }
    }
    rules
}

fn cilium(policy: &Value) -> Rules {
    let mut rules = Rules::new();
    for rule in list(policy, "/spec/egress") {
        let ports = list(rule, "/toPorts").iter().flat_map(|it| list(it, "/ports"));
        for port in ports.map(|it| number(at(it, "/port"))) {
            for to in list(rule, "/toFQDNs") {
                let names = [text(to, "/matchName"), text(to, "/matchPattern")];
                rules.insert(format!("name {} {port}", names.concat()));
            }
            for network in list(rule, "/toCIDR").iter().filter_map(Value::as_str) {
                rules.insert(format!("network {network} {port}"));
            }
            for to in list(rule, "/toEndpoints") {
                let labels = at(to, "/matchLabels");
                let namespace = labels
                    .get("k8s:io.kubernetes.pod.namespace")
                    .and_then(Value::as_str);
                let is_names = labels.get("k8s:k8s-app") == Some(&json!("kube-dns"));
                rules.insert(match namespace {
                    Some("kube-system") if is_names => format!("names {port}"),
                    Some(namespace) => format!("namespace {namespace} {port}"),
                    None => format!("{to} {port}"),
                });
            }
            let targets = ["toFQDNs", "toCIDR", "toEndpoints"];
            if rule.as_object().is_some_and(|rule| {
                rule.keys()
                    .any(|key| key != "toPorts" && !targets.contains(&key.as_str()))
                    || !targets.iter().any(|target| rule.contains_key(*target))
            }) {
                rules.insert(format!("elsewhere {port}"));
            }
        }
    }
    rules
}

pub(super) fn egress(case: &Case) -> Vec<String> {
    let settings = &case.file.chart.network_policy;
    let mut faults = Vec::new();
    for object in case.of(&["Deployment", "Job", "Pod"]) {
        let labels = pod_labels(object);
        let is_service = kind(object) == "Deployment";
        let policies: Vec<_> = case
            .of(&["NetworkPolicy", "CiliumNetworkPolicy"])
            .filter(|it| {
                selects(at(it, "/spec/podSelector/matchLabels"), labels)
                    || selects(at(it, "/spec/endpointSelector/matchLabels"), labels)
            })
            .collect();
        let [policy] = policies.as_slice() else {
            if settings.enabled || !policies.is_empty() {
                faults.push(format!(
                    "{}: {} policies are for its pods",
                    title(object),
                    policies.len()
                ));
            }
            continue;
        };
        let (found, wanted) = match kind(policy) {
            "CiliumNetworkPolicy" => (cilium(policy), cilium_rules(case)),
            _ if kind(object) == "Pod" => {
                let mut ours = name_service();
                let port = case.file.http.ops_listen.rsplit(':').next().unwrap_or_default();
                let selector = list(policy, "/spec/egress")
                    .last()
                    .map_or(&Value::Null, |it| at(it, "/to/0"));
                let reached = case
                    .of(&["Deployment"])
                    .all(|it| selects(at(selector, "/podSelector/matchLabels"), pod_labels(it)));
                if !reached {
                    faults.push(format!(
                        "{}: it leads elsewhere than to the service",
                        title(policy)
                    ));
                }
                ours.insert(format!("{selector} {port}"));
                (plain(policy, &mut faults), ours)
            }
            _ => (plain(policy, &mut faults), plain_rules(case)),
        };
        if is_service && (kind(policy) == "CiliumNetworkPolicy") != settings.cilium {
            faults.push(format!("{}: its policy is of the wrong kind", title(object)));
        }
        if kind(policy) == "NetworkPolicy" && at(policy, "/spec/policyTypes") != &json!(["Ingress", "Egress"])
        {
            faults.push(format!("{}: it is not for both directions", title(policy)));
        }
        for rule in found.symmetric_difference(&wanted) {
            let what = if found.contains(rule) {
                "is too much"
            } else {
                "is missing"
            };
            faults.push(format!("{}: {rule} {what}", title(policy)));
        }
    }
    faults
}

fn policy(case: &mut Case, kinds: &[&str], place: &str, change: fn(&mut Vec<Value>)) -> bool {
    case.change(|object| {
        kinds.contains(&kind(object))
            && object
                .pointer_mut(place)
                .and_then(Value::as_array_mut)
                .filter(|it| !it.is_empty())
                .is_some_and(|it| {
                    change(it);
                    true
                })
    })
}

pub(super) const EGRESS: &[fn(&mut Case) -> bool] = &[
    |case| {
        policy(
            case,
            &["NetworkPolicy", "CiliumNetworkPolicy"],
            "/spec/egress",
            |it| drop(it.pop()),
        )
    },
    |case| policy(case, &["NetworkPolicy"], "/spec/egress", |it| it.push(json!({}))),
    |case| {
        policy(case, &["NetworkPolicy"], "/spec/egress", |it| {
            it.push(json!({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}));
        })
    },
    |case| {
        policy(case, &["CiliumNetworkPolicy"], "/spec/egress", |it| {
            it.push(
                json!({"toFQDNs": [{"matchName": "example.org"}], "toPorts": [{"ports": [{"port": "443"}]}]}),
            );
        })
    },
    |case| {
        policy(case, &["CiliumNetworkPolicy"], "/spec/egress", |it| {
            it.push(json!({"toEntities": ["world"], "toPorts": [{"ports": [{"port": "443"}]}]}));
        })
    },
    |case| policy(case, &["NetworkPolicy"], "/spec/policyTypes", |it| drop(it.pop())),
    |case| {
        let before = case.objects.len();
        case.objects.retain(|it| !kind(it).ends_with("NetworkPolicy"));
        case.objects.len() < before
    },
];

pub(super) fn ingress(case: &Case) -> Vec<String> {
    let (file, settings) = (&case.file, &case.file.chart.network_policy);
    let own = std::slice::from_ref(&file.deployment.namespace);
    let mut faults = Vec::new();
    let mut wanted = Rules::new();
    for (listen, from, or) in [
        (&file.http.public_listen, &settings.public_from, None),
        (&file.http.app_listen, &settings.app_from, Some(own)),
        (&file.http.ops_listen, &settings.ops_from, Some(own)),
    ] {
        let port = listen.rsplit(':').next().unwrap_or_default();
        wanted.extend(
            from.iter()
                .chain(or.unwrap_or_default())
                .map(|it| format!("{it} {port}")),
        );
        if from.is_empty() && or.is_none() {
            wanted.insert(format!("everybody {port}"));
        }
    }
    for object in case.of(&["NetworkPolicy", "CiliumNetworkPolicy"]) {
        let mut found = Rules::new();
        let is_plain = kind(object) == "NetworkPolicy";
        for rule in list(object, "/spec/ingress") {
            let ports: Vec<_> = if is_plain {
                list(rule, "/ports").iter().collect()
            } else {
                list(rule, "/toPorts")
                    .iter()
                    .flat_map(|it| list(it, "/ports"))
                    .collect()
            };
            let mut from: Vec<String> = Vec::new();
            for it in list(rule, "/from") {
                from.push(text(it, "/namespaceSelector/matchLabels/kubernetes.io~1metadata.name").to_owned());
            }
            for it in list(rule, "/fromEndpoints") {
                from.push(text(it, "/matchLabels/k8s:io.kubernetes.pod.namespace").to_owned());
            }
            let everybody = at(rule, "/fromEntities") == &json!(["all"]);
            let nodes = at(rule, "/fromEntities") == &json!(["host", "remote-node"]);
            if (is_plain && rule.get("from").is_none()) || everybody {
                from.push("everybody".to_owned());
            } else if nodes {
                from.push("nodes".to_owned());
            }
            for (from, port) in from
                .iter()
                .flat_map(|it| ports.iter().map(move |port| (it, port)))
            {
                found.insert(format!("{from} {}", number(at(port, "/port"))));
            }
            if ports.is_empty() || from.is_empty() {
                found.insert("a rule without limits".to_owned());
            }
        }
        let mut right = Rules::new();
        // Those of the migration and of the test have no rule: nobody calls them.
        if name(object) == text(object, "/metadata/labels/app.kubernetes.io~1instance")
            || text(object, "/metadata/labels/app.kubernetes.io~1component") == "network"
        {
            right.clone_from(&wanted);
            if !is_plain {
                right.insert(format!(
                    "nodes {}",
                    file.http.ops_listen.rsplit(':').next().unwrap_or_default()
                ));
            }
        }
        for rule in found.symmetric_difference(&right) {
            let what = if found.contains(rule) {
                "is too much"
            } else {
                "is missing"
            };
            faults.push(format!("{}: from {rule} {what}", title(object)));
        }
    }
    faults
}

pub(super) const INGRESS: &[fn(&mut Case) -> bool] = &[
    |case| {
        policy(
            case,
            &["NetworkPolicy", "CiliumNetworkPolicy"],
            "/spec/ingress",
            |it| it.push(json!({})),
        )
    },
    |case| {
        policy(
            case,
            &["NetworkPolicy", "CiliumNetworkPolicy"],
            "/spec/ingress",
            |it| drop(it.pop()),
        )
    },
];

pub(super) fn references(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    let there = |kind: &str, wanted: &str| case.of(&[kind]).any(|it| name(it) == wanted);
    for service in case.of(&["Service"]) {
        let selector = at(service, "/spec/selector");
        let port = text(service, "/spec/ports/0/targetPort");
        let listening = |it: &&Value| {
            list(it, "/spec/template/spec/containers/0/ports")
                .iter()
                .any(|it| text(it, "/name") == port)
        };
        let selected: Vec<_> = case
            .objects
            .iter()
            .filter(|it| pods(it).is_some() && selects(selector, pod_labels(it)))
            .collect();
        let right = case.of(&["Deployment"]).filter(listening).count();
        if selected.is_empty() || selected.len() != right || !selected.iter().all(listening) {
            let names: Vec<_> = selected.iter().map(|it| title(it)).collect();
            faults.push(format!("{}: it leads to {names:?}", title(service)));
        }
    }
    for object in &case.objects {
        let title = title(object);
        let mut missing = Vec::new();
        let mut asks = |kind: &str, wanted: &str| {
            if !there(kind, wanted) {
                missing.push(format!("{title}: there is no {kind} {wanted}"));
            }
        };
        match kind(object) {
            "HorizontalPodAutoscaler" => asks("Deployment", text(object, "/spec/scaleTargetRef/name")),
            "Ingress" => {
                let path = "/spec/rules/0/http/paths/0/backend/service";
                asks("Service", text(object, &format!("{path}/name")));
                let listener = text(object, &format!("{path}/port/name"));
                let host = text(object, "/spec/rules/0/host");
                let app = case.file.chart.ingress.app.as_ref().map(|it| it.host.as_str());
                let right = if listener == "public" { host_of(case) } else { app };
                if right != Some(host) || !["public", "app"].contains(&listener) {
                    faults.push(format!("{title}: {host} leads to {listener}"));
                }
            }
            "HTTPRoute" => {
                asks("Service", text(object, "/spec/rules/0/backendRefs/0/name"));
                if at(object, "/spec/hostnames") != &json!([host_of(case)])
                    || !text(object, "/spec/rules/0/backendRefs/0/name").ends_with("-public")
                {
                    faults.push(format!(
                        "{title}: it leads elsewhere than from the public host to the public listener"
                    ));
                }
            }
            "ServiceMonitor" => {
                let selected: Vec<_> = case
                    .of(&["Service"])
                    .filter(|it| {
                        selects(
                            at(object, "/spec/selector/matchLabels"),
                            at(it, "/metadata/labels"),
                        )
                    })
                    .map(name)
                    .collect();
                let ops = selected.len() == 1 && selected.iter().all(|it| it.ends_with("-ops"));
                if !ops || text(object, "/spec/endpoints/0/port") != "ops" {
                    faults.push(format!("{title}: it scrapes {selected:?}"));
                }
            }
            "ScheduledBackup" => {
                asks("Cluster", text(object, "/spec/cluster/name"));
            }
            "Cluster" => {
                if let Some(plugin) = list(object, "/spec/plugins").first() {
                    asks("ObjectStore", text(plugin, "/parameters/barmanObjectName"));
                }
                let service = format!("{}-rw.{}.svc", name(object), case.file.deployment.namespace);
                if case.file.database.host.trim_end_matches(".cluster.local") != service
                    || text(object, "/spec/bootstrap/initdb/database") != case.file.database.name
                {
                    faults.push(format!("{title}: it is not the database of the file"));
                }
            }
            "Pod" => {
                let address = text(object, "/spec/containers/0/args/1");
                let (service, port) = address.split_once(':').unwrap_or_default();
                asks("Service", service);
                if port != "9090" || !service.ends_with("-ops") {
                    faults.push(format!("{title}: it asks {address}"));
                }
            }
            _ => {}
        }
        if let Some(pod) = pods(object) {
            asks("ServiceAccount", text(pod, "/serviceAccountName"));
        }
        faults.extend(missing);
    }
    faults
}

fn host_of(case: &Case) -> Option<&str> {
    case.file.base_url().strip_prefix("https://")
}

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is called")]
fn set(case: &mut Case, wanted: &str, place: &str, to: Value) -> bool {
    case.change(|object| {
        kind(object) == wanted
            && object.pointer_mut(place).is_some_and(|it| {
                *it = to.clone();
                true
            })
    })
}

pub(super) const REFERENCES: &[fn(&mut Case) -> bool] = &[
    |case| {
        set(
            case,
            "Service",
            "/spec/selector/app.kubernetes.io~1component",
            json!("worker"),
        )
    },
    |case| {
        set(
            case,
            "Service",
            "/spec/selector",
            json!({"app.kubernetes.io/part-of": "domicile"}),
        )
    },
    |case| set(case, "Service", "/spec/ports/0/targetPort", json!("http")),
    |case| {
        set(
            case,
            "HorizontalPodAutoscaler",
            "/spec/scaleTargetRef/name",
            json!("a"),
        )
    },
    |case| {
        set(
            case,
            "Ingress",
            "/spec/rules/0/http/paths/0/backend/service/port/name",
            json!("ops"),
        )
    },
    |case| set(case, "HTTPRoute", "/spec/hostnames", json!(["*"])),
    |case| {
        set(
            case,
            "ServiceMonitor",
            "/spec/selector/matchLabels",
            json!({"app.kubernetes.io/name": "domicile"}),
        )
    },
    |case| set(case, "ScheduledBackup", "/spec/cluster/name", json!("a")),
    |case| set(case, "Cluster", "/metadata/name", json!("a")),
    |case| set(case, "Pod", "/spec/containers/0/args/1", json!("a:9090")),
    |case| {
        set(
            case,
            "Deployment",
            "/spec/template/spec/serviceAccountName",
            json!("default"),
        )
    },
];
