//! Coding bodies before they are sealed. Zoom's bodies share most of their text, so that a dictionary halves them, and with them
//! what PostgreSQL writes and keeps.

use std::cell::RefCell;

use domicile_kernel::Secret;
use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};

/// What the column `inbox.body_encoding` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEncoding {
    /// As Zoom sent it.
    Identity,
    /// Zstandard (RFC 8878) with the first dictionary.
    Zstd1,
}

/// A body that cannot be coded or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// The compression library refused.
    #[error("the body cannot be coded")]
    Encode,
    /// The bytes are not what the column says.
    #[error("the body cannot be decoded")]
    Decode,
    /// A newer version wrote the row.
    #[error("the body is coded in a way that this version does not know")]
    Unknown,
}

/// Text that is in most of Zoom's bodies. Rows that were written with it need it as it is: a better one gets another name.
const DICTIONARY_1: &[u8] = include_bytes!("encoding/dictionary-1.txt");

/// The fastest level that gains: higher ones cost more than they spare PostgreSQL.
const LEVEL: i32 = -5;

/// Below this nothing is gained.
const SMALLEST: usize = 256;

impl BodyEncoding {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Zstd1 => "zstd-1",
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Self, EncodingError> {
        match name {
            "identity" => Ok(Self::Identity),
            "zstd-1" => Ok(Self::Zstd1),
            _ => Err(EncodingError::Unknown),
        }
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Codes a body where that makes it smaller; nothing: it stays as it is.
pub(crate) fn encode(body: &[u8]) -> Result<Option<Vec<u8>>, EncodingError> {
    if body.len() < SMALLEST {
        return Ok(None);
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => {
                let made = Compressor::with_dictionary(LEVEL, DICTIONARY_1);
                slot.insert(made.map_err(|_| EncodingError::Encode)?)
            }
        };
        let coded = compressor.compress(body).map_err(|_| EncodingError::Encode)?;
        Ok((coded.len() < body.len()).then_some(coded))
    })
}

/// The body again, of this size.
pub(crate) fn decode(
    encoding: BodyEncoding,
    coded: Secret<Vec<u8>>,
    size_bytes: usize,
) -> Result<Secret<Vec<u8>>, EncodingError> {
    match encoding {
        BodyEncoding::Identity => Ok(coded),
        BodyEncoding::Zstd1 => Decompressor::with_dictionary(DICTIONARY_1)
            .and_then(|mut decompressor| decompressor.decompress(coded.expose(), size_bytes))
            .map(Secret::new)
            .map_err(|_| EncodingError::Decode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(body: &[u8]) -> Vec<u8> {
        let (encoding, coded) = match encode(body).unwrap() {
            Some(coded) => (BodyEncoding::Zstd1, coded),
            None => (BodyEncoding::Identity, body.to_vec()),
        };
        let again = BodyEncoding::from_name(encoding.as_str()).unwrap();
        let decoded = decode(again, Secret::new(coded), body.len()).unwrap();
        decoded.expose().clone()
    }

    #[test]
    fn a_typical_event_becomes_much_smaller_although_it_is_short() {
        let body = br#"{"event":"recording.completed","event_ts":1780315000000,"payload":{"account_id":"AAAAAAAAAAAAAAAAAAAAAA","object":{"uuid":"4444AAAiAAAAAiAiAiiAii==","id":97763643886,"account_id":"AAAAAAAAAAAAAAAAAAAAAA","host_id":"BBBBBBBBBBBBBBBBBBBBBB","topic":"Weekly review","type":8,"start_time":"2026-11-26T01:00:00Z","timezone":"Europe/Berlin","host_email":"ann@example.com","duration":50,"total_size":73306855,"recording_count":1,"share_url":"https://us06web.zoom.us/rec/share/x","recording_files":[]}}}"#;
        let coded = encode(body).unwrap().unwrap();
        assert!(coded.len() * 2 < body.len(), "{} of {}", coded.len(), body.len());
        assert_eq!(round_trip(body), body);
    }

    #[test]
    fn what_would_not_shrink_stays_as_it_is() {
        assert_eq!(encode(b"{}").unwrap(), None);
        let noise: Vec<u8> = (0..500_u32)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).rotate_left(i % 32).to_le_bytes())
            .collect();
        assert_eq!(round_trip(&noise), noise);
    }

    #[test]
    fn bytes_that_are_not_what_the_column_says_are_an_error() {
        let coded = Secret::new(b"no such frame".to_vec());
        assert_eq!(
            decode(BodyEncoding::Zstd1, coded, 100).err(),
            Some(EncodingError::Decode)
        );
        assert_eq!(BodyEncoding::from_name("zstd-2"), Err(EncodingError::Unknown));
    }

    proptest! {
        #[test]
        fn every_body_comes_back_byte_for_byte(body in prop::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(round_trip(&body), body);
        }
    }
}
