//! A file's text, its value, and the line of each of its paths.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::file::RegionFile;
use crate::finding::Finding;
use crate::rule::Rule;

/// A file to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, as findings print it, such as `regions/eu.yaml`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

impl Source {
    /// The last part of its name, without folders.
    pub(crate) fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// The lines of the paths of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<String, u32>);

impl Lines {
    /// The line of this path, or of the nearest one above it that the file holds.
    pub fn of(&self, path: &str) -> Option<u32> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = path.rfind(['.', '[']).and_then(|end| path.get(..end))?;
        }
    }
}

/// A file of a region that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file's name.
    pub name: String,
    /// What it says.
    pub file: RegionFile,
    /// Where it says it.
    pub lines: Lines,
    /// Every text of the file with its path.
    pub(crate) texts: Vec<(String, String)>,
}

/// The value of any YAML and the lines of its paths.
pub(crate) fn read_yaml(text: &str) -> Result<(Value, Lines), Box<Finding>> {
    let root: Spanned<Node> = serde_saphyr::from_str(text).map_err(|error| {
        let reason = format!("it cannot be read: {}", error.without_snippet());
        let mut finding = Finding::new(Rule::Unreadable, "", reason, "mend the YAML");
        finding.line = error.location().and_then(|at| u32::try_from(at.line()).ok());
        Box::new(finding)
    })?;
    let mut lines = Lines::default();
    let value = plain(&root, String::new(), &mut lines);
    Ok((value, lines))
}

/// Reads a region's file. All fields that nothing reads are found at once; the first value of a wrong type ends it.
pub(crate) fn read(source: &Source) -> Result<Document, Vec<Finding>> {
    let (mut value, lines) = read_yaml(&source.text).map_err(|finding| vec![*finding])?;
    let mut findings = Vec::new();
    let mut texts = Vec::new();
    collect(&value, String::new(), &mut texts);
    // Each round takes one unknown field away, so it ends.
    let file = loop {
        let error = match serde_path_to_error::deserialize::<_, RegionFile>(&value) {
            Ok(file) => break Some(file),
            Err(error) => error,
        };
        let path = path_of(error.path());
        let message = error.into_inner().to_string();
        if message.starts_with("unknown field") && remove(&mut value, &path) {
            findings.push(Finding::new(
                Rule::UnknownField,
                path,
                message,
                "remove it, or spell it as regions/schema.json does",
            ));
        } else {
            findings.push(Finding::new(
                Rule::Unreadable,
                path,
                redacted(&message),
                "write it as regions/schema.json describes it; quote a text that looks like a number or a boolean",
            ));
            break None;
        }
    };
    for finding in &mut findings {
        finding.line = lines.of(&finding.path);
    }
    match file {
        Some(file) if findings.is_empty() => Ok(Document {
            name: source.name.clone(),
            file,
            lines,
            texts,
        }),
        _ => Err(findings),
    }
}

/// What stands in the place of a reference may be a secret: its kind is told, and not itself (INV-3).
fn redacted(message: &str) -> String {
    let told = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    match told.and_then(|rest| Some((rest.split([' ', ',']).next()?, rest.rsplit_once(", expected")?.1))) {
        Some((kind, expected)) => format!("a {kind} stands there, expected{expected}"),
        None => message.to_owned(),
    }
}

/// A path as findings print it: `a.b[0].c`; a missing field's is that of its section.
fn path_of(path: &serde_path_to_error::Path) -> String {
    let text = path.to_string();
    if text == "." { String::new() } else { text }
}

fn remove(value: &mut Value, path: &str) -> bool {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut pointer = String::new();
    for part in parent.split(['.', '[']).filter(|part| !part.is_empty()) {
        pointer.push('/');
        pointer.push_str(part.trim_end_matches(']'));
    }
    value
        .pointer_mut(&pointer)
        .and_then(Value::as_object_mut)
        .is_some_and(|object| object.remove(name).is_some())
}

