//! `DOMICILE_REGION_FILE`: the region's own file, which no setting may contradict (INV-10).

use std::collections::BTreeMap;

use domicile_region::environment::{Value, is_same, variables};
use domicile_region::{Findings, RegionFile, Source, check_alone};

use super::environment::Environment;
use super::faults::Faults;
use super::parse::Reader;
use super::reference::{Requirement, SETTINGS};
use super::{RegionFileSettings, Settings};

const FILE: &str = "DOMICILE_REGION_FILE";
const DATABASE_URL: &str = "DOMICILE_DATABASE_URL";
const VAULT_KEYS: &str = "DOMICILE_VAULT_KEYS";

/// Set by AWS's own platforms; they say nothing that matters here.
const IGNORED: &[&str] = &[
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EXECUTION_ENV",
];

impl Reader {
    /// The region's file, where one is named, and every setting that contradicts it. The outer `None` is a fault.
    #[expect(clippy::option_option, reason = "a fault and an absent option are two things")]
    pub(super) fn region_file(&mut self) -> Option<Option<RegionFileSettings>> {
        let Some(path) = self.text(FILE, self.environment.get(FILE).map(str::to_owned)) else {
            return Some(None);
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("the file cannot be read: {}", error.kind()));
        let text = self.faults.take(FILE, text)?;
        match check_alone(&Source { name: path, text }) {
            Ok(document) => {
                contradictions(&document.file, &self.environment, &mut self.faults);
                Some(Some(RegionFileSettings {
                    digest: document.file.digest(),
                    file: Box::new(document.file),
                }))
            }
            Err(Findings(findings)) => {
                for finding in findings {
                    self.faults.add(FILE, finding);
                }
                None
            }
        }
    }
}

/// What is inside of secrets and can be held against the file: where the database is, and which keys there are.
pub(super) fn contradictions_inside(settings: &Settings, faults: &mut Faults) {
    let Some(RegionFileSettings { file, .. }) = &settings.region.file else {
        return;
    };
    let database = &file.database;
    let wanted = format!("{}:{}/{}", database.host, database.port, database.name);
    if settings.database.target() != wanted {
        faults.add(
            DATABASE_URL,
            format!("leads elsewhere than the region's file says, which is to {wanted}"),
        );
    }
    let wanted: Vec<_> = file
        .vault
        .keys
        .iter()
        .map(|key| (key.id.as_str(), key.aws_kms.as_deref()))
        .collect();
    if settings.vault.keys.described().collect::<Vec<_>>() != wanted {
        let ids: Vec<_> = wanted.iter().map(|(id, _)| *id).collect();
        faults.add(
            VAULT_KEYS,
            format!(
                "holds other keys than the region's file lists, or in another order: {}",
                ids.join(", ")
            ),
        );
    }
}

/// Every setting that says something else than the file. Values of the environment are never told: one in the wrong place may
/// be a secret (INV-3).
fn contradictions(file: &RegionFile, environment: &Environment, faults: &mut Faults) {
    let mut wanted: BTreeMap<&str, Value<'_>> = variables(file)
        .into_iter()
        .map(|variable| (variable.name, variable.value))
        .collect();
    for setting in SETTINGS {
        let default = match setting.requirement {
            Requirement::Default(value) => Some(value),
            Requirement::Optional | Requirement::Required => None,
        };
        let present = environment.get(setting.name).map(str::trim).or(default);
        match (wanted.remove(setting.name), present) {
            (Some(Value::Text(text)), Some(present)) if !is_same(setting.name, &text, present) => {
                faults.add(
                    setting.name,
                    format!("contradicts the region's file, which says {text}"),
                );
            }
            // A required one that is not there is a fault already.
            (Some(value), None) if setting.requirement == Requirement::Optional => {
                faults.add(
                    setting.name,
                    format!("is not set, but the region's file says {}", told(&value)),
                );
            }
            (None, Some(present))
                if default.is_none_or(|default| !is_same(setting.name, default, present)) =>
            {
                faults.add(setting.name, "is set, but the region's file says nothing of it");
            }
            _ => {}
        }
    }
    aws(&wanted, environment, faults);
}

/// AWS's own variables, which decide where the storage and the keys are.
fn aws(wanted: &BTreeMap<&str, Value<'_>>, environment: &Environment, faults: &mut Faults) {
    for (name, value) in wanted {
        match (value, environment.get(name).map(str::trim)) {
            (Value::Text(text), Some(present)) if !is_same(name, text, present) => {
                faults.add(name, format!("contradicts the region's file, which says {text}"));
            }
            (Value::Text(_) | Value::Secret(_), Some(_)) => {}
            // AWS's other name for the same.
            (Value::Text(text), None)
                if *name == "AWS_REGION"
                    && environment
                        .get("AWS_DEFAULT_REGION")
                        .is_some_and(|region| is_same(name, text, region)) => {}
            (value, None) => faults.add(
                name,
                format!("is not set, but the region's file says {}", told(value)),
            ),
        }
    }
    for (name, _) in environment.variables() {
        let known = wanted.contains_key(name.as_str()) || IGNORED.contains(&name.as_str());
        if !name.starts_with("AWS_") || known {
            continue;
        }
        let same_region = name == "AWS_DEFAULT_REGION"
            && wanted.get("AWS_REGION").is_some_and(|value| {
                let present = environment.get(&name).unwrap_or_default();
                matches!(value, Value::Text(text) if is_same(&name, text, present))
            });
        if !same_region {
            faults.add(
                &name,
                "is set, but the region's file says nothing of it, and it decides where data and keys are",
            );
        }
    }
}

fn told(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Secret(secret) => format!("it is in the secret {}, key {}", secret.name, secret.key),
    }
}

#[cfg(test)]
mod tests;
