//! What the endpoint gave out, to whom, and what it saw.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use domicile_kernel::Timestamp;

use super::Fault;

/// Why Zoom ended a grant of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// 4741.
    Revoked,
    /// 4735.
    UserGone,
    /// 4738.
    AppDisabled,
}

/// An access token, which lives an hour, and a refresh token, which lives 90 days.
#[derive(Clone)]
pub struct Pair {
    /// Opens the API.
    pub access_token: String,
    /// Gives the next pair, once.
    pub refresh_token: String,
}

impl Pair {
    pub(super) fn to_json(&self) -> String {
        serde_json::json!({
            "access_token": self.access_token,
            "token_type": "bearer",
            "refresh_token": self.refresh_token,
            "expires_in": 3600,
            "scope": "user:read:user cloud_recording:read:list_recording_files",
        })
        .to_string()
    }
}

/// What became of one grant's requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many there were.
    pub requests: u32,
    /// How many brought a new pair, heard of or not.
    pub rotations: u32,
    /// How many were told `invalid_grant`.
    pub refusals: u32,
    /// The most that there were at one time.
    pub most_in_flight: u32,
    /// How often one of its tokens was revoked by the app.
    pub revocations: u32,
}

#[derive(Default)]
struct Grant {
    serial: u32,
    /// Until when the latest refresh token lives.
    expires_at: Timestamp,
    ended: Option<Ending>,
    in_flight: u32,
    seen: Seen,
}

/// Why there is no pair.
#[derive(Clone, Copy)]
pub(super) enum Refused {
    /// The token was rotated, is too old or was never one.
    Unknown,
    /// The grant has ended.
    Ended(Ending),
}

/// Tokens are `refresh:<grant>:<serial>`: the latest serial of a grant alone works.
#[derive(Default)]
pub(super) struct Ledger {
    grants: HashMap<String, Grant>,
    faults: BTreeMap<Fault, u32>,
}

const REFRESH_LIFE: TimeDelta = TimeDelta::days(90);

impl Ledger {
    pub(super) fn authorize(&mut self, name: &str, now: Timestamp) -> Pair {
        let grant = self.grant(name);
        grant.ended = None;
        grant.issue(name, now)
    }

    pub(super) fn end(&mut self, name: &str, ending: Ending) {
        self.grant(name).ended = Some(ending);
    }

    pub(super) fn rotate_unheard(&mut self, name: &str, now: Timestamp) {
        self.grant(name).issue(name, now);
    }

    pub(super) fn living(&self, name: &str, now: Timestamp) -> Option<String> {
        let grant = self.grants.get(name)?;
        let lives = grant.ended.is_none() && grant.expires_at > now;
        lives.then(|| refresh_token(name, grant.serial))
    }

    pub(super) fn seen(&self, name: &str) -> Seen {
        self.grants.get(name).map(|grant| grant.seen).unwrap_or_default()
    }

    pub(super) fn faults(&self) -> Vec<(Fault, u32)> {
        self.faults
            .iter()
            .map(|(fault, count)| (*fault, *count))
            .collect()
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// A request has arrived; gives whose it is and its number.
    pub(super) fn begin(&mut self, token: &str) -> (String, u32) {
        let name = parts(token).0.to_owned();
        let grant = self.grant(&name);
        grant.in_flight += 1;
        grant.seen.most_in_flight = grant.seen.most_in_flight.max(grant.in_flight);
        grant.seen.requests += 1;
        let nth = grant.seen.requests;
        (name, nth)
    }

    /// Its answer is about to be written, or its connection to end.
    pub(super) fn finish(&mut self, name: &str) {
        self.grant(name).in_flight -= 1;
    }

    pub(super) fn rotate(&mut self, token: &str, now: Timestamp) -> Result<Pair, Refused> {
        let (name, serial) = parts(token);
        let grant = self.grant(name);
        match grant.ended {
            Some(ending) => Err(Refused::Ended(ending)),
            None if serial == Some(grant.serial) && grant.expires_at > now => {
                grant.seen.rotations += 1;
                Ok(grant.issue(name, now))
            }
            None => Err(Refused::Unknown),
        }
    }

    /// The refusal of this token is about to be told.
    pub(super) fn refuse(&mut self, token: &str) {
        self.grant(parts(token).0).seen.refusals += 1;
    }

    pub(super) fn revoke(&mut self, token: &str) {
        let grant = self.grant(parts(token).0);
        grant.seen.revocations += 1;
        grant.ended = Some(Ending::Revoked);
    }

    fn grant(&mut self, name: &str) -> &mut Grant {
        self.grants.entry(name.to_owned()).or_default()
    }
}

impl Grant {
    fn issue(&mut self, name: &str, now: Timestamp) -> Pair {
        self.serial += 1;
        self.expires_at = now + REFRESH_LIFE;
        Pair {
            access_token: format!("access:{name}:{}", self.serial),
            refresh_token: refresh_token(name, self.serial),
        }
    }
}

fn refresh_token(name: &str, serial: u32) -> String {
    format!("refresh:{name}:{serial}")
}

/// The grant and the serial in a token's text.
fn parts(token: &str) -> (&str, Option<u32>) {
    let rest = token.split_once(':').map_or("", |(_, rest)| rest);
    match rest.rsplit_once(':') {
        Some((name, serial)) => (name, serial.parse().ok()),
        None => ("", None),
    }
}
