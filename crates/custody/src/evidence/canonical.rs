//! JSON of which there is one form only (RFC 8785): sorted members, no spaces. Fractions do not occur in evidence.

use serde_json::Value;

/// The canonical bytes of a value.
pub(super) fn canonical(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    write(value, &mut out);
    out.into_bytes()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.iter().collect();
            // RFC 8785, section 3.2.3: by UTF-16 code units.
            names.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (index, (name, member)) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(&Value::String(name.clone()), out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        // Texts and whole numbers are written by serde_json as the RFC has them.
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn members_are_sorted_and_nothing_is_spaced() {
        let value =
            json!({"b": [1, {"z": null, "a": true}], "a": "ä\n\u{1}\"", "\u{10000}": 1, "\u{e000}": 2});
        let text = String::from_utf8(canonical(&value)).unwrap();
        assert_eq!(
            text,
            "{\"a\":\"ä\\n\\u0001\\\"\",\"b\":[1,{\"a\":true,\"z\":null}],\"\u{10000}\":1,\"\u{e000}\":2}"
        );
    }

    proptest! {
        #[test]
        fn it_is_the_same_value_and_says_it_in_one_way(pairs in prop::collection::vec(("\\PC{0,8}", any::<i64>()), 0..8)) {
            let forth: serde_json::Map<_, _> = pairs.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
            let back: serde_json::Map<_, _> = forth.clone().into_iter().rev().collect();
            let (forth, back) = (Value::Object(forth), Value::Object(back));
            prop_assert_eq!(canonical(&forth), canonical(&back));
            prop_assert_eq!(serde_json::from_slice::<Value>(&canonical(&forth)).unwrap(), forth);
        }
    }
}
