//! That the objects say what the region's file says, and nothing of another region.

use std::collections::{BTreeMap, BTreeSet};

use domicile_region::environment::{Value as Setting, is_same, variables};
use domicile_region::{Directory, RegionFile, Source, check_alone};
use serde_json::{Value, json};

use super::super::case::{Case, region_text};
use super::super::object::{at, kind, list, name, pods, pods_mut, text, texts, title};

/// Where secrets are mounted: a folder for each, with a file for each key.
const SECRETS_FOLDER: &str = "/etc/domicile/secrets";

/// The objects whose processes read the region's settings: all but the test.
fn configured(case: &Case) -> impl Iterator<Item = (&Value, &Value)> {
    case.of(&["Deployment", "Job"])
        .filter_map(|it| Some((it, pods(it)?)))
}

/// The environment by the region's file: names, and values or the files of secrets.
fn settings(file: &RegionFile) -> BTreeMap<String, String> {
    variables(file)
        .into_iter()
        .map(|variable| match variable.value {
            Setting::Text(value) => (variable.name.to_owned(), value),
            Setting::Secret(secret) => {
                let path = format!("{SECRETS_FOLDER}/{}/{}", secret.name, secret.key);
                (format!("{}_FILE", variable.name), path)
            }
        })
        .collect()
}

pub(super) fn environment(case: &Case) -> Vec<String> {
    let right = settings(&case.file);
    let mut faults = Vec::new();
    for (object, pod) in configured(case) {
        let title = title(object);
        for container in list(pod, "/containers") {
            let mut there = BTreeMap::new();
            for variable in list(container, "/env") {
                // Kubernetes reads `$$(` as `$(`.
                let value = text(variable, "/value").replace("$$(", "$(");
                if there.insert(text(variable, "/name").to_owned(), value).is_some() {
                    faults.push(format!("{title}: {} is set twice", text(variable, "/name")));
                }
                if variable.get("valueFrom").is_some() {
                    faults.push(format!(
                        "{title}: {} comes from elsewhere",
                        text(variable, "/name")
                    ));
                }
            }
            if container.get("envFrom").is_some() {
                faults.push(format!("{title}: variables come from elsewhere"));
            }
            for name in right.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
                let (wanted, found) = (right.get(name), there.get(name));
                let same = match (wanted, found) {
                    (Some(wanted), Some(found)) => is_same(name, wanted, found),
                    (wanted, found) => wanted == found,
                };
                if !same {
                    faults.push(format!(
                        "{title}: {name} is {found:?}, and by the region's file {wanted:?}"
                    ));
                }
            }
        }
    }
    faults
}

fn variable(case: &mut Case, change: fn(&mut Vec<Value>)) -> bool {
    case.change(|object| {
        kind(object) == "Deployment"
            && pods_mut(object)
                .and_then(|pod| pod.pointer_mut("/containers/0/env"))
                .and_then(Value::as_array_mut)
                .is_some_and(|list| {
                    change(list);
                    true
                })
    })
}

pub(super) const ENVIRONMENT: &[fn(&mut Case) -> bool] = &[
    |case| variable(case, |list| drop(list.pop())),
    |case| {
        variable(case, |list| {
            list.push(json!({"name": "DOMICILE_EXTRA", "value": "1"}));
        })
    },
    |case| variable(case, |list| list[0]["value"] = json!("xx")),
    |case| variable(case, |list| list.push(list[0].clone())),
];

pub(super) fn handed(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for (object, pod) in configured(case) {
        let title = title(object);
        let config = list(pod, "/volumes")
            .iter()
            .find(|it| text(it, "/name") == "region")
            .map_or("", |it| text(it, "/configMap/name"));
        let Some(config) = case.of(&["ConfigMap"]).find(|it| name(it) == config) else {
            faults.push(format!("{title}: there is no ConfigMap {config}"));
            continue;
        };
        let source = Source {
            name: title.clone(),
            text: region_text(config, "region.yaml").to_owned(),
        };
        match check_alone(&source) {
            Ok(document) if document.file.digest() != case.file.digest() => {
                faults.push(format!("{title}: the file that it is handed says something else"));
            }
            Ok(_) => {}
            Err(findings) => faults.push(format!(
                "{title}: the file that it is handed is wrong: {findings}"
            )),
        }
        match Directory::parse(region_text(config, "directory.yaml")) {
            Ok(directory) => {
                let ids: BTreeSet<_> = directory.regions().iter().map(|it| it.id.to_string()).collect();
                let mut right = BTreeSet::from([case.file.region.id.clone()]);
                if case.listed {
                    right.extend(case.others.iter().map(|other| other.region.id.clone()));
                }
                if ids != right {
                    faults.push(format!("{title}: the list of regions is {ids:?}"));
                }
            }
            Err(findings) => faults.push(format!("{title}: the list of regions is wrong: {findings}")),
        }
        faults.extend(mounts(case, &title, pod));
    }
    faults
}

