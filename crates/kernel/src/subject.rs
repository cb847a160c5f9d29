//! Whom the app links.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Whether a link is to one Zoom user or to a whole Zoom account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// `user:...`, linked to a Zoom user (user-managed app).
    User,
    /// `org:...`, linked to a Zoom account (admin-managed app).
    Org,
}

/// The app's own name for a user or an organisation: `user:12345` or `org:acme`.
///
/// Opaque to Domicile: it is compared byte for byte and never taken apart beyond its prefix.
/// At most 200 bytes; no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

/// Why a text is no subject.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSubject {
    /// The prefix is missing or unknown.
    #[error("a subject begins with 'user:' or 'org:'")]
    Prefix,
    /// Nothing follows the prefix.
    #[error("a subject needs at least one character after its prefix")]
    Empty,
    /// More than 200 bytes.
    #[error("a subject has at most 200 bytes")]
    TooLong,
    /// A control character, which could forge lines of a log.
    #[error("a subject holds no control characters")]
    ControlCharacter,
}

impl Subject {
    /// The most bytes that a subject may have.
    pub const MAX_LENGTH_BYTES: usize = 200;

    /// The subject as the app wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// User or organisation.
    pub fn kind(&self) -> SubjectKind {
        if self.0.starts_with("org:") {
            SubjectKind::Org
        } else {
            SubjectKind::User
        }
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text
            .strip_prefix("user:")
            .or_else(|| text.strip_prefix("org:"))
            .ok_or(InvalidSubject::Prefix)?;
        if rest.is_empty() {
            return Err(InvalidSubject::Empty);
        }
        if text.len() > Self::MAX_LENGTH_BYTES {
            return Err(InvalidSubject::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidSubject::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn user_and_org_are_told_apart() {
        assert_eq!("user:1".parse::<Subject>().unwrap().kind(), SubjectKind::User);
        assert_eq!("org:acme".parse::<Subject>().unwrap().kind(), SubjectKind::Org);
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!("12345".parse::<Subject>(), Err(InvalidSubject::Prefix));
        assert_eq!("user:".parse::<Subject>(), Err(InvalidSubject::Empty));
        assert_eq!(
            format!("user:{}", "x".repeat(196)).parse::<Subject>(),
            Err(InvalidSubject::TooLong)
        );
        assert_eq!(
            "user:a\nb".parse::<Subject>(),
            Err(InvalidSubject::ControlCharacter)
        );
    }

    proptest! {
        #[test]
        fn what_parses_is_kept_byte_for_byte(text in "(user|org):[^\\p{C}]{1,40}") {
            prop_assume!(text.len() <= Subject::MAX_LENGTH_BYTES);
            let subject = text.parse::<Subject>().unwrap();
            prop_assert_eq!(subject.as_str(), text);
        }
    }
}
