//! The document that shows where the region's data was and whom its processes talked to.

mod canonical;
mod page;
mod sign;

use domicile_kernel::Timestamp;
use domicile_store::{Conn, Db};
use domicile_vault::Vault;
use serde::{Deserialize, Serialize};

use crate::error::CustodyError;
use crate::store;

pub use page::page;
pub use sign::{EvidenceKey, PublicKey, Signature, Signed};

/// The form of the document; another one gets another name.
pub const FORM: &str = "domicile-evidence-1";

/// What the processes say of themselves, from their settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The region's id.
    pub region_id: String,
    /// Its name.
    pub region_name: String,
    /// The version of the binary that gathered this.
    pub version: String,
    /// SHA-256, in hexadecimal digits, over the settings that are no secrets.
    pub configuration_sha256: String,
    /// Host and name of the database.
    pub database: String,
    /// The object storage: its URL and, where it has one, its endpoint.
    pub object_storage: String,
    /// Everything that the fence lets out, each with the setting that says so.
    pub allowed: Vec<String>,
}

/// What is stored of one kind and account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Such as `inbox.bodies` or `recording_files.objects`.
    pub kind: String,
    /// The Zoom account that it belongs to; none where it belongs to the region.
    pub zoom_account_id: Option<String>,
    /// How many.
    pub count: i64,
    /// Their size as it is kept; 0 where it is not measured.
    pub size_bytes: i64,
}

/// The calls to one host for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contacted {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// What for, such as `zoom_api`.
    pub purpose: String,
    /// How many calls.
    pub calls: i64,
    /// How many of them had no answer.
    pub failed: i64,
    /// The size of the bodies that were sent.
    pub sent_bytes: i64,
    /// The size of the bodies that came back.
    pub received_bytes: i64,
    /// The first hour with such a call.
    pub first_hour: Timestamp,
    /// The last one.
    pub last_hour: Timestamp,
}

/// Calls that the fence did not let out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The host that was to be called.
    pub host: String,
    /// Why it was not.
    pub reason: String,
    /// How many calls.
    pub calls: i64,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The step, such as `link.erase` or `data_key.destroy`.
    pub what: String,
    /// Whose it was, where it was an account's.
    pub zoom_account_id: Option<String>,
    /// How often.
    pub count: i64,
}

/// One of the region's key-encryption keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionKey {
    /// Its id; never the key.
    pub id: String,
    /// `local` or `aws-kms`; none where it is not configured any more.
    pub kind: Option<String>,
    /// Whether it seals what is new.
    pub seals: bool,
    /// How many live data keys it wraps.
    pub data_keys: u64,
}

/// The whole document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// [`FORM`].
    pub form: String,
    /// Who says so.
    pub deployment: Deployment,
    /// The beginning of the span. Contacts are counted in whole hours.
    pub from: Timestamp,
    /// Its end, which is not part of it.
    pub to: Timestamp,
    /// When it was gathered; what is stored is of that moment.
    pub gathered_at: Timestamp,
    /// What is stored where.
    pub stored: Vec<Stored>,
    /// Every outside host that was contacted.
    pub contacted: Vec<Contacted>,
    /// Every call that the fence refused.
    pub refused: Vec<Refused>,
    /// What was erased in the span.
    pub erased: Vec<Erased>,
    /// The region's keys.
    pub keys: Vec<RegionKey>,
}

/// Gathers the evidence of a span of time, all of it as of one moment.
pub async fn gather(
    db: &Db,
    vault: &Vault,
    deployment: Deployment,
    (from, to): (Timestamp, Timestamp),
    gathered_at: Timestamp,
) -> Result<Evidence, CustodyError> {
    let keys = vault.status().await?;
    let (stored, contacted, refused, erased) = db
        .run_tx(
            "gather_evidence",
            async |conn: &mut Conn| -> Result<_, domicile_store::StoreError> {
                store::look_from_one_moment(conn).await?;
                Ok((
                    store::stored(conn).await?,
                    store::contacted(conn, from, to).await?,
                    store::refused(conn, from, to).await?,
                    store::erased(conn, from, to).await?,
                ))
            },
        )
        .await?;
    Ok(Evidence {
        form: FORM.to_owned(),
        deployment,
        from,
        to,
        gathered_at,
        stored,
        contacted,
        refused,
        erased,
        keys: keys
            .region_keys
            .into_iter()
            .map(|key| RegionKey {
                id: key.id,
                kind: key.kind.map(str::to_owned),
                seals: key.seals,
                data_keys: key.data_keys,
            })
            .collect(),
    })
}
