//! The id of a region.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The id of one deployment, such as `eu`: 1 to 32 of `[a-z0-9-]`, a letter first, no hyphen last,
/// so that it can stand in host names, bucket names and Kubernetes names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegionId(String);

/// Why a text is no region id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a region id is 1 to 32 characters of a-z, 0-9 and '-', begins with a letter and does not end with '-'"
)]
pub struct InvalidRegionId;

impl RegionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegionId {
    type Err = InvalidRegionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && !text.ends_with('-');
        valid.then(|| Self(text.to_owned())).ok_or(InvalidRegionId)
    }
}

impl TryFrom<String> for RegionId {
    type Error = InvalidRegionId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RegionId> for String {
    fn from(id: RegionId) -> Self {
        id.0
    }
}

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
