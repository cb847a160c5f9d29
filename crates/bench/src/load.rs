//! Generating load: signed events over kept-alive connections, in a closed loop or at a fixed rate.

mod ceiling;
mod closed;
mod connection;
mod latencies;
mod open;
mod schedule;
mod tally;

pub use ceiling::{Responder, ceiling};
pub use closed::{ClosedLoop, ClosedOutcome, Edge};
pub use connection::{Broken, Connection};
pub use latencies::{Latencies, Summary};
pub use open::{Answered, Job, Kept, OpenLoop, Sink, SinkVerdict};
pub use schedule::Schedule;
pub use tally::Tally;
