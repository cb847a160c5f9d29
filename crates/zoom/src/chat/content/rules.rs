//! What holds for every text and link of a content, whichever element it is in.

use std::net::IpAddr;

use serde_json::Value;
use url::{Host, Url};

use super::fault::{ContentFault, Fault};

/// How much a content may hold. Zoom publishes no limits; what is more than this is refused here, with its place, and not
/// by Zoom with code 7001 and without one.
pub mod limits {
    /// Characters of a text. Low certainty: only the machine-written pages of Zoom's `skills` repository give the number.
    pub const TEXT_CHARACTERS: usize = 4096;
    /// Buttons of one `actions`. Low certainty: from the same pages.
    pub const BUTTONS: usize = 5;
    /// Elements of a body or of a section. Our own bound.
    pub const BODY_ELEMENTS: usize = 100;
    /// Items of `fields` and of a `select`. Our own bound.
    pub const ITEMS: usize = 100;
    /// Bytes of the whole as JSON. Our own bound: Zoom sends the whole card back with each click on it.
    pub const BYTES: usize = 32 * 1024;
    /// Levels of lists and objects. Our own bound.
    pub const LEVELS: usize = 16;
    /// Sections in sections. Our own bound.
    pub const SECTIONS: usize = 4;
}

/// Checks size, depth, texts and links.
pub(super) fn check(value: &Value, faults: &mut Vec<ContentFault>) {
    if value.to_string().len() > limits::BYTES {
        faults.push(ContentFault {
            field: "content".to_owned(),
            fault: Fault::TooLarge { bytes: limits::BYTES },
        });
    }
    walk("content", "", value, limits::LEVELS, faults);
}

fn walk(path: &str, name: &str, value: &Value, levels: usize, faults: &mut Vec<ContentFault>) {
    let mut fault = |fault| {
        faults.push(ContentFault {
            field: path.to_owned(),
            fault,
        });
    };
    match value {
        Value::String(text) if text.chars().count() > limits::TEXT_CHARACTERS => fault(Fault::TooLong {
            characters: limits::TEXT_CHARACTERS,
        }),
        Value::String(text) if is_link(name) && !may_be_shown(text) => fault(Fault::NotALink),
        Value::Array(_) | Value::Object(_) if levels == 0 => fault(Fault::TooDeep {
            levels: limits::LEVELS,
        }),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), name, item, levels - 1, faults);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                walk(
                    &format!("{path}.{}", shown(name)),
                    name,
                    value,
                    levels - 1,
                    faults,
                );
            }
        }
        _ => {}
    }
}

/// Whether a member of this name holds a link, in an element of whichever kind.
fn is_link(name: &str) -> bool {
    matches!(name, "link" | "url" | "footer_icon") || name.ends_with("_url") || name.ends_with("Url")
}

/// A name as a path shows it: the app's own words, but not pages of them.
fn shown(name: &str) -> &str {
    name.char_indices()
        .nth(64)
        .map_or(name, |(end, _)| name.get(..end).unwrap_or(name))
}

/// https, or http to a loopback host, as in development.
fn may_be_shown(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => return false,
    };
    let scheme = url.scheme() == "https" || (loopback && url.scheme() == "http");
    scheme && url.username().is_empty() && url.password().is_none()
}
