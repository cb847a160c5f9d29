//! The program's list of parts (SBOM) as `CycloneDX` 1.6, from what cargo resolves: every crate that is linked or generates
//! code, with its version, licence, origin and the checksum of `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::run::{Failure, Outcome};
use crate::tree;

/// The crate whose parts are listed.
const PROGRAM: &str = "domicile";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None: what is linked.
    kind: Option<String>,
}

/// The list for a platform, the same each time.
pub(super) fn list(target: &str) -> Outcome<String> {
    let output = tree::cargo()
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            target,
        ])
        .output()?;
    if !output.status.success() {
        return Err(Failure(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let lock = fs::read_to_string(tree::root().join("Cargo.lock"))?;
    Ok(format!("{:#}\n", document(&metadata, &checksums(&lock))?))
}

fn document(metadata: &Metadata, checksums: &BTreeMap<(String, String), String>) -> Outcome<Value> {
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|it| (it.id.as_str(), it)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|it| (it.id.as_str(), it))
        .collect();
    let root = metadata
        .packages
        .iter()
        .find(|it| it.name == PROGRAM && it.source.is_none())
        .ok_or_else(|| Failure(format!("cargo knows no crate {PROGRAM}")))?;
    let mut reached = BTreeSet::new();
    let mut open = vec![root.id.as_str()];
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            open.extend(nodes.get(id).into_iter().flat_map(|it| linked(it)));
        }
    }
    let reference = |id: &str| packages.get(id).map(|it| purl(it));
    let mut components = BTreeMap::new();
    let mut dependencies = BTreeMap::new();
    for id in &reached {
        let (Some(package), Some(node)) = (packages.get(id), nodes.get(id)) else {
            return Err(Failure(format!("cargo does not describe {id}")));
        };
        let needs: BTreeSet<_> = linked(node).filter_map(reference).collect();
        dependencies.insert(purl(package), json!({"ref": purl(package), "dependsOn": needs}));
        if package.id != root.id {
            components.insert(purl(package), component(package, "library", checksums));
        }
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(root, "application", checksums)},
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>()
    }))
}

fn linked(node: &Node) -> impl Iterator<Item = &str> {
    let is_linked = |it: &&Dependency| it.dep_kinds.iter().any(|kind| kind.kind.is_none());
    node.deps.iter().filter(is_linked).map(|it| it.pkg.as_str())
}

/// The name by which the world knows a package.
fn purl(package: &Package) -> String {
    format!(
        "pkg:cargo/{}@{}",
        package.name,
        package.version.replace('+', "%2B")
    )
}

fn component(package: &Package, kind: &str, checksums: &BTreeMap<(String, String), String>) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": package.name,
        "version": package.version,
        "purl": purl(package)
    });
    if let Some(license) = &package.license {
        // Old crates write the expression with a slash.
        component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
    }
    if let Some(url) = &package.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": url}]);
    }
    if let Some(checksum) = checksums.get(&(package.name.clone(), package.version.clone())) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// Name and version of each package of a lock file with its checksum.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |block: &str, name: &str| {
        let line = block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
        Some(line.trim_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|block| {
            Some((
                (field(block, "name")?, field(block, "version")?),
                field(block, "checksum")?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let package = |id: &str, name: &str, source: Option<&str>| {
            json!({"id": id, "name": name, "version": "1.0.0+a", "license": "MIT/Apache-2.0",
                   "repository": null, "source": source})
        };
        let dependency = |id: &str, kind: Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        serde_json::from_value(json!({
            "packages": [
                package("p", "domicile", None),
                package("q", "linked", Some("registry")),
                package("r", "tested", Some("registry")),
                package("s", "below", Some("registry")),
            ],
            "resolve": {"nodes": [
                {"id": "p", "deps": [dependency("q", Value::Null), dependency("r", json!("dev"))]},
                {"id": "q", "deps": [dependency("s", Value::Null)]},
                {"id": "r", "deps": []},
                {"id": "s", "deps": []},
            ]}
        }))
        .unwrap()
    }

    #[test]
    fn what_is_linked_is_listed_and_nothing_else() {
        let lock = "[[package]]\nname = \"linked\"\nversion = \"1.0.0+a\"\nchecksum = \"00ff\"\n\n[[package]]\nname = \"below\"\n";
        let document = document(&metadata(), &checksums(lock)).unwrap();
        let names: Vec<_> = document["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["name"])
            .collect();
        assert_eq!(names, ["below", "linked"]);
        let linked = &document["components"][1];
        assert_eq!(linked["purl"], "pkg:cargo/linked@1.0.0%2Ba");
        assert_eq!(linked["hashes"][0]["content"], "00ff");
        assert_eq!(linked["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert!(document["components"][0].get("hashes").is_none());
        assert_eq!(document["dependencies"].as_array().unwrap().len(), 3);
        assert_eq!(document["metadata"]["component"]["name"], "domicile");
    }
}
