use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn faults(content: &Value) -> Vec<String> {
    match Content::parse(content) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// Every element of Zoom's guide, and some that it does not know.
fn everything() -> Value {
    json!({
        "settings": {"is_split_sidebar": true},
        "head": {"text": "Head", "style": {"bold": true}, "sub_head": {"text": "Sub", "style": {"italic": true}}},
        "body": [
            {"type": "message", "text": "Text", "style": {"color": "#ff0000"}, "editable": true},
            {"type": "message", "text": "Link", "link": "https://app.example.com/1"},
            {"type": "fields", "items": [{"key": "Name", "value": "", "editable": true, "short": true}]},
            {"type": "actions", "items": [
                {"text": "Yes", "value": "yes", "style": "Primary"}, {"text": "No", "value": "no", "style": "Danger"}
            ]},
            {"type": "select", "text": "Which?", "selected_item": {"value": "a"},
             "select_items": [{"text": "A", "value": "a"}, {"text": "B", "value": "b"}]},
            {"type": "select", "text": "Who?", "static_source": "members"},
            {"type": "attachments", "img_url": "https://img.example.com/a.png", "resource_url": "https://app.example.com",
             "information": {"title": {"text": "T"}, "description": {"text": "D"}}},
            {"type": "section", "sidebar_color": "#0E72ED", "footer": "Foot",
             "footer_icon": "https://img.example.com/i.png", "ts": 1_560_446_471_819_u64,
             "sections": [{"type": "message", "text": "Inner"}]},
            {"type": "divider"},
            {"type": "progress_bar", "percent": 40},
            {"type": "invented", "of": [{"the": "future"}]}
        ]
    })
}

#[test]
fn every_element_comes_out_as_it_went_in() {
    let content = Content::parse(&everything()).unwrap();
    assert_eq!(content.to_value(), everything());
    assert_eq!(serde_json::to_value(&content).unwrap(), everything());
    assert_eq!(
        serde_json::from_str::<Value>(&content.to_json()).unwrap(),
        everything()
    );
    let kinds: Vec<_> = content
        .body
        .iter()
        .map(|element| match element {
            Element::Message(_) => "message",
            Element::Fields(_) => "fields",
            Element::Actions(_) => "actions",
            Element::Select(_) => "select",
            Element::Attachments(_) => "attachments",
            Element::Section(_) => "section",
            Element::Other(_) => "other",
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "message",
            "message",
            "fields",
            "actions",
            "select",
            "select",
            "attachments",
            "section",
            "other",
            "other",
            "other"
        ]
    );
}

#[test]
fn each_fault_is_named_with_its_place_and_its_limit() {
    let long = "x".repeat(limits::TEXT_CHARACTERS + 1);
    let button = json!({"text": "A", "value": "a"});
    for (content, expected) in [
        (json!([]), "content has a wrong value; expected an object"),
        (json!({}), "content says nothing"),
        (json!({"body": []}), "content says nothing"),
        (
            json!({"head": "Head"}),
            "content.head has a wrong value; expected an object",
        ),
        (json!({"head": {}}), "content.head.text is missing"),
        (
            json!({"head": {"text": 1}}),
            "content.head.text has a wrong value; expected a text",
        ),
        (json!({"head": {"text": " "}}), "content.head.text says nothing"),
        (
            json!({"head": {"text": "a", "sub_head": {}}}),
            "content.head.sub_head.text is missing",
        ),
        (
            json!({"head": {"text": long}}),
            "content.head.text is longer than 4096 characters",
        ),
        (
            json!({"body": {}}),
            "content.body has a wrong value; expected a list",
        ),
        (
            json!({"body": ["a"]}),
            "content.body[0] has a wrong value; expected an object",
        ),
        (json!({"body": [{}]}), "content.body[0].type is missing"),
        (
            json!({"body": [{"type": "message"}]}),
            "content.body[0].text is missing",
        ),
        (
            json!({"body": [{"type": "message", "text": "a", "editable": "yes"}]}),
            "content.body[0].editable has a wrong value; expected true or false",
        ),
        (
            json!({"body": [{"type": "fields", "items": [{"key": "a", "value": "b"}, {"key": "a"}]}]}),
            "content.body[0].items[1].value is missing",
        ),
        (
            json!({"body": [{"type": "fields"}]}),
            "content.body[0].items is missing",
        ),
        (
            json!({"body": [{"type": "fields", "items": []}]}),
            "content.body[0].items says nothing",
        ),
        (
            json!({"body": [{"type": "actions", "items": vec![button; 6]}]}),
            "content.body[0].items has more than 5 items",
        ),
        (
            json!({"body": [{"type": "actions", "items": [{"text": "A", "value": "a", "style": "Pink"}]}]}),
            "content.body[0].items[0].style has a wrong value; expected one of Primary, Default, Danger, Disabled",
        ),
        (
            json!({"body": [{"type": "select", "text": "?"}]}),
            "content.body[0] needs one of the members select_items, group_items, static_source",
        ),
        (
            json!({"body": [{"type": "select", "static_source": "planets"}]}),
            "content.body[0].static_source has a wrong value; expected one of members, channels",
        ),
        (
            json!({"body": [{"type": "attachments"}]}),
            "content.body[0] needs one of the members resource_url, img_url",
        ),
        (
            json!({"body": [{"type": "section", "sections": [{"type": "section", "sections": [{"type": "message"}]}]}]}),
            "content.body[0].sections[0].sections[0].text is missing",
        ),
        (
            json!({"body": [{"type": "images", "items": [{"image_url": "http://img.example.com/a.png"}]}]}),
            "content.body[0].items[0].image_url is no link that a person may be shown; expected an https URL",
        ),
    ] {
        assert_eq!(faults(&content), [expected], "{content}");
    }
}

#[test]
fn all_faults_are_named() {
    let content = json!({"head": {}, "body": [{"type": "message"}, {"type": "actions", "items": [{}]}]});
    let expected = [
        "content.head.text is missing",
        "content.body[0].text is missing",
        "content.body[1].items[0].text is missing",
        "content.body[1].items[0].value is missing",
    ];
    assert_eq!(faults(&content), expected);
}

#[test]
fn size_and_depth_are_bounded() {
    let body = vec![json!({"type": "message", "text": "x".repeat(4000)}); 9];
    assert_eq!(
        faults(&json!({"body": body})),
        ["content is larger than 32768 bytes as JSON"]
    );
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let found = faults(&json!({"body": [{"type": "new", "deep": deep}]}));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("is nested more than 16 levels deep"),
        "{found:?}"
    );
    let many = vec![json!({"type": "divider"}); 101];
    assert_eq!(
        faults(&json!({"body": many})),
        ["content.body has more than 100 items"]
    );
}

