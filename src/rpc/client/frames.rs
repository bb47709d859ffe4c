//! Reading the frames of a connection, in either protocol.

use std::io;
use std::sync::atomic::Ordering;

use super::local::Local;
use super::pending::Outcome;
use super::pushes::Event;
use crate::rpc::io::{Missing, Taken};
use crate::rpc::response::Ready;
use crate::rpc::{Code, Compress, Error, Protocol};
use crate::wire;
use crate::wire::baidu_std;
use crate::wire::original::{self, Step};

/// Why a connection can no longer be read.
pub(super) enum ReadError {
    Io(io::Error),
    Wire(wire::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}

/// Consumes the complete frames at the front of `bytes`: each completes a call, or is a push.
pub(super) fn receive(local: &Local, bytes: &[u8]) -> Result<Taken, ReadError> {
    let taken = match local.shared.options.protocol {
        Protocol::BaiduStd => receive_baidu_std(local, bytes),
        Protocol::Original => receive_original(local, bytes),
    };
    taken.map_err(ReadError::Wire)
}

#[inline]
fn complete(local: &Local, key: u64, outcome: impl FnOnce() -> Outcome) {
    local.connection.set_has_response();
    if !local.calls.complete(key, outcome) {
        local.shared.counters.unmatched.fetch_add(1, Ordering::Relaxed);
    }
}

// ---- baidu_std ----------------------------------------------------------------------------------

fn receive_baidu_std(local: &Local, bytes: &[u8]) -> Result<Taken, wire::Error> {
    let mut frames = baidu_std::Decoder::new(local.shared.options.max_frame).frames(bytes);
    for frame in &mut frames {
        match frame {
            Ok(frame) => receive_frame(local, &frame),
            Err(error) => match error.correlation_id() {
                Some(id) => {
                    let outcome = || Err(Error::response(error.to_string()));
                    complete(local, id as u64, outcome);
                }
                None => return Err(error),
            },
        }
    }
    let missing = Missing::Bytes(frames.need_more());
    Ok(Taken { consumed: frames.consumed(), missing })
}

#[inline]
fn receive_frame(local: &Local, frame: &baidu_std::Frame<'_>) {
    if let Some(request) = &frame.meta.request {
        if request.service == baidu_std::PUSH_SERVICE {
            return local.pushes.enqueue_event(Event::push(request.method, frame.body));
        }
        local.shared.counters.unmatched.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let key = frame.meta.correlation_id as u64;
    complete(local, key, || outcome(local, frame));
}

#[inline]
fn outcome(local: &Local, frame: &baidu_std::Frame<'_>) -> Outcome {
    let response = frame.meta.response.clone().unwrap_or_default();
    if response.code != 0 {
        return Err(remote(response.code, response.text_lossy().into_owned()));
    }
    let bad = |error: wire::Error| Error::response(error.to_string());
    let compress = frame.meta.compress().map_err(bad)?;
    let body = match compress {
        Compress::None => frame.body.to_vec(),
        kind => {
            let limit = local.shared.options.max_frame;
            wire::compress::decompress(kind, frame.body, limit).map_err(bad)?
        }
    };
    let peer = Some(local.connection.peer());
    let attachment = frame.attachment.to_vec();
    Ok(Ready { body, attachment, compress, peer }.into())
}

// ---- the original frames ------------------------------------------------------------------------

fn receive_original(local: &Local, bytes: &[u8]) -> Result<Taken, wire::Error> {
    let decoder = original::Decoder::new(local.shared.options.max_frame);
    let mut consumed = 0;
    loop {
        match decoder.decode(&bytes[consumed..])? {
            Step::Frame(frame) => {
                receive_original_frame(local, &frame);
                consumed += frame.len();
            }
            Step::NeedHead => return Ok(Taken { consumed, missing: Missing::Some }),
            Step::NeedBody(count) => {
                return Ok(Taken { consumed, missing: Missing::Bytes(count) });
            }
        }
    }
}

fn receive_original_frame(local: &Local, frame: &original::Frame<'_>) {
    let head = &frame.head;
    if let Some(id) = head.id() {
        // 0 is the key of no call.
        let key = local.calls.take_id(id).unwrap_or(0);
        return complete(local, key, || original_outcome(local, frame));
    }
    if !head.mes_name.is_empty() {
        return local.pushes.enqueue_event(Event::push(head.mes_name, frame.body));
    }
    // An original server's response to an unknown method names no call.
    log::debug!("{} sent a frame that is for no call", local.shared.addr);
    local.shared.counters.unmatched.fetch_add(1, Ordering::Relaxed);
}

fn original_outcome(local: &Local, frame: &original::Frame<'_>) -> Outcome {
    match frame.head.status {
        "" | "0" => {
            let peer = Some(local.connection.peer());
            let (attachment, compress) = (Vec::new(), Compress::None);
            Ok(Ready { body: frame.body.to_vec(), attachment, compress, peer }.into())
        }
        status => Err(match status.parse() {
            Ok(code) => remote(code, frame.head.err.to_owned()),
            Err(_) => Error::response("the status of the response is not a number"),
        }),
    }
}

fn remote(code: i32, text: String) -> Error {
    let code = Code::new(code);
    let text = match code.description() {
        Some(known) if text.is_empty() => known.to_owned(),
        _ => text,
    };
    Error::remote(code, text)
}
