//! One segment of a path, decoded for good, and written so that Zoom reads the very same.

use domicile_kernel::MeetingUuid;

use super::super::path::{encode_meeting_uuid, encode_segment};
use super::CallRefused;

const LONGEST: usize = 128;

/// A segment whose text is what Zoom acts on. Percent-encodings are undone until none is left: Zoom's router decodes once
/// more than others do, so a text that could be decoded again would mean one thing here and another there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment(String);

impl Segment {
    /// Reads a segment as the client wrote it, percent-encoded at most twice.
    pub(super) fn parse(raw: &str) -> Result<Self, CallRefused> {
        let text = match decode(raw)? {
            once if once.contains('%') => decode(&once)?,
            once => once,
        };
        let is_uuid = text.contains('/');
        let allowed = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~@+=".contains(&b) || (is_uuid && b == b'/'));
        // Whole segments of dots are steps up, or may become ones.
        if text.is_empty()
            || text.len() > LONGEST
            || !allowed
            || text.bytes().all(|b| b == b'.')
            || (is_uuid && !is_meeting_uuid(&text))
        {
            return Err(CallRefused::Path);
        }
        Ok(Self(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// A slash within a segment stands in meeting uuids alone.
    pub(super) fn holds_slash(&self) -> bool {
        self.0.contains('/')
    }

    /// True for what may be an endpoint of Zoom's own, such as `/users/zpk` beside `/users/{userId}`: those are small
    /// letters with hyphens and underscores, which no id consists of.
    pub(super) fn is_name(&self) -> bool {
        self.0
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b"-_".contains(&b))
    }

    /// As it is sent: encoded once, or twice where it is a uuid that Zoom finds no other way.
    pub(super) fn encode(&self) -> String {
        if self.holds_slash() {
            encode_meeting_uuid(&MeetingUuid::new(self.0.as_str()))
        } else {
            encode_segment(&self.0)
        }
    }
}

/// Base64 of 16 bytes (platform: API; "uuid" of a meeting instance).
fn is_meeting_uuid(text: &str) -> bool {
    text.strip_suffix("==").is_some_and(|digits| {
        digits.len() == 22
            && digits
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
    })
}

/// Undoes percent-encoding once (RFC 3986 section 2.1). A percent sign without two digits is no encoding, and nothing
/// that is sent on holds one.
fn decode(text: &str) -> Result<String, CallRefused> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().and_then(|b| char::from(b).to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok())
        };
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => return Err(CallRefused::Path),
        }
    }
    String::from_utf8(bytes).map_err(|_| CallRefused::Path)
}
