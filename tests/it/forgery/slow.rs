//! Clients that send too slowly, to hold what others need. Each is cut off in time, and meanwhile everybody is served.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::transport::{connect, head, rest};
use super::{EVENTS, event, send_signed};
use crate::bad_input::now;
use crate::harness::world::{WEBHOOK_SECRET, World};

// Long enough for an honest request on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(3);
const CLIENTS: usize = 64;

async fn impatient_world() -> World {
    let mut world = World::without_region().await;
    world
        .start_region_with(|settings| {
            settings.http.head_timeout = TIMEOUT;
            settings.http.keep_alive = TIMEOUT;
            settings.receiving.body_timeout = TIMEOUT;
        })
        .await;
    world
}

/// Opens connections that say this and then nothing.
async fn stalled(world: &World, said: &[u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = connect(world).await;
        stream.write_all(said).await.unwrap();
        streams.push(stream);
    }
    streams
}

async fn cut_off(world: &World, mut streams: Vec<TcpStream>, status: &str) {
    // They hold nothing that an honest request needs.
    let answer = send_signed(world, EVENTS, WEBHOOK_SECRET, now(), &event("meanwhile")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for stream in &mut streams {
        let answer = rest(stream).await;
        assert!(answer.starts_with(status), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(world.inbox().await.len(), 1, "only the honest request is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end() {
    let world = impatient_world().await;
    let streams = stalled(&world, format!("POST {EVENTS} HTTP/1.1\r\nhost: ").as_bytes()).await;
    cut_off(&world, streams, "HTTP/1.1 408 ").await;
}

/// Zoom is asked to come again: its connection failed, not its request.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_end() {
    let world = impatient_world().await;
    let body = event("slow");
    let announced = head(&world, &body, &format!("content-length: {}\r\n", body.len()));
    let streams = stalled(&world, &[announced.as_bytes(), &body[..body.len() / 2]].concat()).await;
    cut_off(&world, streams, "HTTP/1.1 503 ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_do_not_end() {
    let world = impatient_world().await;
    let body = event("slow");
    let frame = head(&world, &body, "transfer-encoding: chunked\r\n");
    let streams = stalled(
        &world,
        &[frame.as_bytes(), b"4\r\n", &body[..4], b"\r\n"].concat(),
    )
    .await;
    cut_off(&world, streams, "HTTP/1.1 503 ").await;
}

/// A connection that was honest once is watched as closely afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_head_that_does_not_end() {
    let world = impatient_world().await;
    let body = event("meanwhile");
    let first = head(&world, &body, &format!("content-length: {}\r\n", body.len()));
    let mut streams = stalled(&world, &[first.as_bytes(), &body].concat()).await;
    for stream in &mut streams {
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));
        stream
            .write_all(format!("POST {EVENTS} HTTP/1.1\r\nhost: ").as_bytes())
            .await
            .unwrap();
    }
    for stream in &mut streams {
        let answer = rest(stream).await;
        assert!(answer.is_empty(), "{answer}");
    }
    assert_eq!(world.inbox().await.len(), 1);
}
