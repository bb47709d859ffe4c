//! One connection: requests in, answers out, in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::body::Body;
use super::body_channel::{BodyChannel, BodyReader};
use super::io::{Input, Out};
use super::respond::{Asked, Outcome, Responder, Sent, Slot, send, send_status};
use super::router::{Found, Router};
use super::{Method, Options, Request, Response, StatusCode, Version};
use crate::net::{Scratch, Stream};
use crate::protocol::{self, End, FirstBytes};
use crate::rt::{self, Deadline};
use crate::wire::http1::{BodyDecoder, Error, Framing, Head, Limits, Scan};

/// Serves a connection until it ends, in the calling coroutine.
pub(super) fn serve(
    conn: &Arc<protocol::Conn>,
    first: FirstBytes,
    router: &Router,
    options: &Options,
) -> End {
    let mut conn = Conn::new(conn, first, router, options);
    let stop = conn.run();
    let end = conn.conclude(stop);
    conn.settle();
    end
}

struct Conn<'a> {
    base: &'a Arc<protocol::Conn>,
    stream: Arc<Stream>,
    router: &'a Router,
    options: &'a Options,
    limits: Limits,
    input: Input,
    scan: Scan,
    /// When the head that has begun must be whole.
    head_due: Deadline,
    out: Arc<Out>,
    /// Requests whose answers have not left, and those of them that are errors.
    unsettled: Unsettled,
    /// Requests since the last look at whether others want to run.
    in_a_row: u32,
}

#[derive(Clone, Copy, Default)]
struct Unsettled {
    requests: u64,
    errors: u64,
}

/// Why no further request is read.
enum Stop {
    Done,
    /// The peer has closed its side.
    Eof,
    Refused(Error),
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Failed(error)
    }
}

