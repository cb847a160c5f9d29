//! Bringing a live app to what is wanted: plan, validate, put, read back, compare.
//!
//! An update replaces everything, nothing protects somebody else's change, and the validator passes what is not kept
//! (Zoom: Marketplace API, manifest). So nothing is put that was not planned against the app as it still is, and nothing
//! counts as done that cannot be read back.

use domicile_egress::EgressError;
use serde_json::Value;
use thiserror::Error;

use super::difference::is_empty;
use super::redact::is_secret;
use super::{Change, Manifest, ManifestApi, ManifestError, Publication, differences, kept, overlay};
use crate::api::ApiError;

/// What an update of one app would change.
#[derive(Clone)]
pub struct Plan {
    live: Value,
    wanted: Value,
    /// The differences; empty: nothing is to be done.
    pub changes: Vec<Change>,
    /// What is there and is none of our business.
    pub kept: Vec<Change>,
    /// Secrets that are in use and that the export does not show: a put may blank them.
    pub hidden_secrets: Vec<String>,
}

/// Why there is no plan, or it was not carried out.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The app is out.
    #[error(
        "the app is published, and Zoom exports and updates the manifests of drafts alone: make the change in the \
         Marketplace's build flow and submit it for review"
    )]
    Published,
    /// The app is of a kind that has no manifest.
    #[error(
        "Zoom gives no manifest of this app: it must be a General app with granular scopes that is still a draft; \
         Server-to-Server and Meeting SDK apps, and apps with classic scopes, have none"
    )]
    NoManifest,
    /// The put may blank what we cannot see.
    #[error(
        "the export hides secrets that the app uses, and a put may blank them: {}; make the change in the build flow, or \
         allow it and enter them there again afterwards",
        .0.join(", ")
    )]
    HiddenSecrets(Vec<String>),
    /// Somebody changed the app after the plan was made.
    #[error("somebody changed the app since the plan was made: {}; plan again", paths(.0))]
    ChangedMeanwhile(Vec<Change>),
    /// Zoom said yes and did something else.
    #[error("Zoom took the manifest and kept something else: {}", paths(.0))]
    NotKept(Vec<Change>),
    /// A call failed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

fn paths(changes: &[Change]) -> String {
    changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>().join(", ")
}

/// Exports the live app and compares it with what is wanted.
pub async fn plan(api: &ManifestApi, app_id: &str, wanted: &Manifest) -> Result<Plan, ApplyError> {
    let live = export(api, app_id).await?;
    let wanted = wanted.to_value();
    let laid = overlay(&live, &wanted);
    Ok(Plan {
        changes: differences(&live, &laid),
        kept: kept(&live, &wanted),
        hidden_secrets: hidden_secrets(&laid),
        live,
        wanted: laid,
    })
}

/// Carries the plan out. Nothing is done where nothing differs.
pub async fn apply(
    api: &ManifestApi,
    app_id: &str,
    plan: &Plan,
    may_blank_secrets: bool,
) -> Result<(), ApplyError> {
    if plan.changes.is_empty() {
        return Ok(());
    }
    if !may_blank_secrets && !plan.hidden_secrets.is_empty() {
        return Err(ApplyError::HiddenSecrets(plan.hidden_secrets.clone()));
    }
    api.validate(Some(app_id), &plan.wanted).await?;
    let meanwhile = differences(&plan.live, &export(api, app_id).await?);
    if !meanwhile.is_empty() {
        return Err(ApplyError::ChangedMeanwhile(meanwhile));
    }
    let put = api.put(app_id, &plan.wanted).await;
    match put {
        Ok(()) => {}
        Err(ManifestError::NotADraft) => return Err(no_manifest(api, app_id).await),
        // The answer is lost, not the put: what is there now says how it went.
        Err(ManifestError::Api(ApiError::Egress(ref lost))) if EgressError::may_have_arrived(lost) => {}
        Err(refused) => return Err(refused.into()),
    }
    let not_kept = differences(&plan.wanted, &export(api, app_id).await?);
    match put {
        _ if not_kept.is_empty() => Ok(()),
        Ok(()) => Err(ApplyError::NotKept(not_kept)),
        Err(lost) => Err(lost.into()),
    }
}

async fn export(api: &ManifestApi, app_id: &str) -> Result<Value, ApplyError> {
    match api.export(app_id).await {
        Ok(manifest) => Ok(manifest),
        Err(ManifestError::NotADraft) => Err(no_manifest(api, app_id).await),
        Err(error) => Err(error.into()),
    }
}

/// Zoom has one refusal for published apps and for apps that never had a manifest.
async fn no_manifest(api: &ManifestApi, app_id: &str) -> ApplyError {
    match api.publication(app_id).await {
        Ok(Publication::Published) => ApplyError::Published,
        Ok(Publication::Draft | Publication::Unknown) | Err(_) => ApplyError::NoManifest,
    }
}

/// Headers that are switched on (Zoom: `custom_header_type` 1 to 3) and whose secret is not there.
fn hidden_secrets(manifest: &Value) -> Vec<String> {
    let events = manifest
        .pointer("/features/event_subscription/events")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut hidden = Vec::new();
    for (index, event) in events.iter().enumerate() {
        for side in ["development_event_custom_header", "production_event_custom_header"] {
            let Some(header) = event.get(side).and_then(Value::as_object) else {
                continue;
            };
            let switched_on = header
                .get("custom_header_type")
                .is_some_and(|kind| !is_empty(kind) && kind != &Value::from(0));
            let shown = header.iter().any(|(name, value)| is_secret(name) && !is_empty(value));
            if switched_on && !shown {
                hidden.push(format!("features.event_subscription.events[{index}].{side}"));
            }
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_header_that_is_on_and_whose_secret_is_not_shown_is_hidden() {
        let with = |header: Value| {
            hidden_secrets(&json!({ "features": { "event_subscription": { "events": [
                { "production_event_custom_header": header }] } } }))
        };
        let path = "features.event_subscription.events[0].production_event_custom_header";
        assert_eq!(with(json!({ "custom_header_type": 1, "username": "u" })), [path]);
        assert_eq!(with(json!({ "custom_header_type": "3", "custom_header_key": "x-a" })), [path]);
        let none: [&str; 0] = [];
        assert_eq!(with(json!({ "custom_header_type": 1, "password": "p" })), none);
        assert_eq!(with(json!({ "custom_header_type": 0 })), none);
        assert_eq!(with(json!(null)), none);
    }
}
