//! Makes the faults, one after another.

use std::time::{Duration, Instant};

use super::ledger::FaultLog;
use super::plan::{FaultKind, Plan, Step};
use crate::failure::Outcome;
use crate::machine::{Postgres, Server};
use crate::wall;

/// No fault begins this shortly before the end of the load, so that each can be recovered from under load.
const LAST_CALM: Duration = Duration::from_secs(5);
/// How long recovery is waited for; then the next fault comes all the same.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(20);

/// Makes faults by plan.
#[derive(Debug)]
pub struct Driver<'a> {
    /// The database.
    pub postgres: &'a mut Postgres,
    /// The service.
    pub service: &'a mut Server,
    /// Is told when each fault begins and ends.
    pub log: FaultLog,
}

impl Driver<'_> {
    /// Makes faults for so long, and gives the most memory that any process of the service had, in kilobytes.
    pub fn run(&mut self, seed: u64, duration: Duration) -> Outcome<u64> {
        let (start, mut peak_kb) = (Instant::now(), 0);
        for step in Plan::new(seed) {
            if start.elapsed() + step.calm + step.length + LAST_CALM > duration {
                break;
            }
            wall::pause(step.calm);
            eprintln!(
                "{:>4.0} s: {} for {:.1} s",
                start.elapsed().as_secs_f64(),
                step.kind.as_str(),
                step.length.as_secs_f64()
            );
            peak_kb = peak_kb.max(self.service.usage().peak_rss_kb);
            self.log.begin(step.kind);
            self.make(&step)?;
            self.log.end();
            self.wait_for_recovery();
        }
        wall::pause(duration.saturating_sub(start.elapsed()));
        Ok(peak_kb.max(self.service.usage().peak_rss_kb))
    }

    fn wait_for_recovery(&self) {
        let end = Instant::now();
        while !self.log.has_recovered() && end.elapsed() < RECOVERY_PATIENCE {
            wall::pause(Duration::from_millis(5));
        }
    }

    fn make(&mut self, step: &Step) -> Outcome {
        match step.kind {
            FaultKind::DatabaseStopped | FaultKind::DatabaseRestarted => {
                self.postgres.stop()?;
                wall::pause(step.length);
                self.postgres.start_again()
            }
            FaultKind::DatabaseKilled => {
                self.postgres.kill()?;
                wall::pause(step.length);
                self.postgres.start_again()
            }
            FaultKind::DatabaseFrozen => {
                let frozen = self.postgres.freeze();
                wall::pause(step.length);
                drop(frozen);
                Ok(())
            }
            FaultKind::ServiceKilled => {
                self.service.kill()?;
                wall::pause(step.length);
                self.service.start_again()
            }
        }
    }
}
