//! SARIF 2.1.0 (OASIS): what code-scanning tools read.

use serde_json::{Value, json};

use crate::check::Report;
use crate::finding::{Finding, Related};
use crate::rule::Rule;

pub(super) fn log(report: &Report) -> Value {
    let rules: Vec<_> = Rule::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id(),
                "shortDescription": {"text": rule.meaning()},
                "defaultConfiguration": {"level": "error"},
            })
        })
        .collect();
    let found = report.findings.iter().map(|finding| result(finding, None));
    let excepted = report
        .excepted
        .iter()
        .map(|excepted| result(&excepted.finding, Some(&excepted.reason)));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "domicile region check",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": found.chain(excepted).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Finding, exception: Option<&str>) -> Value {
    let mut result = json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == finding.rule),
        "level": "error",
        "message": {"text": format!("{}; {}", finding.reason, finding.remedy)},
        "locations": [location(&finding.file, &finding.path, finding.line)],
        // Lines move; a rule's breach at a path stays the same alert.
        "partialFingerprints": {
            "place/v1": format!("{}:{}:{}", finding.rule.id(), finding.file, finding.path),
        },
    });
    if let Some(members) = result.as_object_mut() {
        if let Some(Related { file, path, line }) = &finding.related {
            let mut related = location(file, path, *line);
            related["id"] = json!(0);
            members.insert("relatedLocations".to_owned(), json!([related]));
        }
        if let Some(reason) = exception {
            let suppression = json!([{"kind": "inSource", "justification": reason}]);
            members.insert("suppressions".to_owned(), suppression);
        }
    }
    result
}

fn location(file: &str, path: &str, line: Option<u32>) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
    if let Some(line) = line {
        physical["region"] = json!({"startLine": line});
    }
    let mut location = json!({"physicalLocation": physical});
    if !path.is_empty() {
        location["logicalLocations"] = json!([{"fullyQualifiedName": path, "kind": "member"}]);
    }
    location
}

/// A file's name as a URI reference.
fn uri(file: &str) -> String {
    let name = if file.is_empty() { "." } else { file };
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hex::encode_upper([byte]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn each_result_leads_to_its_rule_its_line_and_the_other_file() {
        let log = log(&sample());
        let run = &log["runs"][0];
        let result = &run["results"][0];
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "regions/uk.yaml");
        assert_eq!(place["region"]["startLine"], 28);
        let other = &result["relatedLocations"][0]["physicalLocation"];
        assert_eq!(other["artifactLocation"]["uri"], "regions/eu.yaml");
        assert_eq!(run["results"][1]["suppressions"][0]["justification"], "the pilot");
        assert!(
            run["results"][1]["locations"][0]["physicalLocation"]
                .get("region")
                .is_none()
        );
    }

    #[test]
    fn the_log_is_valid_sarif() {
        let schema: Value = serde_json::from_str(include_str!("sarif-schema-2.1.0.json")).unwrap();
        let validator = jsonschema::draft4::new(&schema).unwrap();
        for report in [sample(), Report::default()] {
            let mut log = log(&report);
            let faults: Vec<_> = validator.iter_errors(&log).map(|it| it.to_string()).collect();
            assert_eq!(faults, [""; 0]);
            log["runs"][0]["tool"] = json!({"name": "domicile"});
            assert!(!validator.is_valid(&log), "the schema is looked at");
        }
    }

    #[test]
    fn a_name_becomes_a_uri_reference() {
        assert_eq!(uri("my regions/eu#1.yaml"), "my%20regions/eu%231.yaml");
        assert_eq!(uri("ü"), "%C3%BC");
    }
}
