//! The names of objects.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The most bytes of a whole key; with a prefix of the same size it still fits into S3's 1024.
const MAX_KEY_BYTES: usize = 512;
/// The most bytes of one segment; file systems end at 255.
const MAX_SEGMENT_BYTES: usize = 128;

/// The name of an object below the storage's prefix: segments of `[A-Za-z0-9._-]`, joined by `/`, none of them empty or
/// beginning with a dot. The same text is safe as an S3 key, a path and a URL. Build keys of ids alone: names of objects
/// are not sealed (INV-8).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Why a text is no object key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidObjectKey {
    /// It is empty or longer than 512 bytes.
    #[error("an object key has 1 to {MAX_KEY_BYTES} bytes")]
    Length,
    /// A segment is empty, too long, begins with a dot or has other characters.
    #[error(
        "a segment of an object key has 1 to {MAX_SEGMENT_BYTES} of A-Z, a-z, 0-9, '.', '_' and '-' and does not begin \
         with '.'"
    )]
    Segment,
}

impl ObjectKey {
    /// Reads `a/b/c`.
    pub fn parse(text: &str) -> Result<Self, InvalidObjectKey> {
        if text.is_empty() || text.len() > MAX_KEY_BYTES {
            return Err(InvalidObjectKey::Length);
        }
        if !text.split('/').all(is_segment) {
            return Err(InvalidObjectKey::Segment);
        }
        Ok(Self(text.to_owned()))
    }

    /// Joins segments, none of which may hold a `/`.
    pub fn from_segments<S: fmt::Display>(
        segments: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidObjectKey> {
        let segments: Vec<_> = segments.into_iter().map(|segment| segment.to_string()).collect();
        if segments.iter().any(|segment| !is_segment(segment)) {
            return Err(InvalidObjectKey::Segment);
        }
        Self::parse(&segments.join("/"))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidObjectKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_segment(text: &str) -> bool {
    (1..=MAX_SEGMENT_BYTES).contains(&text.len())
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_make_a_key() {
        let key = ObjectKey::from_segments(["recordings", "0192f5c0-aaaa", "file.mp4"]).unwrap();
        assert_eq!(key.as_str(), "recordings/0192f5c0-aaaa/file.mp4");
        assert_eq!(ObjectKey::parse(key.as_str()), Ok(key));
    }

    #[test]
    fn what_could_leave_the_prefix_or_hide_is_no_key() {
        for bad in [
            "", "/", "a//b", "/a", "a/", "..", "a/../b", ".hidden", "a/.b", "a b", "a#1", "ä", "a\\b", "a%2f",
        ] {
            assert!(ObjectKey::parse(bad).is_err(), "{bad}");
        }
        assert!(ObjectKey::from_segments(["a/b"]).is_err());
        assert!(ObjectKey::from_segments(Vec::<String>::new()).is_err());
        assert!(ObjectKey::parse(&"a".repeat(129)).is_err());
        assert!(ObjectKey::parse(&vec!["a".repeat(100); 6].join("/")).is_err());
    }

    proptest! {
        #[test]
        fn every_key_is_a_path_of_object_store_unchanged(text in "\\PC{0,20}|[a-zA-Z0-9._/-]{1,30}") {
            if let Ok(key) = ObjectKey::parse(&text) {
                let path = object_store::path::Path::parse(key.as_str()).unwrap();
                prop_assert_eq!(path.as_ref(), key.as_str());
            }
        }
    }
}
