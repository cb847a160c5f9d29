use domicile_store::StoreError;
use thiserror::Error;

/// What goes wrong with evidence.
#[derive(Debug, Error)]
pub enum CustodyError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The evidence key has another form.
    #[error("the evidence key is not 32 bytes in base64")]
    Key,
    /// The document cannot be written as JSON, or read.
    #[error("the evidence is no JSON of ours")]
    Json(#[source] serde_json::Error),
    /// The document has a newer or foreign form.
    #[error("the evidence has the form {0:?}, which this version does not know")]
    Form(String),
    /// The signature is not of this key over this document.
    #[error("the signature does not fit: the document was changed, or another key signed it")]
    Signature,
}
