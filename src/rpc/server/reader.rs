//! What reads an RPC connection: frames in, calls started, until its end.

use std::io;
use std::sync::Arc;

use super::conn::RpcConn;
use super::dispatch::Dispatch;
use super::frames::Frames;
use super::state::ConnState;
use crate::net::Stream;
use crate::protocol::{End, FirstBytes};
use crate::rpc::io::{FULL_READ, ReadBuffer};
use crate::rt::{self, Deadline};

pub(super) struct Reader<'a> {
    conn: &'a Arc<RpcConn>,
    local: &'a ConnState,
    dispatch: Dispatch<'a>,
    stream: Arc<Stream>,
    buffer: ReadBuffer,
    /// Whether calls or answers were under way when the present wait began. During a wait none can
    /// be added, so that a wait that began without any was idle from end to end.
    was_busy: bool,
    /// When the head of the frame at hand must be whole.
    head_due: Deadline,
}

impl<'a> Reader<'a> {
    pub(super) fn new(conn: &'a Arc<RpcConn>, first: FirstBytes) -> Reader<'a> {
        let local = conn.local();
        Reader {
            conn,
            local,
            dispatch: Dispatch::new(conn, local),
            stream: conn.base.stream(),
            buffer: ReadBuffer::holding(first.bytes),
            was_busy: false,
            head_due: first.due,
        }
    }

    pub(super) fn run<F: Frames>(mut self, mut frames: F) -> End {
        let frames = &mut frames;
        // What tells the protocol is a part of the first frame.
        let mut result = self.resume(frames);
        while result.is_ok() {
            let has_room = self.dispatch.has_room();
            result = if has_room { self.read(frames) } else { self.resume(frames) };
        }
        result.expect_err("the loop ends with one")
    }

    fn read<F: Frames>(&mut self, frames: &mut F) -> Result<(), End> {
        let local = self.local;
        let deadline = self.deadline(frames);
        let (buffer, dispatch) = (&mut self.buffer, &mut self.dispatch);
        let count = match buffer.read(&self.stream, deadline, |b| frames.take(b, dispatch)) {
            Ok(0) => Err(End::PeerClosed),
            Err(End::Failed(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return self.timed_out();
            }
            other => other,
        }?;
        local.tally.read(count);
        self.conn.publish(local);
        if count >= FULL_READ {
            // There is more, and the next read would not wait: let the calls run first, or they
            // all gather here.
            rt::yield_now();
        }
        Ok(())
    }

    /// Takes the frames that were left. If that was for back-pressure, because too much waits for
    /// this peer, then when half of it is gone.
    fn resume<F: Frames>(&mut self, frames: &mut F) -> Result<(), End> {
        self.conn.wait_for_room(self.local)?;
        let taken = self.buffer.retake(|bytes| frames.take(bytes, &mut self.dispatch));
        self.conn.publish(self.local);
        taken
    }

    /// By when the next bytes must come.
    fn deadline<F: Frames>(&mut self, frames: &F) -> Deadline {
        let (options, local) = (self.conn.options(), self.local);
        self.was_busy = local.in_flight() > 0 || !local.out.is_idle();
        if !self.buffer.is_partial() {
            self.head_due = Deadline::NEVER;
            return options.idle_timeout.into();
        }
        let Some(timeout) = options.frame_timeout else { return Deadline::NEVER };
        if frames.head_is_whole(self.buffer.bytes()) {
            return Deadline::after(timeout);
        }
        if self.head_due == Deadline::NEVER {
            self.head_due = Deadline::after(timeout);
        }
        self.head_due
    }

    fn timed_out(&self) -> Result<(), End> {
        if self.buffer.is_partial() {
            return Err(End::Bad("it does not finish the frame it began".into()));
        }
        if self.was_busy {
            return Ok(());
        }
        log::debug!("closing the idle connection of {}", self.conn.base.peer());
        Err(End::Closed)
    }
}
