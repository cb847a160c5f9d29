//! Which series an expression of Prometheus names.

use std::collections::BTreeSet;

/// Words of the language that are no metrics, with the aggregations, which may stand before `by`.
const WORDS: &[&str] = &[
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "by",
    "on",
    "without",
    "ignoring",
    "group_left",
    "group_right",
    "inf",
    "nan",
    "avg",
    "bottomk",
    "count",
    "group",
    "max",
    "min",
    "quantile",
    "stddev",
    "sum",
    "topk",
];

/// These are followed by a list of labels.
const BEFORE_LABELS: &[&str] = &["by", "on", "without", "ignoring", "group_left", "group_right"];

/// The metrics that the expression names.
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let text: Vec<char> = expression.chars().collect();
    let mut found = BTreeSet::new();
    let mut labels_follow = false;
    let mut at = 0;
    while let Some(&sign) = text.get(at) {
        match sign {
            '"' | '\'' => at = after_quote(&text, at),
            '{' => at = after(&text, at, '}'),
            '[' => at = after(&text, at, ']'),
            '(' if labels_follow => at = after(&text, at, ')'),
            // A number, with its unit where it is a duration.
            '0'..='9' => at = end_of_word(&text, at),
            _ if is_of_word(sign) => {
                let end = end_of_word(&text, at);
                let word: String = text[at..end].iter().collect();
                let lower = word.to_ascii_lowercase();
                let next = text[end..].iter().find(|it| !it.is_whitespace());
                labels_follow = BEFORE_LABELS.contains(&lower.as_str());
                if next != Some(&'(') && !WORDS.contains(&lower.as_str()) {
                    found.insert(word);
                }
                at = end;
                continue;
            }
            _ => at += 1,
        }
        if !sign.is_whitespace() {
            labels_follow = false;
        }
    }
    found
}

fn is_of_word(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || sign == '_' || sign == ':'
}

fn end_of_word(text: &[char], from: usize) -> usize {
    let rest = text[from..].iter().position(|sign| !is_of_word(*sign));
    rest.map_or(text.len(), |length| from + length)
}

fn after(text: &[char], from: usize, end: char) -> usize {
    let mut at = from + 1;
    while let Some(&sign) = text.get(at) {
        match sign {
            _ if sign == end => return at + 1,
            '"' => at = after_quote(text, at),
            _ => at += 1,
        }
    }
    at
}

fn after_quote(text: &[char], from: usize) -> usize {
    let quote = text[from];
    let mut at = from + 1;
    while let Some(&sign) = text.get(at) {
        match sign {
            '\\' => at += 2,
            _ if sign == quote => return at + 1,
            _ => at += 1,
        }
    }
    at
}

#[test]
fn metrics_are_told_from_labels_words_functions_and_numbers() {
    let expression = r#"histogram_quantile(0.99, sum by (le, a_label) (rate(a_bucket{x="y}(z", w!=""}[5m] offset 1w)))
        > 3 * 3600 and on (region) group_left () b:c:rate5m / ignoring(d) e_total unless f"#;
    let found: Vec<_> = metrics(expression).into_iter().collect();
    assert_eq!(found, ["a_bucket", "b:c:rate5m", "e_total", "f"]);
}
