//! One connection: requests in, answers out, in order.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use super::body::Body;
use super::feed::{Feed, Source};
use super::io::{Input, Out};
use super::respond::{Asked, Outcome, Responder, Sent, Slot, send, send_status};
use super::router::{Found, Router};
use super::{Method, Options, Request, Response, StatusCode, Version};
use crate::net::{Scratch, Stream};
use crate::rt::{self, Deadline, Waker};
use crate::wire::http1::{BodyDecoder, Error, Framing, Head, Limits, Scan};

/// A connection to serve, and all that it takes.
pub(crate) struct Connection<'a> {
    pub(crate) stream: Arc<Stream>,
    /// Bytes that were read to find out that it is HTTP.
    pub(crate) early: Vec<u8>,
    /// When the head that they begin must be whole.
    pub(crate) head_due: Deadline,
    pub(crate) router: &'a Router,
    pub(crate) options: &'a Options,
    pub(crate) host: &'a dyn Host,
}

/// Who has the connection, and counts what happens on it.
pub(crate) trait Host {
    /// The connection's number.
    fn connection(&self) -> u64;

    /// No further requests are taken.
    fn is_stopping(&self) -> bool;

    /// Nothing can be read or written any more.
    fn is_cut(&self) -> bool;

    /// Keeps a waker, or none, for when the connection is cut.
    fn watch(&self, waker: Option<Waker>);

    /// Starts a coroutine for a handler, and cancels it if the stop runs out of time.
    fn run(&self, handler: Box<dyn FnOnce()>) -> io::Result<()>;

    /// A request of so many bytes, as far as known, is in hand.
    fn begin(&self, bytes: usize);

    /// It has been answered, though not all may have left.
    fn end(&self, is_error: bool);

    /// All that was answered has left. So many bytes came and went meanwhile.
    fn settle(&self, read: u64, written: u64);
}

/// How a connection ended.
pub(crate) enum End {
    /// In order: we said so, the peer left, or neither wanted more.
    Done,
    /// The peer broke the rules, and was told.
    Bad(Error),
    Failed(io::Error),
}

/// Serves a connection until it ends, in the calling coroutine. The stream is left open.
pub(crate) fn serve(connection: Connection<'_>) -> End {
    let mut conn = Conn::new(connection);
    let stop = conn.run();
    conn.conclude(stop)
}

