//! KMS's messages. Source: "Encrypt", "Decrypt" and "Common errors" of the AWS KMS API reference.

use std::collections::BTreeMap;

use domicile_kernel::{KeyId, Secret};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::provider::KeyError;

/// No answer of these operations is nearly as long.
pub(super) const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What is authenticated with a wrapped key and shown in the operator's trail of KMS calls: the data key's id, which is no secret.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Context(BTreeMap<&'static str, String>);

impl Context {
    pub(super) fn of(id: KeyId) -> Self {
        Self(BTreeMap::from([("domicile:data_key", id.to_string())]))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Encrypt<'a> {
    pub(super) key_id: &'a str,
    /// Base64.
    pub(super) plaintext: &'a str,
    pub(super) encryption_context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Encrypted {
    pub(super) key_id: String,
    /// Base64.
    pub(super) ciphertext_blob: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypt<'a> {
    /// Only this key may be used, whatever the blob says.
    pub(super) key_id: &'a str,
    /// Base64.
    pub(super) ciphertext_blob: &'a str,
    pub(super) encryption_context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypted {
    /// Base64.
    pub(super) plaintext: Secret<String>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "__type")]
    kind: String,
}

/// An error answer. Nothing of it is kept but its code: its message may repeat ARNs of the caller and what was signed (INV-3).
pub(super) fn failure(status: StatusCode, body: &[u8]) -> KeyError {
    let code = serde_json::from_slice(body)
        .ok()
        .and_then(|Failure { kind }| {
            // `com.amazonaws.kms#DisabledException` is the older spelling.
            let code = kind.rsplit('#').next().unwrap_or_default();
            let plain = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
            plain.then(|| code.to_owned())
        })
        .unwrap_or_else(|| format!("HTTP {}", status.as_u16()));
    match code.as_str() {
        "NotFoundException" => KeyError::NotFound,
        "DisabledException" | "KMSInvalidStateException" => KeyError::Disabled { code },
        "InvalidCiphertextException" | "IncorrectKeyException" => KeyError::Wrong,
        "InvalidKeyUsageException" | "UnsupportedOperationException" | "ValidationException" | "ValidationError" => {
            KeyError::Unfit { code }
        }
        "ThrottlingException"
        | "LimitExceededException"
        | "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "ServiceUnavailable"
        | "InternalFailure"
        // The credentials' own service or the machine's clock is behind, and both are renewed without anybody's doing.
        | "ExpiredTokenException"
        | "RequestExpired" => KeyError::Unavailable { code },
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            KeyError::Unavailable { code }
        }
        "AccessDeniedException"
        | "NotAuthorized"
        | "NotAuthorizedException"
        | "OptInRequired"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => KeyError::Denied { code },
        _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => KeyError::Denied { code },
        _ => KeyError::Unfit { code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> (&'static str, bool) {
        let error = failure(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(!error.to_string().contains("arn:"));
        (error.class(), error.is_refusal())
    }

    #[test]
    fn each_error_has_its_class_and_says_whether_waiting_helps() {
        for (status, code, expected, refusal) in [
            (400, "NotFoundException", "not_found", true),
            (400, "DisabledException", "disabled", true),
            (400, "KMSInvalidStateException", "disabled", true),
            (400, "InvalidCiphertextException", "wrong", true),
            (400, "IncorrectKeyException", "wrong", true),
            (400, "InvalidKeyUsageException", "unfit", true),
            (400, "AccessDeniedException", "denied", true),
            (400, "UnrecognizedClientException", "denied", true),
            (400, "ThrottlingException", "unavailable", false),
            (400, "ExpiredTokenException", "unavailable", false),
            (500, "KMSInternalException", "unavailable", false),
            (503, "DependencyTimeoutException", "unavailable", false),
            (403, "SomethingNew", "denied", true),
            (400, "SomethingNew", "unfit", true),
        ] {
            let message = "User: arn:aws:iam::1:user/x is not authorized";
            let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
            assert_eq!(class(status, &body), (expected, refusal), "{code}");
            let body = format!(r#"{{"__type":"com.amazonaws.kms#{code}","message":"{message}"}}"#);
            assert_eq!(class(status, &body), (expected, refusal), "{code}");
        }
    }

    #[test]
    fn an_answer_of_something_else_than_kms_is_judged_by_its_status() {
        for (status, expected) in [
            (502, "unavailable"),
            (429, "unavailable"),
            (403, "denied"),
            (404, "unfit"),
        ] {
            assert_eq!(class(status, "<html>arn:aws:secret</html>").0, expected);
            assert_eq!(class(status, r#"{"__type":"arn:aws:x <script>"}"#).0, expected);
            assert_eq!(class(status, "").0, expected);
        }
    }
}
