//! A region key whose bytes stand in the settings.

use async_trait::async_trait;
use domicile_kernel::{KeyId, Rng};

use crate::cipher::{Cipher, KEY_LEN, Refused};
use crate::provider::{DataKeyBytes, KeyError, KeyProvider};

/// AES-256-GCM with the data key's id as associated data.
pub(crate) struct LocalKey {
    id: String,
    cipher: Cipher,
}

impl LocalKey {
    pub(crate) fn new(id: String, key: &DataKeyBytes) -> Result<Self, Refused> {
        Ok(Self {
            id,
            cipher: Cipher::new(key)?,
        })
    }
}

#[async_trait]
impl KeyProvider for LocalKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "local"
    }

    async fn wrap(&self, rng: &dyn Rng, id: KeyId, data_key: &DataKeyBytes) -> Result<Vec<u8>, KeyError> {
        let mut wrapped = Vec::new();
        self.cipher
            .seal_into(rng, id.as_uuid().as_bytes(), data_key.expose(), &mut wrapped)
            .map_err(|Refused| KeyError::Cipher)?;
        Ok(wrapped)
    }

    async fn unwrap(&self, id: KeyId, wrapped: &[u8]) -> Result<DataKeyBytes, KeyError> {
        let bytes = self
            .cipher
            .open(id.as_uuid().as_bytes(), wrapped)
            .map_err(|Refused| KeyError::Wrong)?;
        <[u8; KEY_LEN]>::try_from(bytes.expose().as_slice())
            .map(DataKeyBytes::new)
            .map_err(|_| KeyError::Wrong)
    }
}
