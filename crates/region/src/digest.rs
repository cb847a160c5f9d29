//! The configuration digest: one number for everything that a region's file says.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::file::RegionFile;

impl RegionFile {
    /// The file as canonical JSON: members in the order of their names, no space, defaults written out. Comments, order and
    /// style of the YAML do not matter.
    pub fn canonical(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        let mut text = String::new();
        canonical(&value, &mut text);
        text
    }

    /// The SHA-256 of the canonical JSON, as `sha256:` and hexadecimal digits.
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex::encode(Sha256::digest(self.canonical())))
    }
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            // Another crate may have asked serde_json to keep the order of insertion.
            let members: BTreeMap<_, _> = members.iter().collect();
            text.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                canonical(&Value::String(name.clone()), text);
                text.push(':');
                canonical(member, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                canonical(item, text);
            }
            text.push(']');
        }
        // Writing into a String does not fail.
        scalar => drop(write!(text, "{scalar}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EU: &str = include_str!("../../../regions/eu.yaml");

    fn file(text: &str) -> RegionFile {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn style_does_not_matter_and_every_value_does() {
        let digest = file(EU).digest();
        assert!(digest.starts_with("sha256:") && digest.len() == 71);
        let restyled = EU
            .replace(
                "  id: eu\n  name: European Union",
                "  name: 'European Union'\n  id: \"eu\"",
            )
            .replace("# ", "## ")
            .replace("http:\n", "http:\n  opsListen: 0.0.0.0:9090\n");
        assert_eq!(file(&restyled).digest(), digest);
        for (from, to) in [
            ("admission: open", "admission: accounts"),
            ("releaseOrder: 3", "releaseOrder: 4"),
            ("optional: true", "optional: false"),
            ("key: api-keys", "key: api-key"),
        ] {
            assert_ne!(file(&EU.replace(from, to)).digest(), digest, "{to}");
        }
    }

    #[test]
    fn canonical_json_is_json_that_says_the_same() {
        let file = file(EU);
        let back: RegionFile = serde_json::from_str(&file.canonical()).unwrap();
        assert_eq!(back, file);
    }

    proptest! {
        #[test]
        fn members_are_sorted_and_texts_escaped(names in proptest::collection::vec("\\PC{0,8}", 0..8)) {
            let value: Value = Value::Object(names.iter().map(|name| (name.clone(), Value::String(name.clone()))).collect());
            let mut text = String::new();
            canonical(&value, &mut text);
            prop_assert_eq!(serde_json::from_str::<BTreeMap<String, String>>(&text).unwrap(),
                names.iter().map(|name| (name.clone(), name.clone())).collect::<BTreeMap<_, _>>());
            prop_assert_eq!(serde_json::to_string(&serde_json::from_str::<BTreeMap<String, Value>>(&text).unwrap()).unwrap(), text);
        }
    }
}
