//! Signing evidence, and verifying it without the region.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domicile_kernel::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::canonical::canonical;
use super::{Evidence, FORM};
use crate::error::CustodyError;

const ALGORITHM: &str = "Ed25519";

/// The region's evidence key (Ed25519, RFC 8032): its seed of 32 bytes.
pub struct EvidenceKey(Ed25519KeyPair);

/// What verifies; 32 bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A signature beside its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// `Ed25519`.
    pub algorithm: String,
    /// The first 16 hexadecimal digits of the SHA-256 of the public key.
    pub key_id: String,
    /// The public key. Compare it with the one that the region published: whoever changes the document can change this.
    pub public_key: String,
    /// Over the canonical JSON of the document (RFC 8785), in base64.
    pub value: String,
}

/// A document with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// What was gathered.
    pub evidence: serde_json::Value,
    /// Who stands for it.
    pub signature: Signature,
}

impl EvidenceKey {
    /// The key with this seed, 32 bytes in base64.
    pub fn from_base64(seed: &Secret<String>) -> Result<Self, CustodyError> {
        let seed = STANDARD
            .decode(seed.expose().trim())
            .map(Secret::new)
            .map_err(|_| CustodyError::Key)?;
        Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .map(Self)
            .map_err(|_| CustodyError::Key)
    }

    /// What verifies its signatures.
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        let own = self.0.public_key().as_ref();
        for (to, from) in bytes.iter_mut().zip(own) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// The document with this key's signature.
    pub fn sign(&self, evidence: &Evidence) -> Result<Signed, CustodyError> {
        let evidence = serde_json::to_value(evidence).map_err(CustodyError::Json)?;
        let signature = self.0.sign(&canonical(&evidence));
        let public_key = self.public_key();
        Ok(Signed {
            evidence,
            signature: Signature {
                algorithm: ALGORITHM.to_owned(),
                key_id: public_key.id(),
                public_key: public_key.to_string(),
                value: STANDARD.encode(signature.as_ref()),
            },
        })
    }
}

impl PublicKey {
    /// The first 16 hexadecimal digits of its SHA-256.
    pub fn id(&self) -> String {
        let mut id = hex::encode(Sha256::digest(self.0));
        id.truncate(16);
        id
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = CustodyError;

    fn from_str(text: &str) -> Result<Self, CustodyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| CustodyError::Key)?;
        Ok(Self(bytes.try_into().map_err(|_| CustodyError::Key)?))
    }
}

impl Signed {
    /// Reads what [`EvidenceKey::sign`] made.
    pub fn from_json(text: &[u8]) -> Result<Self, CustodyError> {
        serde_json::from_slice(text).map_err(CustodyError::Json)
    }

    /// The document, if this key signed exactly this one. The key that stands in the file itself is not believed.
    pub fn verify(&self, key: &PublicKey) -> Result<Evidence, CustodyError> {
        if self.signature.algorithm != ALGORITHM {
            return Err(CustodyError::Signature);
        }
        let value = STANDARD
            .decode(&self.signature.value)
            .map_err(|_| CustodyError::Signature)?;
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&canonical(&self.evidence), &value)
            .map_err(|_| CustodyError::Signature)?;
        let form = self.evidence["form"].as_str().unwrap_or_default();
        if form != FORM {
            return Err(CustodyError::Form(form.chars().take(64).collect()));
        }
        serde_json::from_value(self.evidence.clone()).map_err(CustodyError::Json)
    }
}
