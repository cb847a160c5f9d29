//! `domicile ready`: what a cluster's own test asks, from an image that holds nothing but this program.

use std::io::Write;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Failure;

/// A process asks its database for two seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read of an answer.
const MOST_BYTES: u64 = 4096;

/// Asks once. The ops listener speaks plain HTTP inside of the cluster, to which no client of `egress` would go.
pub(super) async fn run(address: &str) -> Result<(), Failure> {
    let answer = timeout(PATIENCE, ask(address))
        .await
        .map_err(|_| format!("{address} does not answer within {} seconds", PATIENCE.as_secs()))?
        .map_err(|error| format!("{address} cannot be asked: {error}"))?;
    let why = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
    match answer.split(' ').nth(1) {
        Some("200") => Ok(writeln!(std::io::stdout(), "{address} is ready.")?),
        Some("503") => Err(format!("{address} is not ready: {why}").into()),
        _ => Err(format!("{address} is no ops listener of Domicile").into()),
    }
}

async fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answered(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 256];
            let read = stream.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let outcome = run(&address).await.map_err(|failure| failure.to_string());
        server.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn only_a_process_that_says_so_is_ready() {
        assert_eq!(answered("HTTP/1.1 200 OK\r\n\r\nok\n").await, Ok(()));
        let why = answered("HTTP/1.1 503 Service Unavailable\r\n\r\nstopping\n").await;
        assert!(why.unwrap_err().ends_with("is not ready: stopping"));
        assert!(answered("HTTP/1.1 404 Not Found\r\n\r\n").await.is_err());
        assert!(answered("").await.is_err());
    }
}
