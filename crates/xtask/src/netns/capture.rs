//! Every frame that passes through a namespace, read by a packet socket as tcpdump does.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::packet::{self, Flow, Frame};
use super::space::Space;
use crate::run::{Failure, Outcome};

/// Frames wait here for their reader, whole, even if only their heads are read.
const BUFFER_BYTES: usize = 128 * 1024 * 1024;

/// How long the reader waits for a frame before it looks whether it shall end.
const LOOK_MILLIS: i64 = 100;

/// A running capture on all links of a namespace, loopback included.
pub(crate) struct Capture {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<Outcome>>,
}

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    changed: Condvar,
    stop: AtomicBool,
}

/// What was seen. A packet that is forwarded or looped back passes two links and counts twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) flows: BTreeMap<Flow, Seen>,
    /// Frames that are no IP packets, by `EtherType`.
    pub(crate) others: BTreeMap<u16, u64>,
    /// Frames that the kernel had no room for. Anything may have been in them.
    pub(crate) lost: u32,
}

/// The packets of one flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) packets: u64,
    /// A connection was asked for.
    pub(crate) opening: bool,
}

impl Table {
    fn add(&mut self, frame: Frame) {
        match frame {
            Frame::Ip { flow, opening } => {
                let seen = self.flows.entry(flow).or_default();
                seen.packets += 1;
                seen.opening |= opening;
            }
            Frame::Other(ethertype) => *self.others.entry(ethertype).or_default() += 1,
        }
    }

    /// How many IP packets there were.
    pub(crate) fn packets(&self) -> u64 {
        self.flows.values().map(|seen| seen.packets).sum()
    }
}

impl Capture {
    /// Begins. The socket is opened in the namespace and stays there; its reader is a thread outside.
    pub(crate) async fn start(space: &Space) -> Outcome<Self> {
        let socket = space.run(async { open() }).await?;
        let shared = Arc::new(Shared::default());
        let reader = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("capture {}", space.name))
                .spawn(move || shared.read(&socket))?
        };
        Ok(Self {
            shared,
            reader: Some(reader),
        })
    }

    /// Waits until a packet of this flow was seen; false when the time is over.
    pub(crate) fn sees(&self, flow: &Flow, limit: Duration) -> bool {
        let waiting = |table: &mut Table| !table.flows.contains_key(flow);
        let table = self.shared.table();
        let waited = self.shared.changed.wait_timeout_while(table, limit, waiting);
        let (table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        table.flows.contains_key(flow)
    }

    /// Ends and gives all that was seen.
    pub(crate) fn finish(mut self) -> Outcome<Table> {
        self.end()?;
        Ok(self.shared.table().clone())
    }

    fn end(&mut self) -> Outcome {
        self.shared.stop.store(true, Ordering::Relaxed);
        match self.reader.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Failure("the reader of a capture panicked".to_owned())),
            None => Ok(()),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl Shared {
    // Nothing panics while it is locked.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until it shall stop and nothing is left.
    fn read(&self, socket: &OwnedFd) -> Outcome {
        loop {
            let stop = self.stop.load(Ordering::Relaxed);
            match receive(socket) {
                Ok((frame, lost)) => {
                    let mut table = self.table();
                    table.add(frame);
                    table.lost = table.lost.max(lost);
                    drop(table);
                    self.changed.notify_all();
                }
                Err(Errno::EAGAIN) if stop => return Ok(()),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn open() -> Outcome<OwnedFd> {
    let all = SockProtocol::EthAll;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, all)?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES)?;
    setsockopt(&socket, sockopt::RxqOvfl, &1)?;
    setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &TimeVal::milliseconds(LOOK_MILLIS),
    )?;
    Ok(socket)
}

/// The next frame, and how many were lost before it since the beginning.
fn receive(socket: &OwnedFd) -> Result<(Frame, u32), Errno> {
    let mut head = [0; packet::HEAD_BYTES];
    let mut control = cmsg_space!(u32);
    let mut into = [IoSliceMut::new(&mut head)];
    let received = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut into,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let lost = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::RxqOvfl(lost) => Some(lost),
        _ => None,
    });
    let (length, lost) = (received.bytes, lost.unwrap_or(0));
    Ok((packet::read(head.get(..length).unwrap_or(&head)), lost))
}
