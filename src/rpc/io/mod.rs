//! A connection's buffers, for the client and the server alike: bytes in and bytes out.

mod read_buffer;
mod write_queue;

pub(super) use self::read_buffer::{FULL_READ, Missing, ReadBuffer, Taken};
pub(super) use self::write_queue::{WriteQueue, Writer};