#[test]
fn links_are_https_or_lead_to_this_machine() {
    let link = |url: &str| faults(&json!({"body": [{"type": "message", "text": "a", "link": url}]}));
    for url in [
        "https://example.com/a?b#c",
        "http://localhost:8080/",
        "http://127.0.0.1/x",
        "http://[::1]/",
    ] {
        assert!(link(url).is_empty(), "{url}");
    }
    for url in [
        "http://example.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "https://user:pass@example.com",
        "http://127.0.0.1.example.com",
        "zoommtg://join",
    ] {
        assert_eq!(link(url).len(), 1, "{url}");
    }
}

#[test]
fn a_card_is_put_together() {
    let card = Card::new("Head")
        .sub_head("Sub")
        .message("Text")
        .field("A", "1")
        .field("B", "2")
        .button("Yes", "yes", ButtonStyle::Primary)
        .button("No", "no", ButtonStyle::Default)
        .link("Open", "https://app.example.com/")
        .attachment("T", "D", "https://app.example.com/")
        .section("#0E72ED", &Card::default().message("Inner"), Some("Foot"))
        .build()
        .unwrap();
    let value = card.to_value();
    let kinds: Vec<_> = value["body"]
        .as_array()
        .unwrap()
        .iter()
        .map(|element| element["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "message",
            "fields",
            "actions",
            "message",
            "attachments",
            "section"
        ]
    );
    assert_eq!(value["body"][1]["items"].as_array().unwrap().len(), 2);
    assert_eq!(value["body"][5]["footer"], "Foot");
    assert!(Card::new("").build().is_err());
}

#[test]
fn debug_shows_no_text() {
    let card = Card::new("PLANTED").message("PLANTED").build().unwrap();
    assert!(!format!("{card:?}").contains("PLANTED"));
    let fault =
        Content::parse(&json!({"head": {"text": "a"}, "body": [{"type": "message", "text": ["PLANTED"]}]}));
    assert!(!format!("{:?}", fault.unwrap_err()).contains("PLANTED"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let name = "(type|text|value|items|sections|link|head|body|style|key|select_items|img_url|x)";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "(message|fields|actions|select|section|attachments|Primary|https://a\\.example|http://a\\.example|)"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Without the members that say nothing: null is as good as missing, and so is an empty body.
fn meant(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name.clone(), meant(member)))
            .collect(),
        Value::Array(items) => items.iter().map(meant).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn what_is_accepted_comes_out_as_it_went_in_and_is_accepted_again(head in json_value(), body in json_value()) {
        for value in [json!({"head": head}), json!({"head": {"text": "a"}, "body": body}), json!({"body": body})] {
            if let Ok(content) = Content::parse(&value) {
                let out = content.to_value();
                let mut wanted = meant(&value);
                if wanted["body"] == json!([]) {
                    wanted.as_object_mut().unwrap().remove("body");
                }
                prop_assert_eq!(meant(&out), wanted);
                prop_assert_eq!(Content::parse(&out), Ok(content));
            } else {
                let faults = Content::parse(&value).unwrap_err();
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|fault| fault.field.starts_with("content")));
            }
        }
    }

    #[test]
    fn no_accepted_content_has_a_link_that_is_not_https(url in "[a-z]{2,5}:/{0,2}[a-z@:.]{1,12}", name in "(link|url|img_url|resource_url|footer_icon)") {
        let content = json!({"body": [{"type": "new", name: url.clone()}]});
        if Content::parse(&content).is_ok() {
            prop_assert!(url.starts_with("https:") || url.starts_with("http:"), "{}", url);
        }
    }
}
