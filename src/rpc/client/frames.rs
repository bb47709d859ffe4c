//! The protocols of frames, as a client speaks them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::channel::{Inner, Local};
use super::events::Event;
use super::pending::Outcome;
use crate::rpc::io::{Missing, Taken};
use crate::rpc::response::Ready;
use crate::rpc::{Code, Compress, Error};
use crate::wire;
use crate::wire::baidu_std;
use crate::wire::original::{self, Step};

impl Inner {
    // ---- baidu_std ----

    pub(super) fn take_baidu_std(
        self: &Arc<Self>,
        local: &Local,
        bytes: &[u8],
    ) -> Result<Taken, wire::Error> {
        let mut frames = baidu_std::Decoder::new(self.options.max_frame).frames(bytes);
        for frame in &mut frames {
            match frame {
                Ok(frame) => self.take_frame(local, &frame),
                Err(error) => match error.correlation_id() {
                    Some(id) => {
                        let outcome = || Err(Error::response(error.to_string()));
                        self.match_up(local, id as u64, outcome);
                    }
                    None => return Err(error),
                },
            }
        }
        let missing = Missing::Bytes(frames.need_more());
        Ok(Taken { consumed: frames.consumed(), missing })
    }

    #[inline]
    fn take_frame(self: &Arc<Self>, local: &Local, frame: &baidu_std::Frame<'_>) {
        if let Some(request) = &frame.meta.request {
            if request.service == baidu_std::PUSH_SERVICE {
                return self.happened(local, Event::push(request.method, frame.body));
            }
            self.counters.unmatched.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let key = frame.meta.correlation_id as u64;
        self.match_up(local, key, || self.outcome(local, frame));
    }

    #[inline]
    fn outcome(&self, local: &Local, frame: &baidu_std::Frame<'_>) -> Outcome {
        let response = frame.meta.response.clone().unwrap_or_default();
        if response.code != 0 {
            return Err(remote(response.code, response.text_lossy().into_owned()));
        }
        let bad = |error: wire::Error| Error::response(error.to_string());
        let compress = frame.meta.compress().map_err(bad)?;
        let body = match compress {
            Compress::None => frame.body.to_vec(),
            kind => {
                let limit = self.options.max_frame;
                wire::compress::decompress(kind, frame.body, limit).map_err(bad)?
            }
        };
        let peer = local.peer.borrow().clone();
        let attachment = frame.attachment.to_vec();
        Ok(Ready { body, attachment, compress, peer: Some(peer) }.into())
    }

    // ---- the original frames ----

    pub(super) fn take_original(
        self: &Arc<Self>,
        local: &Local,
        bytes: &[u8],
    ) -> Result<Taken, wire::Error> {
        let decoder = original::Decoder::new(self.options.max_frame);
        let mut consumed = 0;
        loop {
            match decoder.decode(&bytes[consumed..])? {
                Step::Frame(frame) => {
                    self.take_original_frame(local, &frame);
                    consumed += frame.len();
                }
                Step::NeedHead => return Ok(Taken { consumed, missing: Missing::Some }),
                Step::NeedBody(count) => {
                    return Ok(Taken { consumed, missing: Missing::Bytes(count) });
                }
            }
        }
    }

    fn take_original_frame(self: &Arc<Self>, local: &Local, frame: &original::Frame<'_>) {
        let head = &frame.head;
        if let Some(id) = head.id() {
            // 0 names no call.
            let key = local.ids.borrow_mut().take(id).unwrap_or(0);
            return self.match_up(local, key, || original_outcome(local, frame));
        }
        if !head.mes_name.is_empty() {
            return self.happened(local, Event::push(head.mes_name, frame.body));
        }
        // What an old server says of a method that it does not know names no call.
        log::debug!("{} sent a frame that answers nothing", self.addr);
        self.counters.unmatched.fetch_add(1, Ordering::Relaxed);
    }

    // ---- all ----

    #[inline]
    fn match_up(self: &Arc<Self>, local: &Local, key: u64, outcome: impl FnOnce() -> Outcome) {
        local.answered.set(true);
        if !self.end(local, key, outcome) {
            self.counters.unmatched.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn original_outcome(local: &Local, frame: &original::Frame<'_>) -> Outcome {
    match frame.head.status {
        "" | "0" => {
            let peer = local.peer.borrow().clone();
            let body = frame.body.to_vec();
            let (attachment, compress) = (Vec::new(), Compress::None);
            Ok(Ready { body, attachment, compress, peer: Some(peer) }.into())
        }
        status => Err(match status.parse() {
            Ok(code) => remote(code, frame.head.err.to_owned()),
            Err(_) => Error::response("the status of the answer is no number"),
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
