//! What the document says of itself: that it is whole, consistent, and spells the house's words.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use domicile_kernel::state::{
    BotMessageState, FileStatus, LinkStatus, ReauthorizationReason, RecordingStatus, RefusalReason,
    RevocationReason, TextState,
};
use serde_json::{Value, json};

use super::document::Document;

#[test]
fn the_documents_problems_are_the_table() {
    let document = Document::read();
    let described = &document.root["components"]["examples"];
    let table: BTreeMap<_, _> = domicile_web::problem::all()
        .map(|entry| {
            let value = json!({
                "type": entry.type_uri,
                "title": entry.title,
                "status": entry.status,
                "retryable": entry.retryable,
            });
            (
                entry.id,
                json!({ "summary": entry.title, "description": entry.cure, "value": value }),
            )
        })
        .collect();
    assert_eq!(described, &json!(table), "components.examples");
    for operation in document.operations() {
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            let response = document.follow(response);
            let Ok(status) = status.parse::<u16>() else {
                continue;
            };
            let name = format!("{} {status}", operation.name());
            let problems = Document::problems(response);
            assert_eq!(problems.is_empty(), status < 400, "{name}");
            for id in problems {
                let example = &response["content"]["application/problem+json"]["examples"][id];
                assert_eq!(example["$ref"], format!("#/components/examples/{id}"), "{name}");
                assert_eq!(table[id]["value"]["status"], status, "{name}: {id}");
            }
        }
        let asks = operation.value["responses"].get("401").is_some();
        assert_eq!(asks, operation.needs_key(), "{}", operation.name());
    }
}

#[test]
fn the_documents_states_are_the_houses() {
    fn spellings<S: TextState>() -> Value {
        S::ALL.iter().map(|state| state.as_str()).collect()
    }
    let document = Document::read();
    let schemas = &document.root["components"]["schemas"];
    for (name, states) in [
        ("LinkStatus", spellings::<LinkStatus>()),
        ("RefusalReason", spellings::<RefusalReason>()),
        ("ReauthorizationReason", spellings::<ReauthorizationReason>()),
        ("RevocationReason", spellings::<RevocationReason>()),
        ("RecordingStatus", spellings::<RecordingStatus>()),
        ("FileStatus", spellings::<FileStatus>()),
        ("BotMessageStatus", spellings::<BotMessageState>()),
    ] {
        assert_eq!(schemas[name]["enum"], states, "{name}");
        let description = schemas[name]["description"].as_str().unwrap();
        assert!(description.ends_with("Further values may come."), "{name}");
    }
    let typed = [
        "RecordingEvent",
        "LinkEvent",
        "RefusalEvent",
        "BotMessageEvent",
        "BotSaidEvent",
        "BotReplyRefusedEvent",
    ]
    .into_iter()
    .flat_map(|name| {
        let types = &schemas[name]["allOf"][1]["properties"]["type"]["enum"];
        types.as_array().unwrap().iter().map(|it| it.as_str().unwrap())
    });
    let webhooks = document.webhooks();
    let delivered: BTreeSet<_> = webhooks.iter().map(|it| it.place).collect();
    assert_eq!(delivered, typed.collect());
}

/// Every value in the document, with where it is.
fn walk<'a>(place: &str, value: &'a Value, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(place, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                walk(
                    &format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")),
                    member,
                    visit,
                );
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{place}/{index}"), item, visit);
            }
        }
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = Document::read();
    let mut used = HashSet::new();
    walk("#", &document.root, &mut |place, value| {
        if let Some(reference) = value["$ref"].as_str() {
            assert!(document.target(reference).is_some(), "{place}: {reference}");
            assert_eq!(
                value.as_object().unwrap().len(),
                1,
                "{place}: words beside a $ref are lost"
            );
            used.insert(reference);
        }
    });
    for (kind, components) in document.root["components"].as_object().unwrap() {
        // The schemes are used by name, and of the problems all are listed.
        if kind == "securitySchemes" || kind == "examples" {
            continue;
        }
        for name in components.as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(reference.as_str()), "{reference} is not used");
        }
    }
}

#[test]
fn every_operation_is_complete() {
    let document = Document::read();
    let root = &document.root;
    assert!(root["openapi"].as_str().unwrap().starts_with("3.1."));
    let names = |list: &Value| -> BTreeSet<String> {
        let names = list.as_array().unwrap().iter();
        names.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    };
    let (tags, mut used_tags, mut ids) = (names(&root["tags"]), BTreeSet::new(), HashSet::new());
    for operation in document.operations().iter().chain(&document.webhooks()) {
        let name = operation.name();
        assert!(
            ids.insert(operation.id().to_owned()),
            "{name}: its operationId is another's too"
        );
        assert!(
            operation.value["summary"]
                .as_str()
                .is_some_and(|it| it.ends_with('.')),
            "{name}"
        );
        let own_tags = operation.value["tags"].as_array().expect("tags");
        assert!(!own_tags.is_empty(), "{name} has no tag");
        used_tags.extend(own_tags.iter().map(|it| it.as_str().unwrap().to_owned()));
        let responses = operation.value["responses"].as_object().expect("responses");
        assert!(!responses.is_empty(), "{name} has no response");
        for (status, response) in responses {
            assert!(
                document.follow(response)["description"].is_string(),
                "{name} {status}"
            );
        }
        let parameters = document.parameters(operation);
        let mut in_path = BTreeSet::new();
        for parameter in &parameters {
            assert!(parameter["schema"].is_object(), "{name}: {parameter}");
            if parameter["in"] == "path" {
                assert_eq!(parameter["required"], true, "{name}: {parameter}");
                in_path.insert(parameter["name"].as_str().unwrap());
            }
        }
        let template = operation.place.split('{').skip(1);
        let in_template: BTreeSet<_> = template.map(|it| it.split('}').next().unwrap()).collect();
        assert_eq!(in_path, in_template, "{name}");
    }
    assert_eq!(used_tags, tags);
    for requirement in root["security"].as_array().unwrap() {
        for scheme in requirement.as_object().unwrap().keys() {
            assert_eq!(root["components"]["securitySchemes"][scheme]["scheme"], "bearer");
        }
    }
}

#[test]
fn every_schema_is_one_and_every_example_fits_its_own() {
    let document = Document::read();
    let (mut schemas, mut examples) = (0, 0);
    walk("#", &document.root, &mut |place, value| {
        let component = place
            .strip_prefix("#/components/schemas/")
            .is_some_and(|it| !it.contains('/'));
        if component || place.ends_with("/schema") {
            jsonschema::draft202012::meta::validate(value).unwrap_or_else(|error| panic!("{place}: {error}"));
            schemas += 1;
        }
        if component {
            for example in value["examples"].as_array().into_iter().flatten() {
                document.assert_fits(place, value, example);
                examples += 1;
            }
        }
        // A parameter or the content of a request or an answer.
        if let Some(schema) = value.get("schema") {
            let named = value["examples"]
                .as_object()
                .into_iter()
                .flat_map(|it| it.values());
            let named = named.map(|it| &document.follow(it)["value"]);
            for example in value.get("example").into_iter().chain(named) {
                document.assert_fits(place, schema, example);
                examples += 1;
            }
        }
    });
    assert!(
        schemas > 40 && examples > 20,
        "{schemas} schemas, {examples} examples"
    );
}
