//! JSON objects in which no name stands twice.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// An object whose names are unique: of two `sub`, one reader takes the first and another the last (RFC 7519, section 4).
pub(super) struct UniqueObject(BTreeMap<String, Value>);

impl UniqueObject {
    /// The value of a name; `null` is as if it were not there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// True when the name is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<'de> Deserialize<'de> for UniqueObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose names are unique")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueObject, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a name stands twice"));
                    }
                }
                Ok(UniqueObject(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        for text in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","\u0073ub":"a"}"#,
            "[]",
            "1",
            "",
        ] {
            assert!(serde_json::from_str::<UniqueObject>(text).is_err(), "{text}");
        }
        let object: UniqueObject = serde_json::from_str(r#"{"sub":"a","org":null}"#).unwrap();
        assert_eq!(object.get("sub"), Some(&Value::from("a")));
        assert_eq!(object.get("org"), None);
        assert!(object.has("org"));
    }
}
