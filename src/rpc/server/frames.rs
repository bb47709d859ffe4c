//! The protocols of frames, as a server reads them.

use super::dispatch::{Dispatch, Incoming};
use super::encode::Format;
use crate::protocol::End;
use crate::rpc::Code;
use crate::rpc::Compress;
use crate::rpc::io::{Missing, Taken};
use crate::wire::baidu_std::{self, Head};
use crate::wire::original::{self, Step};

/// A protocol of frames.
pub(super) trait Frames {
    /// How answers are written.
    const FORMAT: Format;

    /// Starts the calls of the whole frames that `bytes` begins with, while there is room.
    fn take(&mut self, bytes: &[u8], dispatch: &mut Dispatch<'_>) -> Result<Taken, End>;

    /// Whether the head of the frame that `bytes` begins is there.
    fn head_is_whole(&self, bytes: &[u8]) -> bool;
}

pub(super) struct BaiduStd {
    decoder: baidu_std::Decoder,
}

impl BaiduStd {
    pub(super) fn new(max_frame: usize) -> BaiduStd {
        BaiduStd { decoder: baidu_std::Decoder::new(max_frame) }
    }

    #[inline]
    fn start(frame: &baidu_std::Frame<'_>, dispatch: &mut Dispatch<'_>) {
        let meta = &frame.meta;
        let id = meta.correlation_id;
        if meta.user_fields().any(|(name, _)| name == baidu_std::PUSH_FIELD) {
            dispatch.conn.set_format(Format::BaiduStdPush);
        }
        let Some(request) = &meta.request else {
            return dispatch.refuse(id, Code::EREQUEST, "the frame is not a request");
        };
        let compress = match meta.compress() {
            Ok(compress) => compress,
            Err(error) => return dispatch.refuse(id, Code::EREQUEST, &error.to_string()),
        };
        dispatch.start(&Incoming {
            correlation_id: id,
            service: request.service,
            method: request.method,
            body: frame.body,
            attachment: frame.attachment,
            compress,
            timeout_ms: request.timeout_ms,
            log_id: request.log_id,
            request_id: request.request_id,
        });
    }
}

impl Frames for BaiduStd {
    const FORMAT: Format = Format::BaiduStd;

    fn take(&mut self, bytes: &[u8], dispatch: &mut Dispatch<'_>) -> Result<Taken, End> {
        dispatch.next_round();
        let mut frames = self.decoder.frames(bytes);
        loop {
            if !dispatch.has_room() {
                return Ok(Taken { consumed: frames.consumed(), missing: Missing::Nothing });
            }
            match frames.next() {
                None => {
                    let missing = Missing::Bytes(frames.need_more());
                    return Ok(Taken { consumed: frames.consumed(), missing });
                }
                Some(Ok(frame)) => BaiduStd::start(&frame, dispatch),
                Some(Err(error)) => match error.correlation_id() {
                    Some(id) => dispatch.refuse(id, Code::EREQUEST, &error.to_string()),
                    None => return Err(End::Bad(error.to_string())),
                },
            }
        }
    }

    fn head_is_whole(&self, bytes: &[u8]) -> bool {
        bytes.len() >= Head::LEN
    }
}

pub(super) struct Original {
    decoder: original::Decoder,
}

impl Original {
    pub(super) fn new(max_frame: usize) -> Original {
        Original { decoder: original::Decoder::new(max_frame) }
    }

    fn start(frame: &original::Frame<'_>, dispatch: &mut Dispatch<'_>) {
        let head = &frame.head;
        if head.is_version_2() {
            dispatch.conn.set_format(Format::Original2);
        }
        // Without a number there is nobody to answer.
        let Some(id) = head.id() else {
            return log::debug!("{} sent a frame that is no request", dispatch.conn.base.peer());
        };
        let (service, method) = head.op.rsplit_once('.').unwrap_or_default();
        dispatch.start(&Incoming {
            correlation_id: id.into(),
            service,
            method,
            body: frame.body,
            attachment: &[],
            compress: Compress::None,
            timeout_ms: head.timeout_ms.parse().ok(),
            log_id: 0,
            request_id: head.trace_id.as_bytes(),
        });
    }
}

impl Frames for Original {
    const FORMAT: Format = Format::Original;

    fn take(&mut self, bytes: &[u8], dispatch: &mut Dispatch<'_>) -> Result<Taken, End> {
        dispatch.next_round();
        let mut consumed = 0;
        while dispatch.has_room() {
            match self.decoder.decode(&bytes[consumed..]) {
                Ok(Step::Frame(frame)) => {
                    Original::start(&frame, dispatch);
                    consumed += frame.len();
                }
                Ok(Step::NeedHead) => return Ok(Taken { consumed, missing: Missing::Some }),
                Ok(Step::NeedBody(count)) => {
                    return Ok(Taken { consumed, missing: Missing::Bytes(count) });
                }
                Err(error) => return Err(End::Bad(error.to_string())),
            }
        }
        Ok(Taken { consumed, missing: Missing::Nothing })
    }

    fn head_is_whole(&self, bytes: &[u8]) -> bool {
        matches!(self.decoder.decode(bytes), Ok(Step::NeedBody(_)))
    }
}
