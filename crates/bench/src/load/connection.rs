//! One kept-alive connection.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{Head, NotUnderstood, parse_head};

/// Answers are small; of a larger one only the length matters.
const BUFFER_BYTES: usize = 16 * 1024;

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// There was no connection to be had.
    NotConnected,
    /// The connection ended before the answer did.
    Closed,
    /// The answer did not come within the client's patience.
    TimedOut,
    /// The answer is no HTTP/1.1, or of a kind that is not read here.
    NotUnderstood,
    /// This machine has no more ports or file descriptors: the generator's fault, not the server's.
    Exhausted,
}

impl Broken {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotConnected => "not connected",
            Self::Closed => "connection closed",
            Self::TimedOut => "timed out",
            Self::NotUnderstood => "not understood",
            Self::Exhausted => "generator out of ports or descriptors",
        }
    }
}

impl From<NotUnderstood> for Broken {
    fn from(NotUnderstood: NotUnderstood) -> Self {
        Self::NotUnderstood
    }
}

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    used: Instant,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, Broken> {
        let refused = |error: std::io::Error| match error.kind() {
            // EMFILE and ENFILE have no stable kind.
            ErrorKind::AddrNotAvailable => Broken::Exhausted,
            _ if matches!(error.raw_os_error(), Some(23 | 24)) => Broken::Exhausted,
            _ => Broken::NotConnected,
        };
        let stream = TcpStream::connect(address).await.map_err(refused)?;
        // A delayed packet would be measured as the server's slowness; a reset leaves no port waiting behind.
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_zero_linger())
            .map_err(|_| Broken::NotConnected)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            used: Instant::now(),
        })
    }

    /// When an answer last came over it.
    pub fn used(&self) -> Instant {
        self.used
    }

    /// False when the server has closed it, as far as is known by now.
    pub fn is_open(&self) -> bool {
        matches!(self.stream.try_read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends a request and reads the answer to its end. After an error the connection is of no more use.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Head, Broken> {
        self.stream.write_all(request).await.map_err(|_| Broken::Closed)?;
        let (mut arrived, mut kept) = (0, 0);
        let mut head = None;
        loop {
            // Beyond the head the bytes are only counted.
            if head.is_some() {
                kept = 0;
            }
            let room = self.buffer.get_mut(kept..).filter(|room| !room.is_empty());
            let room = room.ok_or(Broken::NotUnderstood)?;
            let read = self.stream.read(room).await.map_err(|_| Broken::Closed)?;
            if read == 0 {
                return Err(Broken::Closed);
            }
            arrived += read;
            kept += read;
            if head.is_none() {
                head = parse_head(&self.buffer[..kept])?;
            }
            if let Some(head) = head {
                if arrived == head.length {
                    self.used = Instant::now();
                    return Ok(head);
                }
                if arrived > head.length {
                    return Err(Broken::NotUnderstood);
                }
            }
        }
    }
}
