//! What a region of this machine keeps secret: made once, readable by its owner alone.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::run::{Failure, Outcome};

/// The secrets of one region, its Marketplace app and its demo app.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    /// `DOMICILE_VAULT_KEYS`
    pub(crate) vault_keys: String,
    /// The Marketplace app's id at zoomsim.
    pub(crate) zoom_client_id: String,
    /// Its client secret.
    pub(crate) zoom_client_secret: String,
    /// The secret token of its event subscription.
    pub(crate) zoom_webhook_secret: String,
    /// The demo app's key to the App API.
    pub(crate) app_api_key: String,
    /// The Standard Webhooks secret of the events.
    pub(crate) events_secret: String,
}

impl Secrets {
    /// The secrets of this file, which is made if there is none.
    pub(crate) fn open(file: &Path) -> Outcome<Self> {
        match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Failure(format!(
                    "{}: {error}; remove the region's folder to begin anew",
                    file.display()
                ))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let secrets = Self::make()?;
                let mut options = File::options();
                let mut new = options.write(true).create_new(true).mode(0o600).open(file)?;
                new.write_all(&serde_json::to_vec_pretty(&secrets)?)?;
                Ok(secrets)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn make() -> Outcome<Self> {
        Ok(Self {
            vault_keys: format!("dev-1:{}", STANDARD.encode(random::<32>()?)),
            zoom_client_id: text::<16>()?,
            zoom_client_secret: text::<24>()?,
            zoom_webhook_secret: text::<16>()?,
            app_api_key: text::<32>()?,
            events_secret: format!("whsec_{}", STANDARD.encode(random::<32>()?)),
        })
    }

    /// `DOMICILE_APP_API_KEYS`
    pub(crate) fn app_api_keys(&self) -> String {
        format!(
            "demo-app:{}",
            hex::encode(Sha256::digest(self.app_api_key.as_bytes()))
        )
    }

    /// The id at zoomsim of the bot's Marketplace app, which is one of its own: Zoom lets an administrator add the bot
    /// for all, and lets each user link for herself.
    pub(crate) fn bot_client_id(&self) -> String {
        format!("{}-bot", self.zoom_client_id)
    }

    /// Its client secret.
    pub(crate) fn bot_client_secret(&self) -> String {
        self.of_bot("client secret")
    }

    /// The secret token of its endpoint.
    pub(crate) fn bot_webhook_secret(&self) -> String {
        self.of_bot("webhook secret")
    }

    /// Derived, so that the file of an earlier start still does.
    fn of_bot(&self, purpose: &str) -> String {
        let text = format!("bot {purpose}: {}", self.zoom_client_secret);
        hex::encode(Sha256::digest(text.as_bytes()))
    }
}

fn text<const N: usize>() -> Outcome<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<N>()?))
}

fn random<const N: usize>() -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn they_are_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.json");
        let made = Secrets::open(&file).unwrap();
        let read = Secrets::open(&file).unwrap();
        assert_eq!(made.vault_keys, read.vault_keys);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(Secrets::make().unwrap().events_secret, made.events_secret);
        assert_eq!(made.bot_webhook_secret(), read.bot_webhook_secret());
        assert_ne!(made.bot_webhook_secret(), made.bot_client_secret());
        assert_eq!(made.app_api_keys().len(), "demo-app:".len() + 64);
    }
}
