//! Signing by the Standard Webhooks scheme (standardwebhooks.com, specification 1.0.0).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domicile_kernel::{EventId, Secret, Timestamp};
use standardwebhooks::Webhook;
use thiserror::Error;
use zeroize::Zeroize;

const PREFIX: &str = "whsec_";
/// The specification, "Signature scheme": a secret has 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets of `DOMICILE_APP_EVENTS_SECRETS`. The first signs; the app accepts any of them while it changes over.
pub struct EventSecrets(Webhook);

/// Why a list of secrets is not accepted. No text holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidEventSecrets {
    /// Nothing to sign with.
    #[error("at least one secret of the form whsec_<base64> is needed")]
    None,
    /// An entry has another form.
    #[error("entry {position} is not of the form whsec_<base64>")]
    Form {
        /// Counted from 1.
        position: usize,
    },
    /// An entry is too short to be safe or longer than the specification allows.
    #[error("the key of entry {position} has {bytes} bytes; Standard Webhooks secrets have 24 to 64")]
    Length {
        /// Counted from 1.
        position: usize,
        /// How many there are.
        bytes: usize,
    },
}

impl EventSecrets {
    /// Takes the secrets in the order of the setting; every one is checked.
    pub fn new(secrets: &[Secret<String>]) -> Result<Self, InvalidEventSecrets> {
        let mut signing = None;
        for (index, secret) in secrets.iter().enumerate() {
            let position = index + 1;
            let form = InvalidEventSecrets::Form { position };
            let encoded = secret.expose().strip_prefix(PREFIX).ok_or(form)?;
            let mut key = STANDARD.decode(encoded).map_err(|_| form)?;
            let bytes = key.len();
            if !KEY_BYTES.contains(&bytes) {
                key.zeroize();
                return Err(InvalidEventSecrets::Length { position, bytes });
            }
            if signing.is_none() {
                signing = Some(Webhook::from_bytes(key).map_err(|_| form)?);
            } else {
                key.zeroize();
            }
        }
        signing.map(Self).ok_or(InvalidEventSecrets::None)
    }

    /// The value of the header `webhook-signature`; none if the body is no UTF-8, which an event always is.
    pub(crate) fn sign(&self, id: EventId, at: Timestamp, body: &[u8]) -> Option<String> {
        self.0.sign(&id.to_string(), at.timestamp(), body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(secrets: &[String]) -> Result<EventSecrets, InvalidEventSecrets> {
        let secrets: Vec<_> = secrets.iter().cloned().map(Secret::new).collect();
        EventSecrets::new(&secrets)
    }

    fn secret(byte: u8, length: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![byte; length]))
    }

    #[test]
    fn the_first_signs() {
        let (one, two) = (secret(1, 24), secret(2, 64));
        let id = EventId::from_uuid(uuid::Uuid::nil());
        let at = chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let expected = Webhook::new(&one)
            .unwrap()
            .sign(&id.to_string(), 1_795_000_000, b"{}")
            .unwrap();
        let secrets = parse(&[one, two]).ok().unwrap();
        assert_eq!(secrets.sign(id, at, b"{}"), Some(expected));
    }

    #[test]
    fn each_fault_names_its_entry_and_no_secret() {
        let fault = |secrets: &[String]| parse(secrets).err().unwrap();
        assert_eq!(fault(&[]), InvalidEventSecrets::None);
        let good = secret(1, 32);
        let form = InvalidEventSecrets::Form { position: 2 };
        assert_eq!(fault(&[good.clone(), "secret".to_owned()]), form);
        assert_eq!(fault(&[good.clone(), "whsec_!".to_owned()]), form);
        assert_eq!(
            fault(&[good.clone(), secret(1, 23)]),
            InvalidEventSecrets::Length {
                position: 2,
                bytes: 23
            }
        );
        assert_eq!(
            fault(&[secret(1, 65), good]),
            InvalidEventSecrets::Length {
                position: 1,
                bytes: 65
            }
        );
    }
}
