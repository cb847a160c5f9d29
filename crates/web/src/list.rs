//! Lists: `{"data": [...], "next_cursor": null}`, read page by page.
//!
//! A cursor is the sort key of the last item of a page, in a form that callers pass back unread. It names a place, not a
//! page number, so nothing is skipped or shown twice when rows come and go in between.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::problem::ProblemError;

/// How many items a page has when the caller does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// The most items of a page.
pub const MAX_LIMIT: u32 = 200;

const MAX_CURSOR_BYTES: usize = 1024;

/// The two parameters that every list takes; flatten it into a list's own query with the list's filters beside it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PageQuery {
    /// How many items, 1 to [`MAX_LIMIT`]; text, because serde reads a flattened query as text alone.
    pub limit: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl PageQuery {
    /// The number of items to return.
    pub fn limit(&self) -> Result<u32, ProblemError> {
        match self.limit.as_deref() {
            None => Ok(DEFAULT_LIMIT),
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| {
                    ProblemError::invalid("limit", format!("must be a number from 1 to {MAX_LIMIT}"))
                }),
        }
    }

    /// The sort key after which to begin.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, ProblemError> {
        self.cursor.as_ref().map(Cursor::key).transpose()
    }
}

/// A place in a list. Opaque to callers; not secret and not signed, so its key must hold nothing but a place in a list
/// whose rows are checked against the caller's rights anyway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// The place of the item with this sort key.
    pub fn of<K: Serialize>(key: &K) -> Result<Self, ProblemError> {
        let json = serde_json::to_vec(key).map_err(ProblemError::internal)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(json)))
    }

    /// The sort key; a cursor that this list did not make is a validation problem.
    pub fn key<K: DeserializeOwned>(&self) -> Result<K, ProblemError> {
        let invalid =
            || ProblemError::invalid("cursor", "must be the next_cursor of a page of the same list");
        if self.0.len() > MAX_CURSOR_BYTES {
            return Err(invalid());
        }
        let json = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| invalid())?;
        serde_json::from_slice(&json).map_err(|_| invalid())
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page of at most `limit` of these rows. Read one row more than the limit: it tells that there is a next page.
    pub fn of<K: Serialize>(
        mut rows: Vec<T>,
        limit: u32,
        key: impl FnOnce(&T) -> K,
    ) -> Result<Self, ProblemError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(Cursor::of(&key(last))?),
            _ => None,
        };
        Ok(Self {
            data: rows,
            next_cursor,
        })
    }

    /// The same page with each item turned into its public form.
    pub fn map<U>(self, form: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(form).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_last_page_has_no_cursor() {
        let page = Page::of(vec![1, 2], 2, |row| *row).unwrap();
        assert_eq!(
            serde_json::to_value(page).unwrap(),
            json!({"data": [1, 2], "next_cursor": null})
        );
        let empty = Page::of(Vec::<u8>::new(), 2, |row| *row).unwrap();
        assert_eq!(
            serde_json::to_value(empty).unwrap(),
            json!({"data": [], "next_cursor": null})
        );
    }

    #[test]
    fn a_list_is_read_to_its_end_without_gap_or_repetition() {
        let rows: Vec<u32> = (0..10).collect();
        let mut read = Vec::new();
        let mut query = PageQuery {
            limit: Some("3".to_owned()),
            cursor: None,
        };
        loop {
            let after: Option<u32> = query.after().unwrap();
            let limit = query.limit().unwrap();
            let found = rows
                .iter()
                .copied()
                .filter(|row| after.is_none_or(|after| *row > after))
                .take(limit as usize + 1)
                .collect();
            let page = Page::of(found, limit, |row| *row).unwrap();
            read.extend(page.data);
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(read, rows);
    }

    #[test]
    fn a_limit_out_of_bounds_names_the_parameter() {
        for text in ["0", "201", "-1", "many", ""] {
            let query = PageQuery {
                limit: Some(text.to_owned()),
                cursor: None,
            };
            assert_eq!(
                query.limit().unwrap_err().field_errors()[0].field,
                "limit",
                "{text}"
            );
        }
        assert_eq!(PageQuery::default().limit().unwrap(), DEFAULT_LIMIT);
    }

    #[test]
    fn the_parameters_stand_beside_a_lists_own_filters() {
        #[derive(Deserialize)]
        struct Links {
            subject: String,
            #[serde(flatten)]
            page: PageQuery,
        }

        let cursor = Cursor::of(&7).unwrap();
        let query = format!("subject=user%3A1&limit=3&cursor={}", cursor.0);
        let links = actix_web::web::Query::<Links>::from_query(&query).unwrap();
        assert_eq!(links.subject, "user:1");
        assert_eq!(links.page.limit().unwrap(), 3);
        assert_eq!(links.page.after::<u8>().unwrap(), Some(7));
        let plain = actix_web::web::Query::<Links>::from_query("subject=x").unwrap();
        assert_eq!(plain.page.after::<u8>().unwrap(), None);
    }

    proptest! {
        #[test]
        fn a_key_survives_its_cursor(time in any::<i64>(), id in "\\PC{0,40}") {
            let cursor = Cursor::of(&(time, id.clone())).unwrap();
            prop_assert!(cursor.0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(cursor.key::<(i64, String)>().unwrap(), (time, id));
        }

        #[test]
        fn a_foreign_cursor_is_a_validation_problem(text in "\\PC{0,60}") {
            if let Err(error) = Cursor(text).key::<(i64, String)>() {
                prop_assert_eq!(error.problem(), crate::problem::Problem::ValidationFailed);
            }
        }
    }
}
