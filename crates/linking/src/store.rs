//! The queries of linking.

pub(crate) mod admissions;
pub(crate) mod grants;
pub(crate) mod links;
pub(crate) mod sessions;

use domicile_kernel::Subject;
use domicile_store::StoreError;

/// Reads a subject column.
pub(crate) fn subject(column: &'static str, text: String) -> Result<Subject, StoreError> {
    Subject::try_from(text).map_err(|_| StoreError::Corrupt { column })
}
