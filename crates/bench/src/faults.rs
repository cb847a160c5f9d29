//! The fault run: what is answered while database and service are stopped, killed and frozen, and what is there in the
//! end.

mod check;
mod driver;
mod ledger;
mod plan;
mod retry;

pub use check::{Broken, Claim, Findings, check};
pub use driver::Driver;
pub use ledger::{FaultLog, FaultRecord, Ledger};
pub use plan::{FaultKind, Plan, Step};
pub use retry::{ZOOMS_TRIES, after_attempt};
