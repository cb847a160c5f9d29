//! Where a ciphertext belongs.

use uuid::Uuid;

/// The table, column and row of a ciphertext, authenticated with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    row: Uuid,
}

impl Place {
    /// The place of one column of one row.
    pub fn new(table: &'static str, column: &'static str, row: impl Into<Uuid>) -> Self {
        Self {
            table,
            column,
            row: row.into(),
        }
    }

    /// The associated data: every part ends with a byte that no name holds, so two places never read the same.
    pub(crate) fn associated_data(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.table.len() + self.column.len() + 18);
        bytes.extend_from_slice(self.table.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.column.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.row.as_bytes());
        bytes
    }
}
