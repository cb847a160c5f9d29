//! AES-256-GCM with the nonce in front.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use domicile_kernel::random::random_bytes;
use domicile_kernel::{Rng, Secret};

/// The key length in bytes.
pub(crate) const KEY_LEN: usize = 32;

/// The cipher refused: the key is not the one, or the bytes or the associated data were changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(key: &Secret<[u8; KEY_LEN]>) -> Result<Self, Refused> {
        UnboundKey::new(&AES_256_GCM, key.expose())
            .map(LessSafeKey::new)
            .map(Self)
            .map_err(|_| Refused)
    }

    /// Appends nonce, ciphertext and tag to `out`.
    pub(crate) fn seal_into(
        &self,
        rng: &dyn Rng,
        aad: &[u8],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        let nonce: [u8; NONCE_LEN] = random_bytes(rng);
        out.reserve(NONCE_LEN + plaintext.len() + AES_256_GCM.tag_len());
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                out.get_mut(start..).ok_or(Refused)?,
            )
            .map_err(|_| Refused)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens what [`Cipher::seal_into`] appended.
    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Secret<Vec<u8>>, Refused> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Refused)?;
        let mut buffer = ciphertext.to_vec();
        let length = self
            .0
            .open_in_place(nonce, Aad::from(aad), &mut buffer)
            .map_err(|_| Refused)?
            .len();
        buffer.truncate(length);
        Ok(Secret::new(buffer))
    }
}
