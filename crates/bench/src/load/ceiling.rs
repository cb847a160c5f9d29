//! What the generator itself can do: its rate against a server that does nothing.

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::closed::{ClosedLoop, ClosedOutcome};
use crate::failure::Outcome;
use crate::request::Request;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Answers 200 to every so many bytes, without a look at them, on a thread of its own.
#[derive(Debug)]
pub struct Responder {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts it for requests of this length.
    pub fn start(request_length: usize) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, request_length) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, request_length: usize) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, request_length));
    }
}

async fn answer(mut stream: TcpStream, request_length: usize) {
    let _ = stream.set_nodelay(true);
    let (mut buffer, mut arrived) = (vec![0; 64 * 1024], 0);
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        arrived += read;
        while arrived >= request_length {
            arrived -= request_length;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

/// Runs the loop against such a server instead of its target.
pub fn ceiling(run: &ClosedLoop) -> Outcome<ClosedOutcome> {
    let length = Request::new(&run.target, &run.source).bytes().len();
    let responder = Responder::start(length)?;
    let run = ClosedLoop {
        target: run.target.at(responder.address),
        ..run.clone()
    };
    run.run(|_| {})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use domicile_kernel::Secret;
    use url::Url;

    use super::*;
    use crate::event::EventSource;
    use crate::request::Target;

    #[test]
    fn a_closed_loop_counts_each_answer_once() {
        let url = Url::parse("http://127.0.0.1:9/zoom/events").unwrap();
        let run = ClosedLoop {
            target: Target::new(&url, &Secret::from("s")).unwrap(),
            source: Arc::new(EventSource::new(2, 1)),
            connections: 3,
            threads: 2,
            warm_up: Duration::from_millis(20),
            duration: Duration::from_millis(100),
            numbers: Arc::default(),
        };
        let outcome = ceiling(&run).unwrap();
        assert!(outcome.tally.accepted() > 0, "{}", outcome.tally);
        assert_eq!(outcome.tally.failed(), 0, "{}", outcome.tally);
        assert_eq!(outcome.latency.count, outcome.tally.accepted());
        assert!(run.numbers.load(std::sync::atomic::Ordering::Relaxed) >= outcome.tally.accepted());

        let nobody = run.run(|_| {}).unwrap();
        assert_eq!(nobody.tally.accepted(), 0);
        assert!(nobody.tally.unanswered() > 0);
    }
}
