//! Grants: tokens sealed and opened here; when they are refreshed, by whom, and how a caller gets one, below.

pub(crate) mod access;
mod measure;
pub(crate) mod refresh;
pub(crate) mod schedule;

use chrono::TimeDelta;
use domicile_kernel::{LinkId, Secret, Timestamp};
use domicile_vault::{DataKey, Place, Vault, VaultError};
use domicile_zoom::host::{ApiBase, ApiUrlError, ZoomHosts};
use domicile_zoom::oauth::TokenSet;

use crate::error::LinkingError;
use crate::store::grants::SealedGrant;

const TABLE: &str = "grants";
const ACCESS: &str = "access_token_sealed";
const REFRESH: &str = "refresh_token_sealed";

/// Seals what Zoom gave, for the row of this link.
pub(crate) fn seal(
    key: &DataKey,
    link: LinkId,
    tokens: &TokenSet,
    base: &ApiBase,
    now: Timestamp,
) -> Result<SealedGrant, VaultError> {
    let seal =
        |column, token: &Secret<String>| key.seal(Place::new(TABLE, column, link), token.expose().as_bytes());
    let life = TimeDelta::from_std(tokens.expires_in).unwrap_or(TimeDelta::zero());
    Ok(SealedGrant {
        access_token_sealed: seal(ACCESS, &tokens.access_token)?,
        refresh_token_sealed: tokens
            .refresh_token
            .as_ref()
            .map(|token| seal(REFRESH, token))
            .transpose()?,
        access_expires_at: now + life,
        api_url: base.as_str().to_owned(),
    })
}

/// Seals the same tokens under another key.
pub(crate) fn reseal(
    key: &DataKey,
    link: LinkId,
    former: &SealedGrant,
    access: &Secret<String>,
    refresh: Option<&Secret<String>>,
) -> Result<SealedGrant, VaultError> {
    let seal =
        |column, token: &Secret<String>| key.seal(Place::new(TABLE, column, link), token.expose().as_bytes());
    Ok(SealedGrant {
        access_token_sealed: seal(ACCESS, access)?,
        refresh_token_sealed: refresh.map(|token| seal(REFRESH, token)).transpose()?,
        ..former.clone()
    })
}

/// Opens the access token of a grant.
pub(crate) async fn open_access(
    vault: &Vault,
    link: LinkId,
    grant: &SealedGrant,
) -> Result<Secret<String>, VaultError> {
    vault
        .open_text(Place::new(TABLE, ACCESS, link), &grant.access_token_sealed)
        .await
}

/// Opens the refresh token of a grant, if it has one.
pub(crate) async fn open_refresh(
    vault: &Vault,
    link: LinkId,
    grant: &SealedGrant,
) -> Result<Option<Secret<String>>, VaultError> {
    match &grant.refresh_token_sealed {
        Some(sealed) => Ok(Some(
            vault.open_text(Place::new(TABLE, REFRESH, link), sealed).await?,
        )),
        None => Ok(None),
    }
}

/// The base for API calls: the token answer's, which must be fit, or the default where it names none. One that is not fit is
/// no reason to take the default: it may name a home that this region does not serve.
pub(crate) fn api_base(
    hosts: &ZoomHosts,
    tokens: &TokenSet,
    default: &ApiBase,
) -> Result<ApiBase, ApiUrlError> {
    match &tokens.api_url {
        Some(url) => hosts.validate_api_url(url.as_str()),
        None => Ok(default.clone()),
    }
}

/// Reads back a base that was checked when it was written; the allowed hosts may have changed since.
pub(crate) fn stored_base(hosts: &ZoomHosts, grant: &SealedGrant) -> Result<ApiBase, LinkingError> {
    hosts
        .validate_api_url(&grant.api_url)
        .map_err(|error| LinkingError::ZoomRejected(Box::new(error)))
}
