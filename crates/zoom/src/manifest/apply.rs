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
use super::{Change, Manifest, ManifestApi, ManifestError, Publication, SeenApp, differences, kept, overlay};
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
    /// The app is out: only what Zoom shows of it without its manifest was compared, and the plan cannot be carried out.
    pub published: bool,
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
    changes
        .iter()
        .map(|change| change.path.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Exports the live app and compares it with what is wanted.
pub async fn plan(api: &ManifestApi, app_id: &str, wanted: &Manifest) -> Result<Plan, ApplyError> {
    let wanted = wanted.to_value();
    let live = match export(api, app_id).await? {
        Exported::Manifest(manifest) => manifest,
        Exported::Published(seen) => {
            let wanted = SeenApp::part_of(&wanted);
            return Ok(Plan {
                changes: differences(&seen.manifest, &wanted),
                kept: Vec::new(),
                hidden_secrets: Vec::new(),
                published: true,
                live: seen.manifest,
                wanted,
            });
        }
    };
    let laid = overlay(&live, &wanted);
    Ok(Plan {
        changes: differences(&live, &laid),
        kept: kept(&live, &wanted),
        hidden_secrets: hidden_secrets(&laid),
        published: false,
        live,
        wanted: laid,
    })
}

impl Plan {
    /// Whether the plan may be carried out, as far as that can be told without trying.
    pub fn may_apply(&self, may_blank_secrets: bool) -> Result<(), ApplyError> {
        if self.published {
            Err(ApplyError::Published)
        } else if !(self.changes.is_empty() || may_blank_secrets || self.hidden_secrets.is_empty()) {
            Err(ApplyError::HiddenSecrets(self.hidden_secrets.clone()))
        } else {
            Ok(())
        }
    }
}

/// Carries the plan out. Nothing is done where nothing differs.
pub async fn apply(
    api: &ManifestApi,
    app_id: &str,
    plan: &Plan,
    may_blank_secrets: bool,
) -> Result<(), ApplyError> {
    plan.may_apply(may_blank_secrets)?;
    if plan.changes.is_empty() {
        return Ok(());
    }
    api.validate(Some(app_id), &plan.wanted).await?;
    let meanwhile = differences(&plan.live, &draft(api, app_id).await?);
    if !meanwhile.is_empty() {
        return Err(ApplyError::ChangedMeanwhile(meanwhile));
    }
    let put = api.put(app_id, &plan.wanted).await;
    match put {
        Ok(()) => {}
        // It was published since the export a moment ago.
        Err(ManifestError::NotADraft) => return draft(api, app_id).await.and(Err(ApplyError::NoManifest)),
        // The answer is lost, not the put: what is there now says how it went.
        Err(ManifestError::Api(ApiError::Egress(ref lost))) if EgressError::may_have_arrived(lost) => {}
        Err(refused) => return Err(refused.into()),
    }
    let not_kept = differences(&plan.wanted, &draft(api, app_id).await?);
    match put {
        _ if not_kept.is_empty() => Ok(()),
        Ok(()) => Err(ApplyError::NotKept(not_kept)),
        Err(lost) => Err(lost.into()),
    }
}

/// What Zoom gives of an app.
enum Exported {
    Manifest(Value),
    /// It has one refusal for published apps and for apps that never had a manifest; the app itself tells which.
    Published(SeenApp),
}

async fn export(api: &ManifestApi, app_id: &str) -> Result<Exported, ApplyError> {
    match api.export(app_id).await {
        Ok(manifest) => Ok(Exported::Manifest(manifest)),
        Err(ManifestError::NotADraft) => match api.app(app_id).await {
            Ok(seen) if seen.publication == Publication::Published => Ok(Exported::Published(seen)),
            Ok(_) | Err(_) => Err(ApplyError::NoManifest),
        },
        Err(error) => Err(error.into()),
    }
}

/// The manifest of an app that must be a draft.
async fn draft(api: &ManifestApi, app_id: &str) -> Result<Value, ApplyError> {
    match export(api, app_id).await? {
        Exported::Manifest(manifest) => Ok(manifest),
        Exported::Published(_) => Err(ApplyError::Published),
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
        for side in [
            "development_event_custom_header",
            "production_event_custom_header",
        ] {
            let Some(header) = event.get(side).and_then(Value::as_object) else {
                continue;
            };
            let switched_on = header
                .get("custom_header_type")
                .is_some_and(|kind| !is_empty(kind) && kind != &Value::from(0));
            let shown = header
                .iter()
                .any(|(name, value)| is_secret(name) && !is_empty(value));
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
        assert_eq!(
            with(json!({ "custom_header_type": "3", "custom_header_key": "x-a" })),
            [path]
        );
        let none: [&str; 0] = [];
        assert_eq!(with(json!({ "custom_header_type": 1, "password": "p" })), none);
        assert_eq!(with(json!({ "custom_header_type": 0 })), none);
        assert_eq!(with(json!(null)), none);
    }
}
