//! Region keys that never leave AWS KMS.

mod arn;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_egress::{Client, EgressError, HostRule, InvalidRule, Timeouts};
use domicile_kernel::{KeyId, Rng};
use http::{HeaderValue, Request, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

pub use arn::{InvalidKmsArn, KmsKeyArn};
use wire::{Context, Decrypt, Decrypted, Encrypt, Encrypted, MAX_ANSWER_BYTES};

use crate::cipher::KEY_LEN;
use crate::provider::{DataKeyBytes, KeyError, KeyProvider};

/// The time-outs that the client for KMS should have: a webhook waits for it, and Zoom waits three seconds for us.
pub const KMS_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(4),
    total: Some(Duration::from_secs(5)),
};

/// A connection that was kept open may have ended unseen, so a call that brought no answer is made once more; encrypting and
/// decrypting change nothing at KMS.
const TRIES: u32 = 2;

/// Signs requests to AWS (Signature Version 4); the roof lends it, since the credentials are those of the object storage.
#[async_trait]
pub trait RequestSigner: Send + Sync {
    /// The request, signed for this service in this AWS region.
    async fn sign(
        &self,
        service: &str,
        region: &str,
        request: Request<Bytes>,
    ) -> Result<Request<Bytes>, Box<dyn std::error::Error + Send + Sync>>;
}

/// The way to AWS KMS.
#[derive(Clone)]
pub struct AwsKms {
    /// The way out; see [`KMS_TIMEOUTS`].
    pub client: Client,
    /// Signs what is sent.
    pub signer: Arc<dyn RequestSigner>,
    /// Another server than the one that a key's ARN leads to.
    pub endpoint: Option<Url>,
}

/// The hosts that are called for these keys, for the fence. They are named by the operator's settings, so the roof may mark
/// them internal.
pub(crate) fn hosts<'a>(
    keys: impl Iterator<Item = &'a KmsKeyArn>,
    endpoint: Option<&Url>,
) -> Result<Vec<HostRule>, InvalidRule> {
    let mut hosts = Vec::new();
    for key in keys {
        let rule = match endpoint {
            Some(url) => HostRule::for_url(url)?,
            None => HostRule::for_url(&key.endpoint().ok_or(InvalidRule::NoHost)?)?,
        };
        if !hosts.contains(&rule) {
            hosts.push(rule);
        }
    }
    Ok(hosts)
}

/// One symmetric key at KMS.
pub(crate) struct KmsKey {
    id: String,
    arn: KmsKeyArn,
    kms: AwsKms,
}

impl KmsKey {
    pub(crate) fn new(id: String, arn: KmsKeyArn, kms: AwsKms) -> Self {
        Self { id, arn, kms }
    }

    /// One operation of the AWS JSON 1.1 protocol.
    async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, KeyError> {
        // Wiped when the last copy of the request is gone: it may hold a data key.
        let body = Bytes::from_owner(Zeroizing::new(
            serde_json::to_vec(body).map_err(|_| KeyError::Cipher)?,
        ));
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(operation, body.clone()).await {
                Err(KeyError::Unreachable(_) | KeyError::Unavailable { .. }) if tries < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn once<T: DeserializeOwned>(&self, operation: &'static str, body: Bytes) -> Result<T, KeyError> {
        let url = match &self.kms.endpoint {
            Some(url) => url.clone(),
            None => self.arn.endpoint().ok_or(KeyError::NotFound)?,
        };
        let request = Request::post(url.as_str())
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-amz-json-1.1"),
            )
            .header("x-amz-target", format!("TrentService.{operation}"))
            .body(body)
            .map_err(|error| KeyError::Unreachable(error.into()))?;
        let signed = self
            .kms
            .signer
            .sign("kms", self.arn.region(), request)
            .await
            .map_err(KeyError::Credentials)?;
        let unreachable = |error: EgressError| KeyError::Unreachable(error.into());
        let response = self.kms.client.send(signed).await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes_limited(MAX_ANSWER_BYTES).await;
        if status.is_success() {
            serde_json::from_slice(&body.map_err(unreachable)?).map_err(|_| KeyError::Answer)
        } else {
            // The status alone says enough where the body is lost.
            Err(wire::failure(status, &body.unwrap_or_default()))
        }
    }
}

#[async_trait]
impl KeyProvider for KmsKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "aws-kms"
    }

    async fn wrap(&self, _: &dyn Rng, id: KeyId, data_key: &DataKeyBytes) -> Result<Vec<u8>, KeyError> {
        let plaintext = Zeroizing::new(STANDARD.encode(data_key.expose()));
        let answer: Encrypted = self
            .call(
                "Encrypt",
                &Encrypt {
                    key_id: self.arn.as_str(),
                    plaintext: &plaintext,
                    encryption_context: Context::of(id),
                },
            )
            .await?;
        if answer.key_id != self.arn.as_str() {
            return Err(KeyError::Answer);
        }
        STANDARD
            .decode(answer.ciphertext_blob)
            .map_err(|_| KeyError::Answer)
    }

    async fn unwrap(&self, id: KeyId, wrapped: &[u8]) -> Result<DataKeyBytes, KeyError> {
        let answer: Decrypted = self
            .call(
                "Decrypt",
                &Decrypt {
                    key_id: self.arn.as_str(),
                    ciphertext_blob: &STANDARD.encode(wrapped),
                    encryption_context: Context::of(id),
                },
            )
            .await?;
        let bytes = Zeroizing::new(
            STANDARD
                .decode(answer.plaintext.expose())
                .map_err(|_| KeyError::Answer)?,
        );
        <[u8; KEY_LEN]>::try_from(bytes.as_slice())
            .map(DataKeyBytes::new)
            .map_err(|_| KeyError::Wrong)
    }
}
