//! Saving a manifest: the app follows it at once, its subscriptions after their challenge.

use serde_json::Value;

use super::validate::{Fault, validate};
use crate::control::is_loopback;
use crate::model::app::{App, Subscription};
use crate::random;
use crate::sim::Sim;

/// Who saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The API makes an app.
    Create,
    /// The API replaces a manifest.
    Put,
    /// Somebody in the build flow, where nothing is validated here.
    ByHand,
}

/// What Zoom answers in place of saving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestRefused(pub Vec<Fault>);

impl Sim {
    /// What the validator finds; an app's own slash command is not taken.
    pub(crate) fn manifest_faults(
        &self,
        manifest: &Value,
        own_app_id: &str,
        occasion: Occasion,
    ) -> Vec<Fault> {
        let taken = |command: &str| {
            self.apps()
                .iter()
                .any(|app| app.app_id != own_app_id && app.slash_command() == Some(command))
        };
        validate(manifest, taken, occasion == Occasion::Put)
    }

    /// The app as it is by this manifest: validated, with its subscriptions challenged where they can be reached.
    pub(crate) async fn with_manifest(
        &self,
        mut app: App,
        manifest: &Value,
        occasion: Occasion,
    ) -> Result<App, ManifestRefused> {
        if occasion != Occasion::ByHand {
            let faults = self.manifest_faults(manifest, &app.app_id, occasion);
            if !faults.is_empty() {
                return Err(ManifestRefused(faults));
            }
        }
        let mut subscriptions = Vec::new();
        // Only this machine can be reached from here: other endpoints stay words of the manifest.
        let wanted = app.wanted_subscriptions(manifest);
        for wanted in wanted.into_iter().filter(|it| is_loopback(&it.url)) {
            let known = app.subscriptions.iter().find(|it| it.url == wanted.url).cloned();
            let saved = match known {
                Some(known) => Subscription {
                    events: wanted.events,
                    ..known
                },
                None => {
                    self.challenge(&wanted.url, &app.secret_token)
                        .await
                        .map_err(|failure| {
                            ManifestRefused(vec![Fault {
                                setting: wanted.setting,
                                message: format!("URL validation failed: {failure}"),
                            }])
                        })?;
                    Subscription {
                        id: random::short_id(self.rng()),
                        url: wanted.url,
                        secret_token: app.secret_token.clone(),
                        events: wanted.events,
                        enabled: true,
                        failed_challenges: 0,
                        next_challenge_at: self.next_challenge(self.now()),
                        owner_mails: Vec::new(),
                    }
                }
            };
            subscriptions.push(saved);
        }
        app.subscriptions = subscriptions;
        app.take_over(manifest);
        Ok(app)
    }
}
