//! Whether Kubernetes would take the objects: its own against its schemas, those of operators against cut-down ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::case::Case;
use super::object::{kind, title};
use super::tools::{Tools, files};
use crate::run::{Failure, Outcome};

/// Every fault of every object, each object once.
pub(super) fn check(tools: &Tools, cases: &[Case]) -> Outcome<Vec<String>> {
    let schemas = schemas()?;
    let mut seen = BTreeSet::new();
    let mut builtin = Vec::new();
    let mut faults = Vec::new();
    for case in cases {
        for object in &case.objects {
            if !seen.insert(object.to_string()) {
                continue;
            }
            let origin = format!("{}: {}", case.name, title(object));
            match schemas.get(kind(object)) {
                Some(schema) => faults.extend(
                    schema
                        .iter_errors(object)
                        .map(|error| format!("{origin}: {}: {error}", error.instance_path())),
                ),
                None => builtin.push(json!([origin, object])),
            }
        }
    }
    faults.extend(valid(tools, &builtin)?);
    faults.extend(toothless(tools, &schemas, cases)?);
    Ok(faults)
}

fn valid(tools: &Tools, objects: &[Value]) -> Outcome<Vec<String>> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), serde_json::to_vec(objects)?)?;
    tools.validate(file.path())
}

/// A schema that takes an object with a field that does not exist checks nothing.
fn toothless(
    tools: &Tools,
    schemas: &BTreeMap<String, jsonschema::Validator>,
    cases: &[Case],
) -> Outcome<Vec<String>> {
    let mut broken = BTreeMap::new();
    for object in cases.iter().flat_map(|case| &case.objects) {
        let mut object = object.clone();
        let place = if object.get("spec").is_some() { "/spec" } else { "" };
        if let Some(members) = object.pointer_mut(place).and_then(Value::as_object_mut) {
            members.insert("bogus".to_owned(), json!({"field": 1}));
        }
        broken.insert(kind(&object).to_owned(), object);
    }
    let mut faults = Vec::new();
    let mut builtin = Vec::new();
    for (kind, object) in &broken {
        match schemas.get(kind) {
            Some(schema) if schema.is_valid(object) => {
                faults.push(format!("the schema of {kind} takes anything"));
            }
            Some(_) => {}
            None => builtin.push(json!([kind, object])),
        }
    }
    let refused = valid(tools, &builtin)?;
    for object in &builtin {
        let kind = object.get(0).and_then(Value::as_str).unwrap_or_default();
        if !refused
            .iter()
            .any(|fault| fault.starts_with(&format!("{kind}: ")))
        {
            faults.push(format!("Kubernetes' schema of {kind} takes anything"));
        }
    }
    Ok(faults)
}

fn schemas() -> Outcome<BTreeMap<String, jsonschema::Validator>> {
    let mut schemas = BTreeMap::new();
    for file in files("tests/helm/schemas", "json")? {
        let kind = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let schema: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let validator =
            jsonschema::draft7::new(&schema).map_err(|error| Failure(format!("{kind}: {error}")))?;
        schemas.insert(kind, validator);
    }
    Ok(schemas)
}
