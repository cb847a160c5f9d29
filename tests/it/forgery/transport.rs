//! The frame around a body, by hand over a socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{EVENTS, event, honest, refused, repelled, send, send_signed, sign, world, world_with};
use crate::bad_input::now;
use crate::harness::PATIENCE;
use crate::harness::world::{WEBHOOK_SECRET, World};

/// Connects to the public listener.
pub async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(&world.environment["DOMICILE_HTTP_PUBLIC_LISTEN"])
        .await
        .unwrap()
}

/// The first lines of a signed event's request, without what frames its body.
pub fn head(world: &World, body: &[u8], more: &str) -> String {
    let (timestamp, host) = (now(), &world.environment["DOMICILE_HTTP_PUBLIC_LISTEN"]);
    let signature = sign(WEBHOOK_SECRET, timestamp, body);
    format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: {host}\r\nx-zm-request-timestamp: {timestamp}\r\nx-zm-signature: {signature}\r\n{more}\r\n"
    )
}

/// Everything that the server says until it closes.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A reset is a way to close, too; what came before it counts.
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn exchange(world: &World, parts: &[&[u8]]) -> String {
    let mut stream = connect(world).await;
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(&parts.concat()).await;
    rest(&mut stream).await
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunks = body.chunks(size).flat_map(|chunk| {
        let head = format!("{:x}\r\n", chunk.len());
        [head.as_bytes(), chunk, b"\r\n"].concat()
    });
    chunks.chain(*b"0\r\n\r\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_put_together_before_they_are_verified() {
    let world = world().await;
    for (size, note) in [(1, "a"), (7, "b"), (4096, "c")] {
        let body = event(note);
        let head = head(
            &world,
            &body,
            "transfer-encoding: chunked\r\nconnection: close\r\n",
        );
        let answer = exchange(&world, &[head.as_bytes(), &chunked(&body, size)]).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(world.inbox().await.len(), 3);
    let body = event("d");
    let frame = head(
        &world,
        &body,
        "transfer-encoding: chunked\r\nconnection: close\r\n",
    );
    let mut forged = body.clone();
    forged[3] ^= 1;
    let answer = exchange(&world, &[frame.as_bytes(), &chunked(&forged, 7)]).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    // What comes after the last chunk is no part of the body, and no request either.
    let answer = exchange(
        &world,
        &[frame.as_bytes(), &chunked(&body, 7), b"{\"event\":\"PLANTED\"}"],
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.matches("HTTP/1.1 200").count() == 1,
        "{answer}"
    );
    honest(&world, 4).await;
}

/// Two ways to say where the body ends make two bodies (RFC 9112 section 6.3).
#[tokio::test(flavor = "multi_thread")]
async fn two_frames_around_one_body() {
    let world = world().await;
    let body = event("framed");
    let length = body.len();
    for frame in [
        format!("content-length: {length}\r\ncontent-length: {}\r\n", length - 1),
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: +{length}\r\n"),
        format!("content-length: {length}, {length}\r\n"),
        "content-length: -1\r\n".to_owned(),
        "transfer-encoding: gzip\r\n".to_owned(),
        "transfer-encoding: chunked, chunked\r\n".to_owned(),
    ] {
        let head = head(&world, &body, &format!("{frame}connection: close\r\n"));
        let answer = exchange(&world, &[head.as_bytes(), &body]).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{frame}: {answer}");
        assert!(!answer.contains("PLANTED"), "{answer}");
    }
    repelled(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coded_and_mislabelled_bodies() {
    let world = world().await;
    let body = event("coded");
    let (time, signature) = (now().to_string(), sign(WEBHOOK_SECRET, now(), &body));
    let signed = [
        ("x-zm-request-timestamp", time.as_str()),
        ("x-zm-signature", &signature),
    ];
    for coding in ["gzip", "br", "deflate", "identity, gzip", "x-planted"] {
        let fields = [&signed[..], &[("content-encoding", coding)]].concat();
        refused(&send(&world, EVENTS, &fields, &body).await, 415);
    }
    repelled(&world).await;
    for content_type in [
        "text/plain",
        "application/json; charset-utf-8",
        "multipart/form-data",
        "nonsense",
    ] {
        let fields = [
            &signed[..],
            &[("content-type", content_type), ("content-encoding", "identity")],
        ]
        .concat();
        assert_eq!(
            send(&world, EVENTS, &fields, &body).await.status,
            200,
            "{content_type}"
        );
    }
    assert_eq!(world.inbox().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_above_the_limit() {
    let world = world_with(&[("DOMICILE_INTAKE_BODY_LIMIT_BYTES", "4096")]).await;
    let padded = |length: usize| {
        let mut body = event("large");
        body.resize(length, b' ');
        body
    };
    let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, now(), &padded(4097)).await;
    refused(&answer, 413);
    assert!(
        answer.text().contains("4096"),
        "it names the limit: {}",
        answer.text()
    );
    // Only announced: refused before it is sent.
    let announced = head(
        &world,
        b"",
        "content-length: 99999999999\r\nconnection: close\r\n",
    );
    assert!(
        exchange(&world, &[announced.as_bytes()])
            .await
            .starts_with("HTTP/1.1 413 ")
    );
    // Not announced: refused when it is too long.
    let frame = head(
        &world,
        &padded(9000),
        "transfer-encoding: chunked\r\nconnection: close\r\n",
    );
    let answer = exchange(&world, &[frame.as_bytes(), &chunked(&padded(9000), 1000)]).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    repelled(&world).await;
    let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, now(), &padded(4096)).await;
    assert_eq!(answer.status, 200);
    // And without a setting, a mebibyte.
    let world = super::world().await;
    let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, now(), &padded(1024 * 1024)).await;
    assert_eq!(answer.status, 200);
    let answer = send_signed(&world, EVENTS, WEBHOOK_SECRET, now(), &padded(1024 * 1024 + 1)).await;
    refused(&answer, 413);
    honest(&world, 1).await;
}