fn collect(value: &Value, path: String, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => texts.push((path, text.clone())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{path}[{index}]"), texts);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                collect(member, joined(&path, name), texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn plain(node: &Spanned<Node>, path: String, lines: &mut Lines) -> Value {
    let value = match &node.value {
        Node::Scalar(value) => value.clone(),
        Node::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| plain(item, format!("{path}[{index}]"), lines))
            .collect(),
        Node::Map(members) => Value::Object(
            members
                .iter()
                .map(|(name, member)| (name.clone(), plain(member, joined(&path, name), lines)))
                .collect::<Map<_, _>>(),
        ),
    };
    if let Some(line) = u32::try_from(node.referenced.line())
        .ok()
        .filter(|line| *line > 0)
    {
        lines.0.insert(path, line);
    }
    value
}

/// Any YAML, with the place of each value.
#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNode;

        impl<'de> Visitor<'de> for AnyNode {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("YAML")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Bool(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Number(value.into())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Number(value.into())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Scalar(
                    Number::from_f64(value).map_or(Value::Null, Value::Number),
                ))
            }

            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Scalar(Value::String(value.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Null))
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
                Node::deserialize(deserializer)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = sequence.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Node::Map(members))
            }
        }

        deserializer.deserialize_any(AnyNode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EU: &str = include_str!("../../../regions/eu.yaml");

    fn source(text: &str) -> Source {
        Source {
            name: "regions/eu.yaml".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn every_path_has_the_line_on_which_it_stands() {
        let document = read(&source(EU)).unwrap();
        let line_of = |path: &str| {
            let line = document.lines.of(path).unwrap() as usize;
            EU.lines().nth(line - 1).unwrap().trim()
        };
        assert_eq!(line_of("region.jurisdiction"), "jurisdiction: eu");
        assert_eq!(
            line_of("zoom.apps.linking.scopes[1].scope"),
            "- scope: meeting:read:meeting"
        );
        assert_eq!(
            line_of("app.apiKeys.key"),
            "apiKeys: {name: domicile-eu-app, key: api-keys}"
        );
        // What is not there stands where its section does.
        assert_eq!(document.lines.of("http.publicListen"), document.lines.of("http"));
    }

    #[test]
    fn all_unknown_fields_are_found_at_once() {
        let text = EU
            .replace("  admission: open", "  admission: open\n  admision: open")
            .replace("          optional: true", "          optionel: true");
        let findings = read(&source(&text)).unwrap_err();
        let found: Vec<_> = findings.iter().map(|it| (it.rule, it.path.as_str())).collect();
        assert_eq!(
            found,
            [
                (Rule::UnknownField, "region.admision"),
                (Rule::UnknownField, "zoom.apps.linking.scopes[5].optionel")
            ]
        );
        assert!(findings.iter().all(|it| it.line.is_some()));
    }

    #[test]
    fn wrong_types_missing_fields_and_broken_yaml_say_where() {
        for (from, to, path) in [
            ("  jurisdiction: eu", "  jurisdiction: no", "region.jurisdiction"),
            (
                "  releaseOrder: 3",
                "  releaseOrder: third",
                "deployment.releaseOrder",
            ),
            ("  admission: open", "  admission: all", "region.admission"),
            ("  admission: open\n", "", "region"),
            ("region:\n", "region: [\n", ""),
            ("  id: eu", "  id: eu\n  id: us", ""),
        ] {
            let findings = read(&source(&EU.replace(from, to))).unwrap_err();
            let [finding] = findings.as_slice() else {
                panic!("{findings:?}")
            };
            assert_eq!(
                (finding.rule, finding.path.as_str()),
                (Rule::Unreadable, path),
                "{to}: {finding:?}"
            );
            assert!(finding.line.is_some(), "{to}: {finding:?}");
        }
    }

    #[test]
    fn a_secret_in_the_place_of_its_reference_is_not_repeated() {
        for secret in ["hunter2", "\"hunter2, expected it\"", "[hunter2]"] {
            let text = EU.replace("{name: domicile-eu-app, key: api-keys}", secret);
            let findings = read(&source(&text)).unwrap_err();
            assert_eq!(findings[0].path, "app.apiKeys");
            assert!(!findings[0].reason.contains("hunter2"), "{findings:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            let _ = read(&source(&text));
        }
    }
}
