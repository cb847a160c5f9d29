//! `LISTEN` as a wake-up.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::settings::DbSettings;
use crate::tls::{self, Connected};

/// How long to wait before a broken connection is opened again.
const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// Calls `on_notify` with the payload of each notification on the channel until `stop` is cancelled.
///
/// It is a hint: while the connection is broken notifications are missed, so whoever waits for one also polls.
pub async fn listen(
    settings: &DbSettings,
    channel: &'static str,
    stop: CancellationToken,
    on_notify: impl Fn(&str) + Send + Sync,
) {
    while !stop.is_cancelled() {
        let attempt = stop
            .run_until_cancelled(session(settings, channel, &on_notify))
            .await;
        match attempt {
            None => return,
            Some(Err(error)) => warn!(channel, %error, "the LISTEN connection broke; polling goes on"),
            Some(Ok(())) => debug!(channel, "the LISTEN connection was closed"),
        }
        // Cancelling is the only other way out of this wait.
        let _ = timeout(RECONNECT_AFTER, stop.cancelled()).await;
    }
}

async fn session(
    settings: &DbSettings,
    channel: &'static str,
    on_notify: &(impl Fn(&str) + Send + Sync),
) -> Result<(), crate::StoreError> {
    match tls::connect(settings).await? {
        Connected::Plain(client, connection) => drive(client, *connection, channel, on_notify).await,
        Connected::Tls(client, connection) => drive(client, *connection, channel, on_notify).await,
    }
    .map_err(tls::unavailable)
}

async fn drive<S>(
    client: Client,
    mut connection: Connection<Socket, S>,
    channel: &'static str,
    on_notify: &(impl Fn(&str) + Send + Sync),
) -> Result<(), tokio_postgres::Error>
where
    S: tokio_postgres::tls::TlsStream + Unpin,
{
    let statement = format!("LISTEN {channel}");
    let subscribe = client.batch_execute(&statement);
    tokio::pin!(subscribe);
    let mut subscribed = false;
    loop {
        tokio::select! {
            result = &mut subscribe, if !subscribed => {
                result?;
                subscribed = true;
            }
            message = poll_fn(|cx| connection.poll_message(cx)) => match message {
                Some(Ok(AsyncMessage::Notification(notification))) => on_notify(notification.payload()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
    }
}
