//! The region's key-encryption keys.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domicile_kernel::{KeyId, Rng, Secret};
use zeroize::Zeroize;

use crate::cipher::{Cipher, KEY_LEN, Refused};
use crate::error::InvalidVaultKeys;

/// The ring of region keys. The first wraps new data keys; all of them unwrap.
#[derive(Clone)]
pub struct RegionKeys {
    keys: Arc<[(String, Cipher)]>,
}

impl RegionKeys {
    /// Parses `id:base64,id:base64,...`, each key of 32 bytes.
    pub fn parse(text: &Secret<String>) -> Result<Self, InvalidVaultKeys> {
        let mut keys: Vec<(String, Cipher)> = Vec::new();
        for (index, entry) in text
            .expose()
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .enumerate()
        {
            let number = index + 1;
            let (id, encoded) = entry.split_once(':').ok_or(InvalidVaultKeys::Form(number))?;
            let valid = (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !valid {
                return Err(InvalidVaultKeys::Id(number));
            }
            if keys.iter().any(|(known, _)| known == id) {
                return Err(InvalidVaultKeys::Twice(id.to_owned()));
            }
            let wrong = || InvalidVaultKeys::Key(id.to_owned());
            let mut bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
            let key = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map(Secret::new);
            bytes.zeroize();
            let cipher = Cipher::new(&key.map_err(|_| wrong())?).map_err(|_| wrong())?;
            keys.push((id.to_owned(), cipher));
        }
        if keys.is_empty() {
            Err(InvalidVaultKeys::Empty)
        } else {
            Ok(Self { keys: keys.into() })
        }
    }

    /// The ids, in order; the first is the one that wraps.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(id, _)| id.as_str())
    }

    /// Wraps a data key; gives the region key's id and the wrapped bytes.
    pub(crate) fn wrap(
        &self,
        rng: &dyn Rng,
        id: KeyId,
        data_key: &Secret<[u8; KEY_LEN]>,
    ) -> Result<(&str, Vec<u8>), Refused> {
        let (region_key, cipher) = self.keys.first().ok_or(Refused)?;
        let mut wrapped = Vec::new();
        cipher.seal_into(rng, id.as_uuid().as_bytes(), data_key.expose(), &mut wrapped)?;
        Ok((region_key, wrapped))
    }

    pub(crate) fn unwrap(
        &self,
        region_key: &str,
        id: KeyId,
        wrapped: &[u8],
    ) -> Option<Result<Secret<[u8; KEY_LEN]>, Refused>> {
        let (_, cipher) = self.keys.iter().find(|(known, _)| known == region_key)?;
        Some(cipher.open(id.as_uuid().as_bytes(), wrapped).and_then(|bytes| {
            <[u8; KEY_LEN]>::try_from(bytes.expose().as_slice())
                .map(Secret::new)
                .map_err(|_| Refused)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RegionKeys, InvalidVaultKeys> {
        RegionKeys::parse(&Secret::from(text))
    }

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn the_first_key_comes_first() {
        let ring = parse(&format!("new:{},old:{}", key(1), key(2))).ok().unwrap();
        assert_eq!(ring.ids().collect::<Vec<_>>(), ["new", "old"]);
    }

    #[test]
    fn each_fault_is_named_without_the_key() {
        let fault = |text: &str| parse(text).err().unwrap();
        assert_eq!(fault(""), InvalidVaultKeys::Empty);
        assert_eq!(fault("justakey"), InvalidVaultKeys::Form(1));
        assert_eq!(fault(&format!("a b:{}", key(1))), InvalidVaultKeys::Id(1));
        assert_eq!(fault("k1:c2hvcnQ="), InvalidVaultKeys::Key("k1".to_owned()));
        assert_eq!(
            fault(&format!("k:{0},k:{0}", key(1))),
            InvalidVaultKeys::Twice("k".to_owned())
        );
        assert!(!fault("k1:c2hvcnQ=").to_string().contains("c2hvcnQ"));
    }
}
