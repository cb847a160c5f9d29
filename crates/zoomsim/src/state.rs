//! The whole state as one value behind a lock, kept in a JSON file where one is named.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domicile_kernel::Rng;
use serde::{Deserialize, Serialize};

use crate::model::app::{App, Subscription};
use crate::model::chat::Chat;
use crate::model::fault::{About, Fault, FaultKind, Target};
use crate::model::meeting::{Meeting, RecordingFile};
use crate::model::token::{AccessToken, Code, Grant, RefreshToken};
use crate::model::user::User;
use crate::model::webhook::WebhookDelivery;
use crate::random;

/// The webhook log holds so many entries; the oldest finished ones go first.
const LOG_LENGTH: usize = 2_000;

#[derive(Serialize, Deserialize, Default)]
pub(crate) struct State {
    /// Signs tokens, download URLs and page tokens; kept, so that they survive a restart.
    pub signing_key: String,
    /// How far `advance` moved the clock, in milliseconds.
    pub clock_ahead_ms: i64,
    pub apps: BTreeMap<String, App>,
    pub users: BTreeMap<String, User>,
    pub meetings: BTreeMap<String, Meeting>,
    pub grants: Vec<Grant>,
    pub codes: BTreeMap<String, Code>,
    pub access_tokens: BTreeMap<String, AccessToken>,
    pub refresh_tokens: BTreeMap<String, RefreshToken>,
    pub deliveries: VecDeque<WebhookDelivery>,
    pub faults: Vec<Fault>,
    pub last_number: u64,
    #[serde(default)]
    pub chat: Chat,
}

impl State {
    pub(crate) fn new(rng: &dyn Rng) -> Self {
        Self {
            signing_key: random::hex_text::<32>(rng),
            ..Self::default()
        }
    }

    /// Numbers of log rows and faults, never used twice.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.signing_key.as_bytes()
    }

    /// The file and its meeting.
    pub(crate) fn file(&self, meeting_uuid: &str, file_id: &str) -> Option<(&Meeting, &RecordingFile)> {
        let meeting = self.meetings.get(meeting_uuid)?;
        let file = meeting.files.iter().find(|file| file.id == file_id)?;
        Some((meeting, file))
    }

    /// All that events are sent to: subscriptions and the endpoints of bots.
    pub(crate) fn endpoints_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        self.apps.values_mut().flat_map(|app| {
            let bot = app.bot.as_mut().map(|bot| &mut bot.endpoint);
            app.subscriptions.iter_mut().chain(bot)
        })
    }

    /// The same, to look at.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Subscription> {
        self.apps.values().flat_map(|app| {
            let bot = app.bot.as_ref().map(|bot| &bot.endpoint);
            app.subscriptions.iter().chain(bot)
        })
    }

    pub(crate) fn subscription_mut(&mut self, id: &str) -> Option<&mut Subscription> {
        self.endpoints_mut().find(|subscription| subscription.id == id)
    }

    pub(crate) fn delivery_mut(&mut self, id: u64) -> Option<&mut WebhookDelivery> {
        self.deliveries.iter_mut().find(|delivery| delivery.id == id)
    }

    /// Takes one strike of the first fault ordered for this.
    pub(crate) fn take_fault(&mut self, target: Target, about: &About<'_>) -> Option<FaultKind> {
        let index = self
            .faults
            .iter()
            .position(|fault| fault.strikes(target, about))?;
        let fault = &mut self.faults[index];
        let kind = fault.order.fault.clone();
        fault.remaining = fault.remaining.saturating_sub(1);
        if fault.remaining == 0 {
            self.faults.remove(index);
        }
        Some(kind)
    }

    pub(crate) fn log(&mut self, delivery: WebhookDelivery) {
        if self.deliveries.len() >= LOG_LENGTH {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }
}

/// The state behind its lock.
pub(crate) struct Store {
    state: Mutex<State>,
    file: Option<PathBuf>,
}

impl Store {
    /// Reads the file, or begins anew where there is none.
    pub(crate) fn open(file: Option<PathBuf>, rng: &dyn Rng) -> io::Result<Self> {
        let state = match file.as_deref().map(std::fs::read) {
            Some(Ok(bytes)) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => State::new(rng),
        };
        Ok(Self {
            state: Mutex::new(state),
            file,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, and writes it out before anybody hears of the change.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let answer = change(&mut state);
        if let Some(file) = &self.file
            && let Err(error) = write(file, &state)
        {
            tracing::error!(%error, "the state file could not be written");
        }
        answer
    }
}

/// Writes beside and renames, so that a crash leaves the old file or the new one.
fn write(file: &Path, state: &State) -> io::Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, serde_json::to_vec(state).map_err(io::Error::other)?)?;
    std::fs::rename(beside, file)
}
