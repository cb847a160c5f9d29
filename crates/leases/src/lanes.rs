//! Lanes: jobs that share their fate, such as those of one Zoom account, never take all permits of their kind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// How many jobs of each lane this process runs.
pub(crate) struct Lanes {
    limit: Option<usize>,
    running: Mutex<HashMap<String, usize>>,
    wake: Arc<Notify>,
}

/// How many jobs a lane may have, and those of every lane that has any.
pub(crate) struct Room {
    pub(crate) limit: i64,
    pub(crate) running: Vec<(String, i64)>,
}

impl Lanes {
    /// Lanes with at most `limit` running jobs each. `wake` is told when one has room again.
    pub(crate) fn new(limit: Option<usize>, wake: Arc<Notify>) -> Self {
        Self {
            limit,
            running: Mutex::default(),
            wake,
        }
    }

    /// How much of each lane is taken; nothing where lanes do not matter.
    pub(crate) fn room(&self) -> Option<Room> {
        let limit = i64::try_from(self.limit?).unwrap_or(i64::MAX);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = running
            .iter()
            .map(|(lane, count)| (lane.clone(), i64::try_from(*count).unwrap_or(i64::MAX)))
            .collect();
        Some(Room { limit, running })
    }

    /// Takes a place in a lane until the value is dropped. A job without a lane takes none.
    pub(crate) fn enter(self: &Arc<Self>, lane: Option<&str>) -> Place {
        if let Some(lane) = lane {
            *self
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(lane.to_owned())
                .or_default() += 1;
        }
        Place {
            lanes: Arc::clone(self),
            lane: lane.map(str::to_owned),
        }
    }
}

/// A place in a lane.
pub(crate) struct Place {
    lanes: Arc<Lanes>,
    lane: Option<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(lane) = self.lane.take() else { return };
        let mut running = self.lanes.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&lane) {
            *count -= 1;
            if *count == 0 {
                running.remove(&lane);
            }
        }
        self.lanes.wake.notify_one();
    }
}
