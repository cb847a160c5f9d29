//! The document as a value that answers are held against.

use std::collections::BTreeSet;

use http::{HeaderMap, Method};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::harness::browser::Answer;

/// What the region serves.
pub fn source() -> &'static str {
    domicile::routes::openapi_document()
}

const METHODS: [&str; 8] = [
    "get", "head", "post", "put", "patch", "delete", "options", "trace",
];

pub struct Document {
    pub root: Value,
    /// The schemas, each closed to members that it does not describe: callers shall ignore those, tests shall find them.
    closed: Value,
}

/// A described request of the app, or a described webhook.
pub struct Operation<'a> {
    /// The path's template, or the webhook's name.
    pub place: &'a str,
    pub method: Method,
    pub value: &'a Value,
    parameters_of_all: &'a [Value],
}

impl Operation<'_> {
    pub fn id(&self) -> &str {
        self.value["operationId"].as_str().unwrap()
    }

    pub fn needs_key(&self) -> bool {
        self.value["security"] != json!([])
    }

    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.place)
    }
}

impl Document {
    pub fn read() -> Self {
        let root: Value = serde_json::from_str(source()).unwrap();
        let mut closed = root["components"]["schemas"].clone();
        close(&mut closed);
        Self { root, closed }
    }

    /// The requests of the app.
    pub fn operations(&self) -> Vec<Operation<'_>> {
        operations(&self.root["paths"])
    }

    /// What is delivered to the app.
    pub fn webhooks(&self) -> Vec<Operation<'_>> {
        operations(&self.root["webhooks"])
    }

    pub fn operation(&self, method: &Method, template: &str) -> Operation<'_> {
        let found = self
            .operations()
            .into_iter()
            .find(|it| it.place == template && it.method == *method);
        found.unwrap_or_else(|| panic!("{method} {template} is not described"))
    }

    /// What a reference leads to; anything else is itself.
    pub fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else {
            return value;
        };
        self.target(reference)
            .unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    pub fn target(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// The parameters, those of the whole path among them.
    pub fn parameters<'a>(&'a self, operation: &Operation<'a>) -> Vec<&'a Value> {
        let own = operation.value["parameters"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let all = operation.parameters_of_all.iter().chain(own);
        all.map(|parameter| self.follow(parameter)).collect()
    }

    /// The ids of the problems that a response's examples are.
    pub fn problems(response: &Value) -> BTreeSet<&str> {
        let examples = &response["content"]["application/problem+json"]["examples"];
        let names = examples.as_object().into_iter().flat_map(Map::keys);
        names.map(String::as_str).collect()
    }

    /// Asserts that the value is what the schema describes, and nothing besides.
    pub fn assert_fits(&self, what: &str, schema: &Value, value: &Value) {
        let mut schema = schema.clone();
        close(&mut schema);
        let faults: Vec<_> = validator(&schema, &self.closed)
            .iter_errors(value)
            .map(|error| format!("{} at {:?}", error, error.instance_path().as_str()))
            .collect();
        assert!(faults.is_empty(), "{what}: {faults:#?} in {value:#}");
    }

    /// Asserts that the answer is one that is described for this request.
    pub fn assert_describes(&self, method: &Method, template: &str, answer: &Answer) {
        let operation = self.operation(method, template);
        let what = format!("{} answering {}", operation.name(), answer.status);
        let responses = &operation.value["responses"];
        let class = format!("{}XX", answer.status.as_u16() / 100);
        let exact = responses.get(answer.status.as_str());
        let response = self.follow(exact.unwrap_or(&responses[&class]));
        assert!(response.is_object(), "{what} is not described: {}", answer.text());
        let uuid = json!({ "type": "string", "format": "uuid" });
        self.assert_fits(&what, &uuid, &text(&answer.headers, "x-request-id").into());
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = self.follow(header);
            if header["required"] == true || answer.headers.contains_key(name) {
                let value = text(&answer.headers, name).into();
                self.assert_fits(&format!("{name} of {what}"), &header["schema"], &value);
            }
        }
        let Some(content) = response["content"].as_object() else {
            assert!(answer.body.is_empty(), "{what} has a body: {}", answer.text());
            return;
        };
        if answer.body.is_empty()
            && !answer.headers.contains_key("content-type")
            && content.contains_key("*/*")
        {
            return;
        }
        let content_type = text(&answer.headers, "content-type");
        let Some(media) = content.get(content_type).or_else(|| content.get("*/*")) else {
            panic!("{what} is {content_type}, which is not described");
        };
        if *method == Method::HEAD {
            assert!(answer.body.is_empty(), "{what} has a body");
        } else if let Some(schema) = media.get("schema") {
            self.assert_fits(&what, schema, &answer.json());
            if content_type == "application/problem+json" {
                let (problem, described) = (answer.problem(), Self::problems(response));
                assert!(described.contains(problem.as_str()), "{what} is {problem}");
            }
        }
    }
}

fn operations(places: &Value) -> Vec<Operation<'_>> {
    let places = places.as_object().unwrap();
    let each = places.iter().flat_map(|(place, item)| {
        let described = METHODS
            .into_iter()
            .filter_map(move |method| Some((method, item.get(method)?)));
        described.map(move |(method, value)| Operation {
            place,
            method: method.to_uppercase().parse().unwrap(),
            value,
            parameters_of_all: item["parameters"].as_array().map_or(&[], Vec::as_slice),
        })
    });
    each.collect()
}

fn validator(schema: &Value, schemas: &Value) -> Validator {
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": { "schemas": schemas },
        "allOf": [schema],
    });
    jsonschema::options()
        .should_validate_formats(true)
        .build(&root)
        .unwrap_or_else(|error| panic!("{error}: {schema:#}"))
}

/// Closes every object that lists its members.
fn close(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            let lists = members.get("type") == Some(&json!("object")) && members.contains_key("properties");
            if lists && !members.contains_key("additionalProperties") {
                members.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers
        .get(name)
        .unwrap_or_else(|| panic!("{name} is missing: {headers:?}"));
    value.to_str().unwrap()
}
