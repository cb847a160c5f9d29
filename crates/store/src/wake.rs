//! Waking those who wait for work in other processes: a hint, which may be lost, since they also look by themselves.

use std::cell::RefCell;
use std::collections::BTreeSet;

use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use tracing::debug;

use crate::db::Conn;
use crate::error::StoreError;

/// Channels and payloads.
pub(crate) type Wakes = BTreeSet<(&'static str, String)>;

tokio::task_local! {
    static WAKES: RefCell<Wakes>;
}

#[diesel::declare_sql_function]
extern "SQL" {
    fn pg_notify(channel: Text, payload: Text);
}

/// Notifies a channel once the transaction of [`Db::run_tx`](crate::Db::run_tx) around it is committed, or with the
/// connection's own transaction where there is none.
///
/// In the transaction itself `NOTIFY` would take a lock of the whole server, and hold it while the commit waits for the
/// disk, so that no two commits shared a flush.
pub async fn wake(conn: &mut Conn, channel: &'static str, payload: &str) -> Result<(), StoreError> {
    let noted = WAKES.try_with(|wakes| wakes.borrow_mut().insert((channel, payload.to_owned())));
    if noted.is_err() {
        notify(conn, channel, payload).await?;
    }
    Ok(())
}

/// Runs a transaction's closure, and says whom it wants to wake.
pub(crate) async fn collecting<F: Future>(transaction: F) -> (F::Output, Wakes) {
    let run = async {
        let output = transaction.await;
        (output, WAKES.with(RefCell::take))
    };
    WAKES.scope(RefCell::default(), run).await
}

/// Sends them after the commit. What cannot be sent is found by those who look.
pub(crate) async fn send(conn: &mut Conn, wakes: Wakes) {
    for (channel, payload) in wakes {
        if let Err(error) = notify(conn, channel, &payload).await {
            debug!(%error, channel, "nobody could be woken");
            return;
        }
    }
}

async fn notify(conn: &mut Conn, channel: &str, payload: &str) -> Result<(), StoreError> {
    diesel::select(pg_notify(channel, payload)).execute(conn).await?;
    Ok(())
}
