//! A connection's buffers, for the client and the server alike: bytes in, bytes out, and who waits.

mod notify;
mod read_buffer;
mod write_queue;

pub(super) use self::notify::{Notify, lock};
pub(super) use self::read_buffer::{FULL_READ, Missing, ReadBuffer, Taken};
pub(super) use self::write_queue::WriteQueue;
