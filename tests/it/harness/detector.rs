//! Finds secrets in texts, whichever way they are written there.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::form_urlencoded::byte_serialize;

/// A shorter text may stand somewhere by chance.
const LEAST_BYTES: usize = 8;

/// The secrets of one story.
#[derive(Default)]
pub struct Detector {
    secrets: Vec<Secret>,
    known: BTreeSet<Vec<u8>>,
}

struct Secret {
    name: &'static str,
    value: Vec<u8>,
    /// Each way to write it, with the name of the way.
    forms: Vec<(&'static str, String)>,
}

/// A secret that stands where it must not.
#[derive(Debug, PartialEq, Eq)]
pub struct Leak {
    pub secret: &'static str,
    pub form: &'static str,
    /// What stands around it.
    pub context: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) in ...{}...", self.secret, self.form, self.context)
    }
}

impl Detector {
    /// Adds a secret; several may have one name.
    pub fn add(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        let value = value.as_ref().to_vec();
        assert!(value.len() >= LEAST_BYTES, "{name} is too short to be found");
        if self.known.insert(value.clone()) {
            let forms = forms(&value);
            self.secrets.push(Secret { name, value, forms });
        }
    }

    /// How many secrets have this name.
    pub fn count(&self, name: &str) -> usize {
        self.secrets.iter().filter(|secret| secret.name == name).count()
    }

    /// All secrets as texts.
    pub fn all(&self) -> impl Iterator<Item = String> + '_ {
        self.secrets
            .iter()
            .map(|secret| String::from_utf8_lossy(&secret.value).into_owned())
    }

    /// Every secret that stands in the text, except those whose name it may carry.
    pub fn leaks(&self, text: &str, may_carry: &[&str]) -> Vec<Leak> {
        // Most forms stand nowhere, and this says so at once.
        let beginnings: HashSet<&[u8]> = text.as_bytes().windows(LEAST_BYTES).collect();
        let place = |form: &str| {
            let may_be_there = beginnings.contains(&form.as_bytes()[..LEAST_BYTES]);
            may_be_there.then(|| text.find(form)).flatten()
        };
        let of_secret = |secret: &Secret| {
            let mut forms = secret.forms.iter();
            let (at, written, form) =
                forms.find_map(|(form, written)| Some((place(written)?, written, *form)))?;
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.ceil_char_boundary((at + written.len() + 100).min(text.len()));
            Some(Leak {
                secret: secret.name,
                form,
                context: text[from..to].to_owned(),
            })
        };
        let watched = self
            .secrets
            .iter()
            .filter(|secret| !may_carry.contains(&secret.name));
        watched.filter_map(of_secret).collect()
    }
}

fn forms(value: &[u8]) -> Vec<(&'static str, String)> {
    let mut forms = Vec::new();
    if let Ok(text) = std::str::from_utf8(value) {
        let quoted = |text: String| text[1..text.len() - 1].to_owned();
        forms.push(("plain", text.to_owned()));
        forms.push(("JSON", quoted(serde_json::to_string(text).unwrap())));
        // A JSON text within a JSON text.
        let twice = quoted(serde_json::to_string(&quoted(serde_json::to_string(text).unwrap())).unwrap());
        forms.push(("JSON twice", twice));
        forms.push(("Rust debug", quoted(format!("{text:?}"))));
        forms.push(("HTML", html(text)));
    }
    let escaped = ["-_.~", "-_.!~*'()", ""].map(|kept| percent(value, kept));
    for upper in escaped.into_iter().chain([byte_serialize(value).collect()]) {
        forms.push(("percent, lower case", lower_escapes(&upper)));
        forms.push(("percent", upper));
    }
    for offset in 0..3 {
        forms.push(("base64", base64_within(&STANDARD_NO_PAD, value, offset)));
        forms.push(("base64url", base64_within(&URL_SAFE_NO_PAD, value, offset)));
    }
    forms.push(("hex", hex::encode(value)));
    forms.push(("hex, upper case", hex::encode_upper(value)));
    let numbers: Vec<_> = value.iter().map(u8::to_string).collect();
    forms.push(("bytes", numbers.join(", ")));
    forms.push(("bytes as JSON", numbers.join(",")));
    let mut known = HashSet::new();
    forms.retain(|(_, written)| known.insert(written.clone()));
    forms
}

/// What every base64 text holds that encodes these bytes after so many others (modulo 3), whatever stands around them.
fn base64_within(engine: &impl Engine, value: &[u8], offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(value);
    let text = engine.encode(&bytes);
    let begin = (offset * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    text[begin..end].to_owned()
}

fn percent(value: &[u8], kept: &str) -> String {
    let escaped = |byte: &u8| {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(byte) {
            char::from(*byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    value.iter().map(escaped).collect()
}

fn lower_escapes(text: &str) -> String {
    let mut escaped = 0_u8;
    let lower = |letter: char| {
        let digit = escaped > 0;
        escaped = if letter == '%' {
            2
        } else {
            escaped.saturating_sub(1)
        };
        if digit {
            letter.to_ascii_lowercase()
        } else {
            letter
        }
    };
    text.chars().map(lower).collect()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Zürich & \"Q3\" <a+b/c=>";

    fn found(text: &str) -> bool {
        let mut detector = Detector::default();
        detector.add("another", "something-else-entirely");
        detector.add("the secret", SECRET);
        let leaks = detector.leaks(text, &[]);
        assert!(leaks.iter().all(|leak| leak.secret == "the secret"));
        assert_eq!(
            detector.leaks(text, &["the secret"]),
            [],
            "a place that may carry it"
        );
        !leaks.is_empty()
    }

    #[test]
    fn a_planted_secret_is_found_however_it_is_written() {
        let json = serde_json::json!({ "a": ["b", SECRET] }).to_string();
        let url = url::Url::parse_with_params("https://zoom.example/x?y=z", [("s", SECRET)]).unwrap();
        for text in [
            format!("before{SECRET}after"),
            serde_json::json!({ "message": json.clone() }).to_string(),
            json,
            format!("{:?}", Some(SECRET)),
            url.to_string(),
            url.to_string()
                .to_lowercase()
                .replace('z', "Z")
                .replace("q3", "Q3"),
            "<p>Z\u{fc}rich &amp; &quot;Q3&quot; &lt;a+b/c=&gt;</p>".to_owned(),
            format!("{:?}", SECRET.as_bytes()),
            serde_json::json!(SECRET.as_bytes()).to_string(),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
        ] {
            assert!(found(&text), "{text}");
        }
        for before in ["", "i", "id", "id:", "name:", "12345:"] {
            for after in ["", "!", "!!", "!!!"] {
                let whole = format!("{before}{SECRET}{after}");
                assert!(
                    found(&format!("Basic {}", STANDARD_NO_PAD.encode(&whole))),
                    "{whole}"
                );
                assert!(found(&URL_SAFE_NO_PAD.encode(&whole)), "{whole}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        assert!(!found("Zürich, Q3"));
        assert!(!found(""));
    }
}