impl<'a> Conn<'a> {
    fn new(
        base: &'a Arc<protocol::Conn>,
        first: FirstBytes,
        router: &'a Router,
        options: &'a Options,
    ) -> Conn<'a> {
        let stream = base.stream();
        Conn {
            base,
            out: Arc::new(Out::new(stream.clone(), options.write_stall)),
            stream,
            router,
            options,
            limits: options.limits(),
            input: Input::new(first.bytes),
            scan: Scan::default(),
            head_due: first.due,
            unsettled: Unsettled::default(),
            in_a_row: 0,
        }
    }

    fn run(&mut self) -> Stop {
        loop {
            let result = match self.next_head() {
                Ok(Some(len)) => self.serve_next(len),
                Ok(None) => self.read(),
                Err(error) => Err(Stop::Refused(error)),
            };
            if let Err(stop) = result {
                return stop;
            }
        }
    }

    /// The length of the next head, if it is here whole.
    fn next_head(&mut self) -> Result<Option<usize>, Error> {
        // Empty lines before a request are passed over (RFC 9112, 2.2).
        while self.input.unread().starts_with(b"\r\n") {
            self.input.take(2);
            self.scan = Scan::default();
        }
        self.scan.find(self.input.unread(), &self.limits)
    }

    /// Reads more, after all that was answered has left.
    fn read(&mut self) -> Result<(), Stop> {
        self.flush()?;
        let begun = !self.input.unread().is_empty();
        if self.base.is_draining() && !begun {
            return Err(Stop::Done);
        }
        let deadline = match begun {
            false => self.options.idle_timeout.into(),
            true => {
                if self.head_due == Deadline::NEVER {
                    self.head_due = self.options.head_timeout.into();
                }
                self.head_due
            }
        };
        match self.fill(begun, deadline) {
            Ok(0) if begun => Err(Stop::Refused(Error::cut_short())),
            Ok(0) => Err(Stop::Eof),
            Ok(count) => {
                if count >= Scratch::SIZE {
                    rt::yield_now();
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(if begun { Stop::Refused(Error::timed_out()) } else { Stop::Done })
            }
            Err(error) => Err(Stop::Failed(error)),
        }
    }

    /// Waits for bytes. An idle connection gives memory back after a while.
    fn fill(&mut self, begun: bool, deadline: Deadline) -> io::Result<usize> {
        let soon = Deadline::after(IDLE);
        if begun || deadline <= soon {
            return self.input.fill(&self.stream, deadline);
        }
        match self.input.fill(&self.stream, soon) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                // It was a handler's, or served one, before.
                rt::trim_stack();
                self.input.fill(&self.stream, deadline)
            }
            result => result,
        }
    }

    /// Serves the request whose head is here, `len` bytes. Not inlined: an idle connection's stack
    /// is shallow.
    #[inline(never)]
    fn serve_next(&mut self, len: usize) -> Result<(), Stop> {
        let head = Head::parse(&self.input.unread()[..len], &self.scan, &self.limits);
        self.input.take(len);
        (self.scan, self.head_due) = (Scan::default(), Deadline::NEVER);
        let head = head.map_err(Stop::Refused)?;
        let asked = Asked {
            version: head.version,
            is_head: head.method == Method::HEAD,
            keep_alive: head.keep_alive && !self.base.is_draining(),
        };
        let (body, channel) = self.body_of(&head);
        self.begin();
        // Earlier answers must not wait for a handler that waits.
        self.out.flush_soon();
        let outcome = self.dispatch(head, asked, body)?;
        let sent = self.answer(outcome, asked, channel.as_deref())?;
        self.out.set_responding(false);
        self.unsettled.errors += u64::from(sent.is_error);
        let goes_on = self.take_back(channel, sent.keep_alive)?;
        if !goes_on {
            return Err(Stop::Done);
        }
        if self.out.unsent() >= FLUSH_THRESHOLD {
            self.flush()?;
        }
        self.in_a_row += 1;
        if self.in_a_row == IN_A_ROW {
            self.in_a_row = 0;
            rt::yield_now();
        }
        Ok(())
    }

    /// The body of a request: here already, or to be read while it is served.
    fn body_of(&mut self, head: &Head) -> (Body, Option<Arc<BodyChannel>>) {
        let length = match head.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        if let Some(length) = length
            && length <= self.input.unread().len() as u64
        {
            let bytes = self.input.unread()[..length as usize].to_vec();
            self.input.take(bytes.len());
            return (Body::here(bytes), None);
        }
        let input = std::mem::replace(&mut self.input, Input::new(Vec::new()));
        let channel = BodyChannel::new(BodyReader::new(
            input,
            BodyDecoder::new(head.framing, &self.limits),
            self.stream.clone(),
            self.out.clone(),
            self.options.body_timeout,
            head.expects_continue,
        ));
        (Body::coming(channel.clone(), length), Some(channel))
    }

    /// Runs the handler, and waits until there is an outcome.
    fn dispatch(&self, head: Head, asked: Asked, body: Body) -> Result<Outcome, Stop> {
        let (handler, params) = match self.router.find(&head.method, head.uri.path()) {
            Found::Handler(handler, params) => (handler, params),
            Found::OtherMethods(methods) => {
                let response = Response::plain(StatusCode::METHOD_NOT_ALLOWED);
                return Ok(Outcome::Answer(response.header(::http::header::ALLOW, methods)));
            }
            Found::Nothing => return Ok(Outcome::Answer(Response::plain(StatusCode::NOT_FOUND))),
        };
        let request =
            Request::new(head, params, self.stream.peer_addr().clone(), self.base.id(), body);
        let what = request.asked();
        let outcome = self.let_answer(asked, move |responder| handler.run(request, responder))?;
        if matches!(outcome, Outcome::Dropped) {
            log::error!("{what} was not answered");
        }
        Ok(outcome)
    }

    /// Lets `f` answer, in a coroutine of its own: its stack may be deep, and ours stays with the
    /// connection while it is idle. Waits for the outcome.
    fn let_answer(
        &self,
        asked: Asked,
        f: impl FnOnce(Responder) + 'static,
    ) -> Result<Outcome, Stop> {
        let slot = Slot::new(self.out.clone(), asked);
        let responder = Responder::new(slot.clone());
        if let Err(error) = self.base.spawn("http handler", move || f(responder)) {
            log::error!("no coroutine for a request: {error}");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(Outcome::Answer(Response::plain(status)));
        }
        let outcome = slot.wait(
            || self.base.is_cut(),
            |waker| {
                // What is in flight while the connection waits shall be seen.
                self.base.publish();
                self.base.watch(waker);
            },
        );
        outcome.ok_or_else(|| Stop::Failed(io::ErrorKind::ConnectionAborted.into()))
    }

    fn answer(
        &self,
        outcome: Outcome,
        mut asked: Asked,
        channel: Option<&BodyChannel>,
    ) -> Result<Sent, Stop> {
        asked.keep_alive &= !self.base.is_draining();
        if let Some(channel) = channel {
            let state = channel.look(|reader| (reader.failure, reader.can_skip()));
            let (failure, can_skip) = state.unwrap_or((None, false));
            asked.keep_alive &= can_skip;
            // What the handler made of a part of a request is not sent.
            if let (Some(failure), Outcome::Answer(_) | Outcome::Dropped) = (failure, &outcome) {
                return Ok(send(&self.out, asked, refusal(failure)));
            }
        }
        Ok(match outcome {
            Outcome::Answer(response) if response.is_stream() => {
                let outcome = self.let_answer(asked, move |responder| responder.run(response))?;
                return self.answer(outcome, asked, None);
            }
            Outcome::Answer(response) => send(&self.out, asked, response),
            Outcome::Sent(sent) => sent,
            Outcome::Dropped => send_status(&self.out, asked, StatusCode::INTERNAL_SERVER_ERROR),
        })
    }

    /// Takes back the input that was lent to the request. Whether the next one can be read.
    fn take_back(
        &mut self,
        channel: Option<Arc<BodyChannel>>,
        keep_alive: bool,
    ) -> Result<bool, Stop> {
        let Some(channel) = channel else { return Ok(keep_alive) };
        let Some(mut reader) = channel.reclaim() else { return Ok(false) };
        let goes_on = keep_alive && reader.can_skip() && {
            if !reader.decoder.is_end() {
                // The client may wait for the answer before it sends the rest.
                self.flush()?;
            }
            reader.skip()
        };
        self.input = reader.input;
        Ok(goes_on)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.out.flush()?;
        self.settle();
        Ok(())
    }

    fn begin(&mut self) {
        self.base.requests_began(1);
        self.unsettled.requests += 1;
    }

    /// All that was answered has left, or never will.
    fn settle(&mut self) {
        let Unsettled { requests, errors } = std::mem::take(&mut self.unsettled);
        self.base.count_bytes(self.input.take_read(), self.out.take_written());
        self.base.requests_ended(requests, errors);
    }

    // ---- the end ----

    fn conclude(&mut self, stop: Stop) -> End {
        let end = match stop {
            Stop::Done => End::Closed,
            Stop::Eof => End::PeerClosed,
            Stop::Refused(error) => {
                log::debug!("answering {} to {}: {error}", error.status(), self.stream.peer_addr());
                let asked = Asked { version: Version::HTTP_11, is_head: false, keep_alive: false };
                self.begin();
                send(&self.out, asked, refusal(error));
                self.unsettled.errors += 1;
                End::Bad(error.to_string())
            }
            Stop::Failed(error) => return End::Failed(error),
        };
        if let Err(Stop::Failed(error)) = self.flush() {
            return End::Failed(error);
        }
        if !matches!(end, End::PeerClosed) {
            self.base.hang_up();
        }
        end
    }
}

fn refusal(error: Error) -> Response {
    Response::text(format!("{}: {}\n", error.status(), error.text())).with_status(error.status())
}

/// Bytes of responses that are worth a write while there are more requests to serve.
const FLUSH_THRESHOLD: usize = 64 << 10;
/// Requests served without a wait, after which other coroutines get a turn.
const IN_A_ROW: u32 = 32;
/// A connection that waits for so long for a request is likely to wait for longer.
const IDLE: Duration = Duration::from_secs(1);
