//! Rows of the inbox in PostgreSQL's binary copy format ("COPY", "Binary Format" in its manual).

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use domicile_kernel::{ZoomAccountId, ZoomUserId};
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::InboxRow;

/// Takes what [`encode`] makes. PostgreSQL plans nothing for it and writes many rows to a page at a time, which costs it a third of
/// what an `INSERT` of the same rows does.
pub(super) const COPY: &str = "\
COPY inbox (id, endpoint, digest, status, event_type, zoom_account_id, zoom_user_id, zoom_client_id, zoom_request_id,
    traceparent, event_at, received_at, body_sealed, body_encoding, body_size_bytes, attempts, due_at, finished_at, reason)
FROM STDIN (FORMAT binary)";

const MAGIC: &[u8] = b"PGCOPY\n\xff\r\n\0";
const COLUMNS: i16 = 19;
/// A piece ends with the row that reaches this, so that it is still in the processor's cache when it is sent.
const PIECE_BYTES: usize = 32 * 1024;
/// A typical row.
const ROW_BYTES: usize = 2048;

/// The rows with head and trailer, in pieces.
pub(super) struct Encoded<'a> {
    rows: std::slice::Iter<'a, &'a InboxRow>,
    part: Part,
}

#[derive(PartialEq, Eq)]
enum Part {
    Head,
    Rows,
    End,
}

/// Encodes the rows as they are asked for.
pub(super) fn encode<'a>(rows: &'a [&'a InboxRow]) -> Encoded<'a> {
    Encoded {
        rows: rows.iter(),
        part: Part::Head,
    }
}

impl Iterator for Encoded<'_> {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.part == Part::End {
            return None;
        }
        let mut to = Encoder(BytesMut::with_capacity(PIECE_BYTES + ROW_BYTES));
        if self.part == Part::Head {
            to.head();
            self.part = Part::Rows;
        }
        while to.0.len() < PIECE_BYTES {
            let Some(row) = self.rows.next() else {
                to.0.put_i16(-1);
                self.part = Part::End;
                break;
            };
            if let Err(error) = to.row(row) {
                self.part = Part::End;
                return Some(Err(error));
            }
        }
        Some(Ok(to.0.freeze()))
    }
}

struct Encoder(BytesMut);

impl Encoder {
    fn head(&mut self) {
        self.0.put_slice(MAGIC);
        // No flags, no extension.
        self.0.put_i64(0);
    }

    fn row(&mut self, row: &InboxRow) -> io::Result<()> {
        let status = match row.quarantined {
            None => "pending",
            Some(_) => "quarantined",
        };
        self.0.put_i16(COLUMNS);
        self.value(&row.id.as_uuid(), &Type::UUID)?;
        self.text(row.endpoint)?;
        self.value(&row.digest.as_slice(), &Type::BYTEA)?;
        self.text(status)?;
        self.text(row.event_type.as_deref())?;
        self.text(row.zoom_account_id.as_ref().map(ZoomAccountId::as_str))?;
        self.text(row.zoom_user_id.as_ref().map(ZoomUserId::as_str))?;
        self.text(row.zoom_client_id.as_deref())?;
        self.text(row.zoom_request_id.as_deref())?;
        self.text(row.traceparent.as_deref())?;
        self.value(&row.event_at, &Type::TIMESTAMPTZ)?;
        self.value(&row.received_at, &Type::TIMESTAMPTZ)?;
        self.value(&row.body_sealed.as_slice(), &Type::BYTEA)?;
        self.text(row.body_encoding)?;
        self.value(&row.body_size_bytes, &Type::INT4)?;
        self.value(&0_i16, &Type::INT2)?;
        self.value(&row.received_at, &Type::TIMESTAMPTZ)?;
        self.value(&row.quarantined.map(|_| row.received_at), &Type::TIMESTAMPTZ)?;
        self.text(row.quarantined)
    }

    fn text<'a>(&mut self, text: impl Into<Option<&'a str>>) -> io::Result<()> {
        self.value(&text.into(), &Type::TEXT)
    }

    /// Its length and then its bytes.
    fn value<T: ToSql>(&mut self, value: &T, to: &Type) -> io::Result<()> {
        let start = self.0.len();
        self.0.put_i32(-1);
        let length_ends = self.0.len();
        if let IsNull::No = value.to_sql(to, &mut self.0).map_err(io::Error::other)? {
            let length = i32::try_from(self.0.len() - length_ends).map_err(io::Error::other)?;
            if let Some(place) = self.0.get_mut(start..length_ends) {
                place.copy_from_slice(&length.to_be_bytes());
            }
        }
        Ok(())
    }
}
