//! One Zoom account's key, in memory.

use std::sync::Arc;

use domicile_kernel::{KeyId, Rng, Secret};
use uuid::Uuid;

use crate::cipher::Cipher;
use crate::error::VaultError;
use crate::place::Place;

/// The version of the layout: this byte, the data key's id, the nonce, the ciphertext, the tag.
const VERSION: u8 = 1;
const HEADER_LEN: usize = 1 + 16;

/// A data key, ready to seal and open without any I/O.
#[derive(Clone)]
pub struct DataKey {
    pub(crate) id: KeyId,
    pub(crate) cipher: Arc<Cipher>,
    pub(crate) rng: Arc<dyn Rng>,
}

impl DataKey {
    /// The key's id, which stands in each ciphertext that it makes.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Seals the bytes for this place.
    pub fn seal(&self, place: Place, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut sealed = Vec::with_capacity(HEADER_LEN + plaintext.len() + 28);
        sealed.push(VERSION);
        sealed.extend_from_slice(self.id.as_uuid().as_bytes());
        self.cipher
            .seal_into(
                self.rng.as_ref(),
                &place.associated_data(),
                plaintext,
                &mut sealed,
            )
            .map_err(|_| VaultError::Cipher)?;
        Ok(sealed)
    }

    /// Opens what this key sealed for this place.
    pub fn open(&self, place: Place, sealed: &[u8]) -> Result<Secret<Vec<u8>>, VaultError> {
        let (id, rest) = split(place, sealed)?;
        if id != self.id {
            return Err(VaultError::Unknown(id));
        }
        self.cipher
            .open(&place.associated_data(), rest)
            .map_err(|_| VaultError::Forged {
                table: place.table,
                column: place.column,
            })
    }
}

/// The id of the key that sealed these bytes, and what follows it.
pub(crate) fn split(place: Place, sealed: &[u8]) -> Result<(KeyId, &[u8]), VaultError> {
    let malformed = || VaultError::Malformed {
        table: place.table,
        column: place.column,
    };
    let (header, rest) = sealed.split_at_checked(HEADER_LEN).ok_or_else(malformed)?;
    match header.split_first() {
        Some((&VERSION, id)) => Ok((KeyId::from(Uuid::from_slice(id).map_err(|_| malformed())?), rest)),
        _ => Err(malformed()),
    }
}
