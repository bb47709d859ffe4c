//! The handle of an asynchronous call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::channel::{CANCELED, Channel};
use super::inbox::Command;

/// Cancels a call made by [`Client::call_async`](super::Client::call_async). May be dropped; the
/// call goes on.
///
/// ```
/// use fastrpc::rpc::{CallOptions, Client, ClientOptions};
/// use fastrpc::{Server, ServerOptions};
/// use fastrpc::rt;
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::new(ServerOptions::default());
/// # server.add_method("demo.Echo", "Wait", |call| {
/// #     let _ = rt::sleep(Duration::from_secs(60));
/// #     call.reply(b"");
/// # })?;
/// # let client = Client::new(server.listen("127.0.0.1:0")?, ClientOptions::new())?;
/// let (sender, outcome) = mpsc::channel();
/// let done = move |outcome| sender.send(outcome).unwrap();
/// let call = client.call_async("demo.Echo", "Wait", b"", &CallOptions::new(), done);
/// call.cancel();
/// assert!(outcome.recv()?.unwrap_err().is_canceled());
/// # Ok(())
/// # }
/// ```
pub struct CallHandle {
    channel: Arc<Channel>,
    key: Key,
}

enum Key {
    OnWorker(u64),
    /// 0 until the call has reached the client's worker, [`CANCELED`] if it must end there.
    CrossThread(Arc<AtomicU64>),
}

impl CallHandle {
    /// Returns the handle of the call with this key.
    pub(super) fn on_worker(channel: Arc<Channel>, key: u64) -> CallHandle {
        CallHandle { channel, key: Key::OnWorker(key) }
    }

    /// Returns the handle of a call that has no key yet: it will be stored in `key`.
    pub(super) fn cross_thread(channel: Arc<Channel>, key: Arc<AtomicU64>) -> CallHandle {
        CallHandle { channel, key: Key::CrossThread(key) }
    }

    /// Ends the call with ECANCELED, unless it has ended. The server is not notified. Does not
    /// wait.
    pub fn cancel(&self) {
        let key = match &self.key {
            Key::OnWorker(key) => *key,
            Key::CrossThread(key) => {
                match key.compare_exchange(0, CANCELED, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) | Err(CANCELED) => return,
                    Err(key) => key,
                }
            }
        };
        match self.channel.local() {
            Some(local) => local.calls.cancel(key),
            // Fails only in a forked child, where the call will not end anyway.
            None => drop(self.channel.send(Command::Cancel(key))),
        }
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHandle")
            .field("addr", &self.channel.shared.addr)
            .finish_non_exhaustive()
    }
}
