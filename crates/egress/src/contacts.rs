//! Whom the process has talked to, for the evidence that nothing left the region.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fence::RefusedReason;

/// So many refused hosts are kept by name between two collections: whoever makes us call them chooses them.
const MOST_REFUSED: usize = 200;

/// The name that stands for refused hosts beyond that.
pub const OTHER_HOSTS: &str = "(others)";

/// What left the process and what was kept in, since it was last collected. Clones share it.
#[derive(Clone, Default)]
pub struct Contacts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    made: BTreeMap<Destination, Arc<Counters>>,
    refused: BTreeMap<(String, &'static str), u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Destination {
    host: String,
    port: u16,
    purpose: &'static str,
}

/// Counted while bodies are still on their way.
#[derive(Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    failed: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
}

/// The calls to one host for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The host's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What the client is for, such as `zoom_api`.
    pub purpose: &'static str,
    /// How many calls were made.
    pub calls: u64,
    /// How many of them had no answer.
    pub failed: u64,
    /// The size of the bodies that were sent.
    pub sent_bytes: u64,
    /// The size of the bodies that came back, as far as they were read.
    pub received_bytes: u64,
}

/// Calls that the fence did not let out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// The host, or [`OTHER_HOSTS`].
    pub host: String,
    /// Why, as [`RefusedReason::as_str`] spells it.
    pub reason: &'static str,
    /// How many.
    pub calls: u64,
}

impl Contacts {
    /// What was counted since the last time. A body that is on its way is counted on.
    pub fn collect(&self) -> (Vec<Contact>, Vec<Refusals>) {
        let mut state = self.state();
        let made = state
            .made
            .iter()
            .map(|(to, counters)| Contact {
                host: to.host.clone(),
                port: to.port,
                purpose: to.purpose,
                calls: counters.calls.swap(0, Ordering::Relaxed),
                failed: counters.failed.swap(0, Ordering::Relaxed),
                sent_bytes: counters.sent_bytes.swap(0, Ordering::Relaxed),
                received_bytes: counters.received_bytes.swap(0, Ordering::Relaxed),
            })
            .filter(|contact| contact.calls + contact.received_bytes > 0)
            .collect();
        // Nobody counts on where only this map holds the counters.
        state.made.retain(|_, counters| Arc::strong_count(counters) > 1);
        let refused = std::mem::take(&mut state.refused)
            .into_iter()
            .map(|((host, reason), calls)| Refusals { host, reason, calls })
            .collect();
        (made, refused)
    }

    /// Puts back what could not be written down.
    pub fn put_back(&self, contacts: Vec<Contact>, refusals: Vec<Refusals>) {
        for contact in contacts {
            let counters = self.counters(contact.host, contact.port, contact.purpose);
            counters.calls.fetch_add(contact.calls, Ordering::Relaxed);
            counters.failed.fetch_add(contact.failed, Ordering::Relaxed);
            counters
                .sent_bytes
                .fetch_add(contact.sent_bytes, Ordering::Relaxed);
            counters.received(contact.received_bytes);
        }
        let mut state = self.state();
        for refusal in refusals {
            state.refuse(refusal.host, refusal.reason, refusal.calls);
        }
    }

    pub(crate) fn begin(
        &self,
        host: &str,
        port: u16,
        purpose: &'static str,
        sent_bytes: usize,
    ) -> Arc<Counters> {
        let counters = self.counters(host.to_owned(), port, purpose);
        counters.calls.fetch_add(1, Ordering::Relaxed);
        counters
            .sent_bytes
            .fetch_add(sent_bytes as u64, Ordering::Relaxed);
        counters
    }

    pub(crate) fn refused(&self, host: &str, reason: RefusedReason) {
        self.state().refuse(host.to_owned(), reason.as_str(), 1);
    }

    fn counters(&self, host: String, port: u16, purpose: &'static str) -> Arc<Counters> {
        let to = Destination { host, port, purpose };
        Arc::clone(self.state().made.entry(to).or_default())
    }

    // Nothing panics while it is locked.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refuse(&mut self, host: String, reason: &'static str, calls: u64) {
        let known = self.refused.contains_key(&(host.clone(), reason));
        let host = if known || self.refused.len() < MOST_REFUSED {
            host
        } else {
            OTHER_HOSTS.to_owned()
        };
        *self.refused.entry((host, reason)).or_default() += calls;
    }
}

impl Counters {
    pub(crate) fn received(&self, bytes: u64) {
        self.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The call did not leave after all.
    pub(crate) fn take_back(&self, sent_bytes: usize) {
        let less = |count: u64, by: u64| Some(count.saturating_sub(by));
        // These cannot fail: the closure always gives a value.
        let _ = self
            .calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| less(count, 1));
        let _ = self
            .sent_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                less(count, sent_bytes as u64)
            });
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once_and_bodies_as_they_come() {
        let contacts = Contacts::default();
        let body = contacts.begin("api.zoom.us", 443, "zoom_api", 10);
        body.received(5);
        let first = contacts.collect().0;
        assert_eq!(
            (first[0].calls, first[0].sent_bytes, first[0].received_bytes),
            (1, 10, 5)
        );
        body.received(7);
        let rest = contacts.collect().0;
        assert_eq!((rest[0].calls, rest[0].received_bytes), (0, 7));
        drop(body);
        assert!(contacts.collect().0.is_empty());
        assert!(contacts.state().made.is_empty());
    }

    #[test]
    fn what_is_put_back_is_collected_again() {
        let contacts = Contacts::default();
        contacts.begin("h", 1, "p", 3).failed();
        contacts.refused("evil.example", RefusedReason::Host);
        let (made, refused) = contacts.collect();
        contacts.put_back(made.clone(), refused.clone());
        contacts.refused("evil.example", RefusedReason::Host);
        let again = contacts.collect();
        assert_eq!(again.0, made);
        assert_eq!(again.1[0].calls, 2);
    }

    #[test]
    fn refused_hosts_are_bounded_whoever_names_them() {
        let contacts = Contacts::default();
        for number in 0..MOST_REFUSED + 50 {
            contacts.refused(&format!("h{number}.example"), RefusedReason::Host);
        }
        let refused = contacts.collect().1;
        assert_eq!(refused.len(), MOST_REFUSED + 1);
        let others = refused.iter().find(|it| it.host == OTHER_HOSTS).unwrap();
        assert_eq!(others.calls, 50);
    }
}
