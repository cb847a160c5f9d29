//! What the schema of the values must refuse.

use std::fs;

use super::tools::Tools;
use crate::run::Outcome;
use crate::tree;

/// What is wrong, and the word by which helm names its place.
const WRONG: &[(&str, &str)] = &[
    ("region: {id: EU}", "id"),
    ("region: {admision: open}", "admision"),
    ("deployment: {imageDigest: latest}", "imageDigest"),
    ("deployment: {releaseOrder: third}", "releaseOrder"),
    ("app: {apiKeys: hunter2}", "apiKeys"),
    ("database: null", "database"),
    ("zoom: {apps: {linking: {usage: both}}}", "usage"),
    ("chart: {mode: both}", "mode"),
    ("chart: {serve: {replicas: 0}}", "replicas"),
    ("chart: {serve: {replicas: many}}", "replicas"),
    ("chart: {work: {autoscaling: {cpuPercent: 101}}}", "cpuPercent"),
    ("chart: {ingress: {host: zoom.eu.example.com}}", "host"),
    ("chart: {networkPolicy: {cilium: 1}}", "cilium"),
    ("chart: {postgres: {instances: 0}}", "instances"),
    ("chart: {postgres: {backup: {retention: long}}}", "retention"),
    ("chart: {migration: {retries: 99}}", "retries"),
    ("replicaCount: 3", "replicaCount"),
    ("regions: [{id: eu}]", "regions"),
];

/// The wrong values that helm takes, or does not name.
pub(super) fn check(tools: &Tools) -> Outcome<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let sample = tree::root().join("regions/eu.yaml");
    let mut faults = Vec::new();
    for (index, (wrong, place)) in WRONG.iter().enumerate() {
        let file = folder.path().join(format!("{index}.yaml"));
        fs::write(&file, wrong)?;
        match tools.template("domicile-eu", &[sample.clone(), file], false)? {
            Ok(_) => faults.push(format!("values.schema.json takes {wrong}")),
            Err(said) if said.contains("schema") && said.contains(place) => {}
            Err(said) => faults.push(format!("{wrong} is refused without naming its place: {said}")),
        }
    }
    Ok(faults)
}
