//! A connection's buffers, for the client and the server alike: the read buffer and the write
//! queue.

mod read_buffer;
mod write_queue;

pub(super) use self::read_buffer::{FULL_READ, Missing, ReadBuffer, Taken};
pub(super) use self::write_queue::{WriteQueue, Writer};
