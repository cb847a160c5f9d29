//! The JSON Schema of the region files, and what the Helm chart derives from it.

use std::fmt::Write;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::file::RegionFile;

/// The schema of `regions/<id>.yaml`, as committed beside the files.
pub fn schema() -> String {
    // `{:#}` writes JSON with indentation.
    format!("{:#}\n", root())
}

fn root() -> Value {
    let mut schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<RegionFile>();
    schema.insert("title".to_owned(), "A region of Domicile".into());
    serde_json::to_value(&schema).unwrap_or_default()
}

/// The schema of the Helm chart's values: a region's file, and beside it the public list of all regions.
pub fn values_schema() -> String {
    let mut schema = root();
    let text = json!({"type": "string"});
    let entry = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "name", "install_url"],
        "properties": {
            "id": text,
            "name": text,
            "install_url": text,
            "zoom_clusters": {"type": "array", "items": text}
        }
    });
    if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
        let regions = json!({
            "description": "The public list of all regions, as regions/directory.yaml holds it.",
            "type": "array",
            "items": entry
        });
        properties.insert("regions".to_owned(), regions);
        // Helm itself puts it there.
        properties.insert("global".to_owned(), json!({"type": "object"}));
    }
    format!("{schema:#}\n")
}

/// The Helm chart's own values: every default of a region's file, each under what it means.
pub fn values() -> String {
    let schema = root();
    let mut text = "# The defaults of a region's file, which is the rest of the values: `-f regions/<id>.yaml`.\n\
                    # Written from the types of the crate region by `cargo xtask gen`; what is behind `#` has no default.\n"
        .to_owned();
    section(&schema, &schema, None, 0, &mut text);
    text
}

/// Writes the members of an object that have a default, or hold one; true where there are any.
fn section(root: &Value, schema: &Value, defaults: Option<&Value>, depth: usize, text: &mut String) -> bool {
    let mut any = false;
    let nothing = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&nothing);
    for (name, property) in properties {
        let target = resolved(root, property);
        let default = defaults.and_then(|it| it.get(name)).or(property.get("default"));
        let known = target["properties"].is_object();
        // An optional section without a default is no part of the values.
        let required = schema["required"]
            .as_array()
            .is_some_and(|it| it.iter().any(|required| required == name));
        let mut inner = String::new();
        let (line, mut inner_any) = match default {
            Some(Value::Null) => continue,
            Some(value) if !known => (format!("{name}: {value}"), true),
            None if !known => match defaults {
                Some(_) => (format!("# {name}:"), false),
                None => continue,
            },
            None if !required => continue,
            _ => (format!("{name}:"), false),
        };
        if known {
            inner_any = section(root, target, default, depth + 1, &mut inner);
            if !inner_any {
                continue;
            }
        }
        any |= inner_any;
        let indent = "  ".repeat(depth);
        if depth == 0 {
            text.push('\n');
        }
        let meaning = [property, target]
            .into_iter()
            .find_map(|it| it["description"].as_str());
        for line in meaning
            .unwrap_or_default()
            .lines()
            .filter(|line| !line.is_empty())
        {
            // Writing into a String does not fail.
            let _ = writeln!(text, "{indent}# {line}");
        }
        let _ = writeln!(text, "{indent}{line}");
        text.push_str(&inner);
    }
    any
}

/// The definition that a property refers to.
fn resolved<'a>(root: &'a Value, property: &'a Value) -> &'a Value {
    [&property["$ref"], &property["allOf"][0]["$ref"]]
        .into_iter()
        .find_map(|it| root.pointer(it.as_str()?.strip_prefix('#')?))
        .unwrap_or(property)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_accepts_the_samples_and_refuses_what_the_types_refuse() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let validator = jsonschema::draft7::new(&schema).unwrap();
        let samples = [
            include_str!("../../../regions/eu.yaml"),
            include_str!("../../../regions/uk.yaml"),
            include_str!("../../../regions/us.yaml"),
        ];
        for sample in samples {
            let mut value: Value = serde_saphyr::from_str(sample).unwrap();
            assert!(
                validator.is_valid(&value),
                "{:?}",
                validator.iter_errors(&value).next()
            );
            for (pointer, wrong) in [
                ("/region/id", json!("EU")),
                ("/region/zoomClusters", json!([])),
                ("/deployment/imageDigest", json!("latest")),
                ("/app/apiKeys", json!("hunter2")),
                ("/app/apiKeys", json!({"name": "a", "key": "b", "value": "c"})),
                ("/zoom/apps/bot/usage", json!("both")),
            ] {
                let present = value.pointer_mut(pointer).unwrap();
                let right = std::mem::replace(present, wrong);
                assert!(!validator.is_valid(&value), "{pointer}");
                *value.pointer_mut(pointer).unwrap() = right;
            }
        }
    }

    #[test]
    fn the_charts_own_values_are_the_defaults_and_nothing_else() {
        let defaults: Value = serde_saphyr::from_str(&values()).unwrap();
        let sample: Value = serde_saphyr::from_str(include_str!("../../../regions/eu.yaml")).unwrap();
        let mut merged = defaults.clone();
        merge(&mut merged, &sample);
        let (one, other): (RegionFile, RegionFile) = (
            serde_json::from_value(sample).unwrap(),
            serde_json::from_value(merged).unwrap(),
        );
        assert_eq!(one, other);
        assert_eq!(defaults["chart"], serde_json::to_value(one.chart).unwrap());
        assert_eq!(defaults["intake"], serde_json::to_value(one.intake).unwrap());
        assert_eq!(defaults["http"]["publicListen"], json!("0.0.0.0:8080"));
    }

    /// helm merges a file over the chart's own values member by member, and serde fills in what a section leaves out: both must
    /// come to the same, whatever is left out.
    #[test]
    fn each_section_that_is_there_in_part_has_the_same_defaults_by_helm_and_by_the_types() {
        let defaults: Value = serde_saphyr::from_str(&values()).unwrap();
        let sample: Value = serde_saphyr::from_str(include_str!("../../../regions/eu.yaml")).unwrap();
        let mut sections = Vec::new();
        collect(&defaults, "", &mut sections);
        assert!(sections.len() > 15, "{sections:?}");
        for section in sections {
            let mut partial = sample.clone();
            let mut place = &mut partial;
            for part in section.split('/').skip(1) {
                place = place
                    .as_object_mut()
                    .unwrap()
                    .entry(part.to_owned())
                    .or_insert_with(|| json!({}));
            }
            let mut merged = defaults.clone();
            merge(&mut merged, &partial);
            let by_types: RegionFile = serde_json::from_value(partial).unwrap();
            let by_helm: RegionFile = serde_json::from_value(merged).unwrap();
            assert_eq!(by_types, by_helm, "{section}");
        }
    }

    fn collect(value: &Value, path: &str, sections: &mut Vec<String>) {
        for (name, member) in value.as_object().unwrap() {
            let path = format!("{path}/{name}");
            if member.as_object().is_some_and(|members| !members.is_empty()) && !path.contains("Labels") {
                collect(member, &path, sections);
                sections.push(path);
            }
        }
    }

    fn merge(into: &mut Value, from: &Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (name, value) in from {
                    merge(into.entry(name.clone()).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from.clone(),
        }
    }
}
