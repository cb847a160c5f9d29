//! Which calls may be passed through.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Method;
use thiserror::Error;
use url::form_urlencoded;

use super::CallRefused;
use super::segment::Segment;

const MAX_SEGMENTS: usize = 12;
const MAX_QUERY_BYTES: usize = 4096;
const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// The calls of Zoom's API that may be made with a link's token: a comma list of `METHOD /path`, such as
/// `GET /meetings/{meetingId}/recordings`, or `none`. `{name}` stands for one segment that is an id.
#[derive(Debug, Clone)]
pub struct CallRules(Arc<[Rule]>);

#[derive(Debug)]
struct Rule {
    method: Method,
    pattern: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Id { is_user: bool, may_be_uuid: bool },
}

/// Why a list of calls is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidCallRules {
    /// An entry has another form.
    #[error(
        "{0:?} is not METHOD /path; write GET /users/me/recordings, and {{name}} for a segment that is an id"
    )]
    Form(String),
    /// A method that Zoom's API does not know.
    #[error("{0:?} has another method than GET, HEAD, POST, PUT, PATCH and DELETE")]
    Method(String),
    /// Its answer is a credential, which the app must not hold.
    #[error("{0:?} hands out a credential, which is never passed through")]
    Credential(String),
    /// The same call stands there twice.
    #[error("{0:?} is there twice")]
    Twice(String),
}

/// A call that a rule allows: what Zoom will see, and nothing that the client wrote stands in it unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedCall {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pattern: String,
}

impl AllowedCall {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The pattern that allows it, such as `/meetings/{meetingId}/recordings`: fit for logs, as the path is not.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether it may change anything at Zoom.
    pub fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl CallRules {
    /// Holds a call against the rules. `path` and `query` are as the client wrote them: the path without the slash in
    /// front, both percent-encoded.
    pub fn allow(&self, method: &Method, path: &str, query: &str) -> Result<AllowedCall, CallRefused> {
        let segments = path
            .split('/')
            .map(Segment::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let rule = self
            .0
            .iter()
            .filter(|rule| rule.method == method && rule.matches(&segments))
            .max_by_key(|rule| rule.literals())
            .ok_or(CallRefused::NotListed)?;
        let encoded: Vec<_> = segments.iter().map(Segment::encode).collect();
        Ok(AllowedCall {
            method: rule.method.clone(),
            path: encoded.join("/"),
            query: read_query(query)?,
            pattern: rule.pattern.clone(),
        })
    }
}

impl Rule {
    fn matches(&self, segments: &[Segment]) -> bool {
        self.parts.len() == segments.len()
            && self
                .parts
                .iter()
                .zip(segments)
                .all(|(part, segment)| part.matches(segment))
    }

    fn literals(&self) -> usize {
        self.parts
            .iter()
            .filter(|part| matches!(part, Part::Literal(_)))
            .count()
    }
}

impl Part {
    fn matches(&self, segment: &Segment) -> bool {
        match self {
            Self::Literal(literal) => segment.text() == literal,
            Self::Id { is_user, may_be_uuid } => {
                (!segment.is_name() || (*is_user && segment.text() == "me"))
                    && (!segment.holds_slash() || *may_be_uuid)
            }
        }
    }
}

/// Reads the query, which is written anew from this. No parameter may ask for a credential, nor carry one (Zoom refuses
/// access tokens in URLs since 2023, and they would stand in its logs).
fn read_query(query: &str) -> Result<Vec<(String, String)>, CallRefused> {
    if query.len() > MAX_QUERY_BYTES {
        return Err(CallRefused::Query("it is too long"));
    }
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for (name, value) in &pairs {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b);
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(CallRefused::Query(
                "a parameter has no name, or one that Zoom does not know",
            ));
        }
        if value
            .chars()
            .any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER)
        {
            return Err(CallRefused::Query("a value is not text"));
        }
        let name = name.to_ascii_lowercase();
        if name.starts_with("access_token") {
            return Err(CallRefused::Query("access_token: the link's own token is used"));
        }
        if name.starts_with("include_fields") && !only_plain_fields(value) {
            return Err(CallRefused::Query(
                "include_fields: no field that is a token can be asked for",
            ));
        }
    }
    Ok(pairs)
}

fn only_plain_fields(list: &str) -> bool {
    list.split(',').all(|field| {
        let field = field.trim();
        !field.to_ascii_lowercase().contains("token")
            && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

impl FromStr for CallRules {
    type Err = InvalidCallRules;

    fn from_str(text: &str) -> Result<Self, InvalidCallRules> {
        if text.trim() == "none" {
            return Ok(Self(Arc::new([])));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let rule = rule(entry)?;
            if rules.iter().any(|known| known.is_same_as(&rule)) {
                return Err(InvalidCallRules::Twice(entry.to_owned()));
            }
            rules.push(rule);
        }
        if rules.is_empty() {
            return Err(InvalidCallRules::Form(text.to_owned()));
        }
        Ok(Self(rules.into()))
    }
}

impl Rule {
    fn is_same_as(&self, other: &Self) -> bool {
        let same = |one: &Part, two: &Part| match (one, two) {
            (Part::Literal(one), Part::Literal(two)) => one == two,
            (Part::Id { .. }, Part::Id { .. }) => true,
            _ => false,
        };
        self.method == other.method
            && self.parts.len() == other.parts.len()
            && self
                .parts
                .iter()
                .zip(&other.parts)
                .all(|(one, two)| same(one, two))
    }
}

fn rule(entry: &str) -> Result<Rule, InvalidCallRules> {
    let form = || InvalidCallRules::Form(entry.to_owned());
    let (method, path) = entry.split_once(char::is_whitespace).ok_or_else(form)?;
    let path = path.trim_start();
    let method = METHODS
        .into_iter()
        .find(|known| known.as_str() == method)
        .ok_or_else(|| InvalidCallRules::Method(entry.to_owned()))?;
    let parts = path
        .strip_prefix('/')
        .ok_or_else(form)?
        .split('/')
        .map(|text| part(text).ok_or_else(form))
        .collect::<Result<Vec<_>, _>>()?;
    if parts.len() > MAX_SEGMENTS {
        return Err(form());
    }
    if parts.iter().any(Part::hands_out_credential) {
        return Err(InvalidCallRules::Credential(entry.to_owned()));
    }
    Ok(Rule {
        method,
        pattern: path.to_owned(),
        parts,
    })
}

fn part(text: &str) -> Option<Part> {
    if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        let is_identifier = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let lower = name.to_ascii_lowercase();
        return is_identifier.then(|| Part::Id {
            is_user: lower.starts_with("user"),
            may_be_uuid: ["meeting", "webinar"].iter().any(|kind| lower.starts_with(kind)),
        });
    }
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    is_name.then(|| Part::Literal(text.to_owned()))
}

impl Part {
    /// Zoom's `/users/{userId}/token`, `/users/me/zak` and `/meetings/{meetingId}/jointoken/...` answer with tokens.
    fn hands_out_credential(&self) -> bool {
        match self {
            Self::Literal(text) => {
                let text = text.to_ascii_lowercase();
                text.contains("token") || text == "zak"
            }
            Self::Id { .. } => false,
        }
    }
}

impl fmt::Display for CallRules {
    /// The list as the setting writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, rule) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", rule.method, rule.pattern)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
