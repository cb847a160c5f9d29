//! A network namespace with a thread in it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};
use tokio::sync::{mpsc, oneshot};

use crate::run::{Failure, Outcome};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A network namespace of its own. It has no name and no file: the kernel removes it, with its links, when the last
/// thread, process or socket in it is gone, by whatever death.
pub(crate) struct Space {
    /// Such as `eu`.
    pub(crate) name: &'static str,
    /// The thread in it: `ip link` finds the namespace by this.
    pub(crate) thread_id: Pid,
    /// What the kernel calls it: what `/proc/<pid>/ns/net` of all that is in it reads.
    pub(crate) id: PathBuf,
    work: Option<mpsc::UnboundedSender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Space {
    /// Makes one. Its thread has a runtime of its own, on which all work is done: the sockets and programs that the work
    /// opens and starts are in the namespace too, since each inherits it from the thread that makes it.
    pub(crate) fn new(name: &'static str) -> Outcome<Self> {
        let (tell, told) = std::sync::mpsc::channel();
        let (sender, receiver) = mpsc::unbounded_channel();
        let body = move || match enter() {
            Ok((runtime, thread_id, id)) => {
                // Whoever made the space waits for this.
                let _ = tell.send(Ok((thread_id, id)));
                runtime.block_on(serve(receiver));
            }
            Err(failure) => {
                let _ = tell.send(Err(failure));
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body)?;
        let (thread_id, id) = told.recv()??;
        Ok(Self {
            name,
            thread_id,
            id,
            work: Some(sender),
            thread: Some(thread),
        })
    }

    /// Does this in the namespace. If nobody waits for the end any more, the work ends where it stands.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Outcome<T>> + Send + 'static,
    ) -> Outcome<T> {
        let (mut tell, told) = oneshot::channel();
        let work = async move {
            let outcome = tokio::select! {
                outcome = work => outcome,
                () = tell.closed() => return,
            };
            // Nobody may wait any more.
            let _ = tell.send(outcome);
        };
        let gone = || Failure(format!("the thread in the namespace {} is gone", self.name));
        let sender = self.work.as_ref().ok_or_else(gone)?;
        sender.send(Box::pin(work)).map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has been told of already.
            let _ = thread.join();
        }
    }
}

/// Puts this thread into a new namespace.
fn enter() -> Outcome<(tokio::runtime::Runtime, Pid, PathBuf)> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    // Every thread that this runtime may start later is started by this one, and so in the namespace.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok((runtime, gettid(), std::fs::read_link("/proc/thread-self/ns/net")?))
}

async fn serve(mut work: mpsc::UnboundedReceiver<Work>) {
    while let Some(work) = work.recv().await {
        tokio::spawn(work);
    }
}
