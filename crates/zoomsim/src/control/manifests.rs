//! What people do to an app in the build flow: change it by hand, publish it.

use serde_json::Value;

use crate::control::ControlError;
use crate::manifest::{ManifestRefused, Occasion};
use crate::model::app::App;
use crate::sim::Sim;

impl Sim {
    /// The app's manifest, secrets included.
    pub fn manifest(&self, client_id: &str) -> Result<Value, ControlError> {
        Ok(self.app(client_id)?.kept_manifest())
    }

    /// Somebody changes the app by hand: a merge patch (RFC 7396) of its manifest, which no validator sees.
    pub async fn edit_manifest(&self, client_id: &str, patch: &Value) -> Result<App, ControlError> {
        let app = self.app(client_id)?;
        let mut manifest = app.kept_manifest();
        merge(&mut manifest, patch);
        self.save_by_hand(app, &manifest).await
    }

    /// Publishes the app, or takes it back to draft: its manifest can be exported and updated as a draft alone, and its
    /// events go to the production or the development URLs.
    pub async fn set_published(&self, client_id: &str, published: bool) -> Result<App, ControlError> {
        let mut app = self.app(client_id)?;
        app.published = published;
        let manifest = app.manifest.clone();
        match manifest {
            Some(manifest) => self.save_by_hand(app, &manifest).await,
            None => Ok(self.save_app(app)),
        }
    }

    async fn save_by_hand(&self, app: App, manifest: &Value) -> Result<App, ControlError> {
        let app = self
            .with_manifest(app, manifest, Occasion::ByHand)
            .await
            .map_err(|ManifestRefused(faults)| {
                let words: Vec<_> = faults
                    .iter()
                    .map(|it| format!("{}: {}", it.setting, it.message))
                    .collect();
                ControlError::Invalid(words.join("; "))
            })?;
        Ok(self.save_app(app))
    }

    pub(crate) fn save_app(&self, app: App) -> App {
        self.update(|state| state.apps.insert(app.client_id.clone(), app.clone()));
        app
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(members) = target {
        for (name, value) in patch {
            if value.is_null() {
                members.remove(name);
            } else {
                merge(members.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_agrees_with_rfc_7396() {
        let mut value = json!({ "a": "b", "c": { "d": "e", "f": "g" }, "l": [1, 2] });
        merge(
            &mut value,
            &json!({ "a": "z", "c": { "f": null }, "l": [3], "n": { "x": { "y": null } } }),
        );
        assert_eq!(
            value,
            json!({ "a": "z", "c": { "d": "e" }, "l": [3], "n": { "x": {} } })
        );
    }
}
