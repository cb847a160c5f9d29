//! The one table of what can go wrong, as callers see it (RFC 9457).
//!
//! A room answers `Err(ProblemError)`. Its `detail` is written for the caller; its cause goes to the log and nowhere else.
//! On the public listener a browser gets the same as a page (see [`crate::guard`]).

mod error;
mod table;

use serde::Serialize;

pub use error::{FieldError, ProblemError};
pub use table::Problem;

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// A row of the published list of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ProblemEntry {
    /// `urn:domicile:problem:<id>`.
    #[serde(rename = "type")]
    pub type_uri: &'static str,
    /// The last part of the type.
    pub id: &'static str,
    /// What it is, in a few words that never change.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Whether the same request may succeed later without anybody changing anything.
    pub retryable: bool,
    /// What the caller does about it.
    pub cure: &'static str,
}

/// Every problem, for the published list; complete because it is the table.
pub fn all() -> impl Iterator<Item = ProblemEntry> {
    Problem::ALL.iter().map(|problem| ProblemEntry {
        type_uri: problem.type_uri(),
        id: problem.id(),
        title: problem.title(),
        status: problem.status().as_u16(),
        retryable: problem.is_retryable(),
        cure: problem.cure(),
    })
}

/// The list as Markdown: the content of `PROBLEMS.md`.
pub fn markdown() -> String {
    let mut text = "# Problems\n\n\
        Every error of the App API is an `application/problem+json` document (RFC 9457) whose `type` is \
        `urn:domicile:problem:<id>`.\n\
        Decide by `type`, never by `detail`. `retryable` says whether the same request may succeed later; `Retry-After`, \
        where it is there, says when.\n\
        `errors` lists the members that are not valid, each with `field` and `message`. `request_id` is what the region's \
        operators look for.\n\n\
        | id | status | retryable | title | what to do |\n| --- | --- | --- | --- | --- |\n"
        .to_owned();
    text.extend(all().map(|entry| {
        let retryable = if entry.retryable { "yes" } else { "no" };
        format!(
            "| `{}` | {} | {retryable} | {} | {} |\n",
            entry.id, entry.status, entry.title, entry.cure
        )
    }));
    text
}

/// The document as it is sent (RFC 9457 section 3).
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    #[serde(rename = "type")]
    pub(crate) type_uri: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<&'a str>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    pub(crate) errors: &'a [FieldError],
    pub(crate) retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
}
