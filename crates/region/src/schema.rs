//! The JSON Schema of the region files.

use schemars::generate::SchemaSettings;

use crate::file::RegionFile;

/// The schema of `regions/<id>.yaml`, as committed beside the files.
pub fn schema() -> String {
    let mut schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<RegionFile>();
    schema.insert("title".to_owned(), "A region of Domicile".into());
    let value = serde_json::to_value(&schema).unwrap_or_default();
    // `{:#}` writes JSON with indentation.
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
}