/// Each file that the environment names must be mounted there.
fn mounts(case: &Case, title: &str, pod: &Value) -> Vec<String> {
    let mut files = BTreeSet::new();
    for mount in list(pod, "/containers/0/volumeMounts") {
        let volume = list(pod, "/volumes")
            .iter()
            .find(|it| text(it, "/name") == text(mount, "/name"));
        let place = text(mount, "/mountPath");
        match (volume, text(mount, "/subPath")) {
            (Some(_), key) if !key.is_empty() => drop(files.insert(format!("{place}={key}"))),
            (Some(volume), _) => {
                for source in list(volume, "/projected/sources") {
                    let secret = text(source, "/secret/name");
                    for item in list(source, "/secret/items") {
                        let from = format!("{secret}/{}", text(item, "/key"));
                        if text(item, "/path") == from {
                            files.insert(format!("{place}/{from}"));
                        }
                    }
                    let token = text(source, "/serviceAccountToken/path");
                    files.insert(format!("{place}/{token}"));
                }
                for item in list(volume, "/secret/items") {
                    files.insert(format!("{place}/{}", text(item, "/path")));
                }
            }
            (None, _) => {}
        }
    }
    let region = &case.file.region;
    let mut wanted = vec![
        format!("{}=region.yaml", region.file),
        format!("{}=directory.yaml", region.directory_file),
    ];
    let settings = settings(&case.file);
    wanted.extend(
        settings
            .iter()
            .filter(|(name, value)| value.starts_with('/') && !name.starts_with("DOMICILE_REGION_"))
            .map(|(_, value)| value.clone()),
    );
    let chart = &case.file.chart;
    if chart.postgres.enabled || chart.database_ca.is_some() {
        wanted.push("/etc/domicile/database/ca.crt".to_owned());
    }
    wanted.retain(|file| !files.contains(file));
    wanted
        .into_iter()
        .map(|file| format!("{title}: {file} is not mounted"))
        .collect()
}

fn config(case: &mut Case, key: &str, change: fn(&str) -> String) -> bool {
    case.change(|object| {
        object.pointer_mut(&format!("/data/{key}")).is_some_and(|text| {
            *text = json!(change(text.as_str().unwrap_or_default()));
            true
        })
    })
}

pub(super) const HANDED: &[fn(&mut Case) -> bool] = &[
    |case| {
        config(case, "region.yaml", |text| {
            text.replace("deadlineSeconds", "deadlineSecond")
        })
    },
    |case| {
        config(case, "region.yaml", |text| {
            text.replace("unknownCluster: refuse", "unknownCluster: allow")
        })
    },
    |case| config(case, "directory.yaml", |text| text.replace("- id", "- ib")),
    |case| {
        case.change(|object| {
            kind(object) == "Deployment"
                && pods_mut(object)
                    .and_then(|pod| pod.pointer_mut("/volumes/1/projected/sources"))
                    .and_then(Value::as_array_mut)
                    .is_some_and(|sources| sources.pop().is_some())
        })
    },
];

pub(super) fn secrets(case: &Case) -> Vec<String> {
    let secret: BTreeSet<_> = variables(&case.file)
        .into_iter()
        .filter(|it| matches!(it.value, Setting::Secret(_)))
        .map(|it| it.name)
        .collect();
    let mut faults: Vec<_> = case
        .of(&["Secret"])
        .map(|it| format!("{} is rendered", title(it)))
        .collect();
    for object in &case.objects {
        if let Some(pod) = pods(object) {
            let environment = list(pod, "/containers").iter().flat_map(|it| list(it, "/env"));
            faults.extend(
                environment
                    .filter(|it| secret.contains(text(it, "/name")))
                    .map(|it| format!("{}: {} is no file", title(object), text(it, "/name"))),
            );
        }
        let mut found = Vec::new();
        texts(object, &mut found);
        for text in found {
            let is_secret = ["-----BEGIN", "whsec_", "AKIA", "ASIA", "eyJ"]
                .iter()
                .any(|it| text.contains(it));
            let is_login = text.split("://").skip(1).any(|rest| {
                let ends = ['/', '?', '#', '\n', ' ', '"', '\'', ',', ')', '`'];
                rest.split(ends).next().unwrap_or_default().contains('@')
            });
            if is_secret || is_login {
                faults.push(format!("{}: it holds a secret", title(object)));
            }
        }
    }
    faults
}

