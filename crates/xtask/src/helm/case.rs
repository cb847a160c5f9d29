//! What is rendered: each region as it stands, and one region with each scenario, both installed and upgraded.

use std::fs;
use std::path::PathBuf;

use domicile_region::{RegionFile, Source, check_alone};
use serde::Deserialize;
use serde_json::Value;

use super::object::{at, kind};
use super::tools::{Tools, files};
use crate::run::{Failure, Outcome};
use crate::tree;

/// The region with which the scenarios are played.
const WITH: &str = "eu";

/// The list of all regions.
const DIRECTORY: &str = "directory.yaml";

/// One set of values and all that helm makes of it.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) release: String,
    pub(super) values: Vec<PathBuf>,
    pub(super) upgrade: bool,
    /// The region's file that these values are, as the crate region reads it.
    pub(super) file: RegionFile,
    /// Whether the list of all regions was handed in.
    pub(super) listed: bool,
    /// What was rendered, as text, and a second time.
    pub(super) text: String,
    pub(super) again: String,
    pub(super) objects: Vec<Value>,
    /// The files of the other regions.
    pub(super) others: Vec<RegionFile>,
}

impl Case {
    /// The objects of these kinds.
    pub(super) fn of<'a, 'k>(
        &'a self,
        kinds: &'k [&'k str],
    ) -> impl Iterator<Item = &'a Value> + use<'a, 'k> {
        self.objects.iter().filter(move |it| kinds.contains(&kind(it)))
    }

    /// Changes the first object that can be changed in this way; false where there is none.
    pub(super) fn change(&mut self, mut change: impl FnMut(&mut Value) -> bool) -> bool {
        self.objects.iter_mut().any(&mut change)
    }
}

pub(super) fn all(tools: &Tools) -> Outcome<Vec<Case>> {
    let regions = tree::root().join("regions");
    let mut samples = files("regions", "yaml")?;
    samples.retain(|file| !file.ends_with(DIRECTORY));
    let mut sets: Vec<(String, String, Vec<PathBuf>)> = Vec::new();
    for sample in &samples {
        let id = stem(sample);
        sets.push((id.clone(), format!("domicile-{id}"), vec![sample.clone()]));
    }
    let with = regions.join(format!("{WITH}.yaml"));
    for scenario in files("helm/scenarios", "yaml")? {
        let name = format!("{WITH} with {}", stem(&scenario));
        sets.push((name, format!("domicile-{WITH}"), vec![with.clone(), scenario]));
    }
    sets.push((
        format!("{WITH} with the list of all regions"),
        format!("domicile-{WITH}"),
        vec![with.clone(), regions.join(DIRECTORY)],
    ));
    // helm takes at most 53 characters.
    let long = format!("{WITH}-{}", "x".repeat(50));
    sets.push((
        format!("{WITH} under the longest name"),
        long,
        vec![with, tree::root().join("helm/scenarios/everything.yaml")],
    ));
    let mut cases = Vec::new();
    for (name, release, values) in sets {
        for upgrade in [false, true] {
            let others = samples.iter().filter(|it| !values.contains(it));
            let others = others
                .map(|it| read(&merged(std::slice::from_ref(it))?))
                .collect::<Outcome<_>>()?;
            let render = || -> Outcome<String> {
                let rendered = tools.template(&release, &values, upgrade)?;
                rendered.map_err(|said| Failure(format!("{name}: helm template: {said}")))
            };
            let text = render()?;
            cases.push(Case {
                name: if upgrade {
                    format!("{name}, upgraded")
                } else {
                    name.clone()
                },
                release: release.clone(),
                upgrade,
                file: region(&name, &values)?,
                listed: values.iter().any(|it| it.ends_with(DIRECTORY)),
                again: render()?,
                objects: objects(&text)?,
                text,
                values: values.clone(),
                others,
            });
        }
    }
    Ok(cases)
}

fn stem(file: &std::path::Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Every document that holds something.
pub(super) fn objects(text: &str) -> Outcome<Vec<Value>> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(text)?;
    objects.retain(|object| !object.is_null());
    Ok(objects)
}

/// The values without the list of all regions: a region's file in which nothing is wrong.
fn region(name: &str, values: &[PathBuf]) -> Outcome<RegionFile> {
    let mut value = merged(values)?;
    if let Some(members) = value.as_object_mut() {
        members.remove("regions");
    }
    let source = Source {
        name: name.to_owned(),
        text: value.to_string(),
    };
    match check_alone(&source) {
        Ok(document) => Ok(document.file),
        Err(findings) => Err(Failure(format!("{name} is no valid region: {findings}"))),
    }
}

fn read(value: &Value) -> Outcome<RegionFile> {
    Ok(RegionFile::deserialize(value)?)
}

/// As helm merges values: maps by their members, null takes away, everything else replaces.
fn merged(files: &[PathBuf]) -> Outcome<Value> {
    let mut all = Value::Null;
    for file in files {
        let value: Value = serde_saphyr::from_str(&fs::read_to_string(file)?)?;
        merge(&mut all, value);
    }
    Ok(all)
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                if value.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// The text of a key of the region's `ConfigMap`.
pub(super) fn region_text<'a>(object: &'a Value, key: &str) -> &'a str {
    at(object, "/data")
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