struct Conn<'a> {
    stream: Arc<Stream>,
    router: &'a Router,
    options: &'a Options,
    host: &'a dyn Host,
    limits: Limits,
    input: Input,
    scan: Scan,
    /// When the head that has begun must be whole.
    head_due: Deadline,
    out: Arc<Out>,
    /// Requests since the last look at whether others want to run.
    in_a_row: u32,
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
    fn new(connection: Connection<'a>) -> Conn<'a> {
        let Connection { stream, early, head_due, router, options, host } = connection;
        Conn {
            out: Arc::new(Out::new(stream.clone(), options.write_stall)),
            stream,
            router,
            options,
            host,
            limits: options.limits(),
            input: Input::new(early),
            scan: Scan::default(),
            head_due,
            in_a_row: 0,
        }
    }

    fn run(&mut self) -> Stop {
        loop {
            let result = match self.next_head() {
                Ok(true) => self.serve_next(),
                Ok(false) => self.read(),
                Err(error) => Err(Stop::Refused(error)),
            };
            if let Err(stop) = result {
                return stop;
            }
        }
    }

    /// Whether a whole head is here.
    fn next_head(&mut self) -> Result<bool, Error> {
        // Empty lines before a request are passed over (RFC 9112, 2.2).
        while self.input.unread().starts_with(b"\r\n") {
            self.input.take(2);
            self.scan = Scan::default();
        }
        Ok(self.scan.find(self.input.unread(), &self.limits)?.is_some())
    }

    /// Reads more, after all that was answered has left.
    fn read(&mut self) -> Result<(), Stop> {
        self.flush()?;
        let begun = !self.input.unread().is_empty();
        if self.host.is_stopping() && !begun {
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

    /// Serves the request whose head is here. Not inlined: an idle connection's stack is shallow.
    #[inline(never)]
    fn serve_next(&mut self) -> Result<(), Stop> {
        let head = match self.scan.find(self.input.unread(), &self.limits) {
            Ok(Some(len)) => {
                let head = Head::parse(&self.input.unread()[..len], &self.scan, &self.limits);
                self.input.take(len);
                head
            }
            _ => unreachable!("next_head found it"),
        };
        (self.scan, self.head_due) = (Scan::default(), Deadline::NEVER);
        let head = head.map_err(Stop::Refused)?;
        let asked = Asked {
            version: head.version,
            is_head: head.method == Method::HEAD,
            keep_alive: head.keep_alive && !self.host.is_stopping(),
        };
        let (body, feed) = self.body_of(&head);
        self.host.begin(body.length().unwrap_or_default() as usize);
        // Earlier answers must not wait for a handler that waits.
        self.out.flush_soon();
        let outcome = self.dispatch(head, asked, body)?;
        let sent = self.answer(outcome, asked, feed.as_deref())?;
        self.out.set_responding(false);
        self.host.end(sent.is_error);
        let goes_on = self.take_back(feed, sent.keep_alive)?;
        if !goes_on {
            return Err(Stop::Done);
        }
        if self.out.unsent() >= ENOUGH {
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
    fn body_of(&mut self, head: &Head) -> (Body, Option<Arc<Feed>>) {
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
        let feed = Feed::new(Source::new(
            input,
            BodyDecoder::new(head.framing, &self.limits),
            self.stream.clone(),
            self.out.clone(),
            self.options.body_timeout,
            head.expects_continue,
        ));
        (Body::coming(feed.clone(), length), Some(feed))
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
        let request = Request::new(
            head,
            params,
            self.stream.peer_addr().clone(),
            self.host.connection(),
            body,
        );
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
        if let Err(error) = self.host.run(Box::new(move || f(responder))) {
            log::error!("no coroutine for a request: {error}");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(Outcome::Answer(Response::plain(status)));
        }
        let outcome = slot.wait(|| self.host.is_cut(), |waker| self.host.watch(waker));
        outcome.ok_or_else(|| Stop::Failed(io::ErrorKind::ConnectionAborted.into()))
    }

    fn answer(
        &self,
        outcome: Outcome,
        mut asked: Asked,
        feed: Option<&Feed>,
    ) -> Result<Sent, Stop> {
        asked.keep_alive &= !self.host.is_stopping();
        if let Some(feed) = feed {
            let state = feed.look(|source| (source.failure, source.can_skip()));
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
    fn take_back(&mut self, feed: Option<Arc<Feed>>, keep_alive: bool) -> Result<bool, Stop> {
        let Some(feed) = feed else { return Ok(keep_alive) };
        let Some(mut source) = feed.reclaim() else { return Ok(false) };
        let goes_on = keep_alive && source.can_skip() && {
            if !source.decoder.is_end() {
                // The client may wait for the answer before it sends the rest.
                self.flush()?;
            }
            source.skip()
        };
        self.input = source.input;
        Ok(goes_on)
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.out.flush()?;
        self.host.settle(self.input.take_read(), self.out.take_written());
        Ok(())
    }

    // ---- the end ----

    fn conclude(&mut self, stop: Stop) -> End {
        let end = match stop {
            Stop::Done | Stop::Eof => End::Done,
            Stop::Refused(error) => {
                log::debug!("answering {} to {}: {error}", error.status(), self.stream.peer_addr());
                let asked = Asked { version: Version::HTTP_11, is_head: false, keep_alive: false };
                self.host.begin(0);
                send(&self.out, asked, refusal(error));
                self.host.end(true);
                End::Bad(error)
            }
            Stop::Failed(error) => return self.fail(error),
        };
        if let Err(Stop::Failed(error)) = self.flush() {
            return self.fail(error);
        }
        self.linger();
        self.host.settle(self.input.take_read(), self.out.take_written());
        end
    }

    fn fail(&mut self, error: io::Error) -> End {
        self.host.settle(self.input.take_read(), self.out.take_written());
        End::Failed(error)
    }

    /// Tells the peer that nothing more will come, and waits a little for it to do the same: to
    /// close with its bytes unread would take back the answers that are still on their way.
    fn linger(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let deadline = Deadline::after(LINGER);
        while matches!(self.stream.read_lazily(deadline, Scratch::borrow), Ok((_, 1..))) {}
    }
}

fn refusal(error: Error) -> Response {
    Response::text(format!("{}: {}\n", error.status(), error.text())).with_status(error.status())
}

/// So many bytes of answers are worth a write while there are more requests to serve.
const ENOUGH: usize = 64 << 10;
/// After so many requests without a wait, others get a turn.
const IN_A_ROW: u32 = 32;
/// A connection that waits for so long for a request is likely to wait for longer.
const IDLE: Duration = Duration::from_secs(1);
/// How long a peer may take to close its side after ours.
const LINGER: Duration = Duration::from_secs(1);
