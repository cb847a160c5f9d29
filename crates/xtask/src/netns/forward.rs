//! Bridges between the loopback of a namespace and its uplink: what runs here calls and listens on loopback only.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::run::{Failure, Outcome};

/// Listens, and hands every connection on, for as long as the runtime lives.
pub(crate) async fn open(listen: SocketAddr, to: SocketAddr) -> Outcome {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure(format!("listening on {listen}: {error}")))?;
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Either side learns of a fault of the other by the end of its own connection.
                if let Ok(mut onward) = TcpStream::connect(to).await {
                    let _ = copy_bidirectional(&mut from, &mut onward).await;
                }
            });
        }
    });
    Ok(())
}
