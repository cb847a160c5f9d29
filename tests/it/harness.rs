//! A region with everything around it.

pub mod browser;
pub mod chat;
pub mod collector;
pub mod detector;
pub mod grants;
pub mod process;
pub mod promql;
pub mod tls;
pub mod wire;
pub mod world;

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// How long anything may take before a test gives up. It is never waited for when things work.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer; fails with what was waited for when there never is.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        let mut ticks = interval(Duration::from_millis(50));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("it never came: {what}"))
}