pub(super) const SECRETS: &[fn(&mut Case) -> bool] = &[
    |case| {
        variable(case, |list| {
            list.push(json!({"name": "DOMICILE_DATABASE_URL", "value": "x"}));
        })
    },
    |case| {
        variable(case, |list| {
            list.push(json!({"name": "X", "value": "postgres://a:b@host/name"}));
        })
    },
    |case| {
        config(case, "region.yaml", |text| {
            format!("{text}\n# whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
        })
    },
    |case| {
        case.objects
            .push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}));
        true
    },
];

/// What is another region's own and must not be found here.
fn own(file: &RegionFile) -> Vec<String> {
    let value = serde_json::to_value(file).unwrap_or_default();
    let mut own = vec![
        file.deployment.namespace.clone(),
        file.deployment.cluster_context.clone(),
        file.database.name.clone(),
        file.objects.url.clone(),
        format!(".{}.example.com", file.region.id),
        file.region.name.clone(),
    ];
    for (_, app) in file.zoom.apps.named() {
        own.extend([app.app_id.clone(), app.client_id.clone()]);
    }
    own.extend(file.vault.keys.iter().map(|key| key.id.clone()));
    own.extend(file.secrets().into_iter().map(|(_, secret)| secret.name.clone()));
    let account = text(&value, "/objects/credentials/webIdentity/roleArn");
    own.extend((!account.is_empty()).then(|| account.to_owned()));
    own
}

pub(super) fn alone(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    for object in &case.objects {
        let mut object = object.clone();
        // The list of regions is what customers see of the others, where it was handed in.
        if case.listed
            && let Some(data) = object.pointer_mut("/data").and_then(Value::as_object_mut)
        {
            data.remove("directory.yaml");
        }
        let mut found = Vec::new();
        texts(&object, &mut found);
        for other in &case.others {
            for theirs in own(other) {
                if found.iter().any(|text| text.contains(&theirs)) {
                    faults.push(format!(
                        "{}: it names {theirs} of {}",
                        title(&object),
                        other.region.id
                    ));
                }
            }
        }
    }
    faults
}

pub(super) const ALONE: &[fn(&mut Case) -> bool] = &[
    |case| {
        let Some(other) = case.others.first().map(|it| it.deployment.namespace.clone()) else {
            return false;
        };
        case.change(|object| {
            object
                .pointer_mut("/metadata/labels/app.kubernetes.io~1part-of")
                .is_some_and(|it| {
                    *it = json!(other);
                    true
                })
        })
    },
    |case| {
        config(case, "region.yaml", |text| {
            format!("{text}\nx: https://zoom.uk.example.com https://zoom.us.example.com")
        })
    },
];

pub(super) fn external(case: &Case) -> Vec<String> {
    let chart = &case.file.chart;
    let mut right = BTreeSet::new();
    if chart.external_secrets.enabled {
        for (_, secret) in case.file.secrets() {
            right.insert(format!("{}/{}", secret.name, secret.key));
        }
        if chart.postgres.enabled {
            let name = &case.file.database.url_secret.name;
            right.extend(["username", "password"].map(|key| format!("{name}/{key}")));
        }
    }
    let prefix = chart.external_secrets.prefix.clone().unwrap_or_default();
    let mut found = BTreeSet::new();
    let mut faults = Vec::new();
    for object in case.of(&["ExternalSecret"]) {
        if text(object, "/spec/secretStoreRef/kind") != "SecretStore"
            || name(object) != text(object, "/spec/target/name")
        {
            faults.push(format!(
                "{}: its store or its target is not its own",
                title(object)
            ));
        }
        for item in list(object, "/spec/data") {
            let key = text(item, "/secretKey");
            if at(item, "/remoteRef") != &json!({"key": format!("{prefix}{}", name(object)), "property": key})
            {
                faults.push(format!("{}: {key} is read elsewhere", title(object)));
            }
            found.insert(format!("{}/{key}", name(object)));
        }
    }
    faults.extend(
        right
            .symmetric_difference(&found)
            .map(|it| format!("{it} is missing or too much")),
    );
    faults
}

pub(super) const EXTERNAL: &[fn(&mut Case) -> bool] = &[
    |case| {
        case.change(|object| {
            kind(object) == "ExternalSecret"
                && object
                    .pointer_mut("/spec/data")
                    .and_then(Value::as_array_mut)
                    .is_some_and(|it| it.pop().is_some())
        })
    },
    |case| {
        case.change(|object| {
            object.pointer_mut("/spec/secretStoreRef/kind").is_some_and(|it| {
                *it = json!("ClusterSecretStore");
                true
            })
        })
    },
];
