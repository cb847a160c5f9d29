//! How much memory the bodies of requests may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound on all bodies that are held at one time, from their first byte to the answer. Clones share it.
#[derive(Debug, Clone)]
pub struct BodyBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max_bytes: usize,
    held_bytes: AtomicUsize,
}

impl BodyBudget {
    /// A budget of so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Inner {
            max_bytes,
            held_bytes: AtomicUsize::new(0),
        }))
    }

    /// How much is held now, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) -> Held {
        Held {
            budget: Some(self.clone()),
            bytes: 0,
        }
    }
}

/// What one body holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Option<BodyBudget>,
    bytes: usize,
}

impl Held {
    /// Of no budget.
    pub(super) fn unbounded() -> Self {
        Self {
            budget: None,
            bytes: 0,
        }
    }

    /// Takes so many bytes more; false if there is no room.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let Some(BodyBudget(budget)) = &self.budget else {
            return true;
        };
        let held = budget.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        if held.saturating_add(bytes) > budget.max_bytes {
            budget.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(BodyBudget(budget)) = &self.budget {
            budget.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_over_all_and_given_back() {
        let budget = BodyBudget::new(100);
        let (mut first, mut second) = (budget.begin(), budget.begin());
        assert!(first.grow(60) && second.grow(40));
        assert!(!first.grow(1) && !second.grow(1));
        assert_eq!(budget.held_bytes(), 100);
        drop(second);
        assert!(first.grow(40));
        drop(first);
        assert_eq!(budget.held_bytes(), 0);
        assert!(Held::unbounded().grow(usize::MAX));
    }
}
