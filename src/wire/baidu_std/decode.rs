//! Splits a byte stream into frames of baidu_std.

use super::{Head, MetaView, parse_head};
use crate::wire::Error;

/// Splits a byte stream into frames. Keeps no state between calls: the caller owns the buffer and
/// removes from it what was consumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder {
    max_frame: usize,
}

impl Decoder {
    /// Creates a decoder of frames with at most `max_frame` bytes after their head.
    pub(crate) const fn new(max_frame: usize) -> Decoder {
        Decoder { max_frame }
    }

    /// Decodes the frame that `input` begins with.
    ///
    /// An error is final for the stream, except one with a
    /// [`correlation_id`](Error::correlation_id): then the frame's boundaries are known, and
    /// [`frames`](Decoder::frames) skips it.
    #[inline]
    pub(crate) fn decode<'a>(&self, input: &'a [u8]) -> Result<Step<'a>, Error> {
        let Some(head) = parse_head(input)? else {
            return Ok(Step::NeedMore(Head::LEN - input.len()));
        };
        // A size that this machine cannot address is beyond any limit.
        let body_size = usize::try_from(head.body_size).unwrap_or(usize::MAX);
        if body_size > self.max_frame {
            return Err(Error::frame_too_large(head.body_size, self.max_frame));
        }
        let parts = input[Head::LEN..].split_at_checked(body_size);
        let Some((parts, _)) = parts else {
            return Ok(Step::NeedMore(body_size - (input.len() - Head::LEN)));
        };
        // `parse_head` has checked that the meta lies within the body.
        let (meta_bytes, rest) = parts.split_at(head.meta_size as usize);
        let meta = MetaView::parse(meta_bytes)?;
        let body_len = usize::try_from(meta.attachment_size)
            .ok()
            .and_then(|size| rest.len().checked_sub(size))
            .ok_or_else(|| {
                Error::attachment(meta.attachment_size, rest.len(), meta.correlation_id)
            })?;
        let (body, attachment) = rest.split_at(body_len);
        Ok(Step::Frame(Frame { meta, meta_bytes, body, attachment }))
    }

    /// Iterates over all frames that `input` holds from its beginning.
    pub(crate) fn frames<'a>(&self, input: &'a [u8]) -> Frames<'a> {
        Frames { decoder: *self, input, consumed: 0, need_more: 0, lost: false }
    }
}

/// The result of decoding the front of a buffer.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a box would cost an allocation for every frame")]
pub(crate) enum Step<'a> {
    Frame(Frame<'a>),
    /// At least N more bytes are needed: the rest of the head, or of the frame once its head is
    /// complete. Never 0, and never more than the limit allows.
    NeedMore(usize),
}

/// A complete frame, borrowed from the input.
#[derive(Debug, Clone)]
pub(crate) struct Frame<'a> {
    pub(crate) meta: MetaView<'a>,
    /// The bytes of `meta`, for [`RpcMeta`](super::meta::RpcMeta).
    pub(crate) meta_bytes: &'a [u8],
    /// The message, compressed as the meta says.
    pub(crate) body: &'a [u8],
    pub(crate) attachment: &'a [u8],
}

impl Frame<'_> {
    /// Returns the length on the wire, head included.
    pub(crate) fn len(&self) -> usize {
        Head::LEN + self.meta_bytes.len() + self.body.len() + self.attachment.len()
    }
}

/// Iterates over the frames of a buffer. After the last one [`consumed`](Frames::consumed) is the
/// number of bytes to remove and [`need_more`](Frames::need_more) how many to read at least.
///
/// Continues after an error that has a [`correlation_id`](Error::correlation_id); any other ends
/// it.
#[derive(Debug, Clone)]
pub(crate) struct Frames<'a> {
    decoder: Decoder,
    input: &'a [u8],
    consumed: usize,
    need_more: usize,
    lost: bool,
}

impl Frames<'_> {
    /// Returns the number of bytes of the frames yielded so far.
    pub(crate) fn consumed(&self) -> usize {
        self.consumed
    }

    /// Returns how many bytes the frame at the end of the buffer still lacks; 0 before the end is
    /// reached.
    pub(crate) fn need_more(&self) -> usize {
        self.need_more
    }

    fn advance(&mut self, len: usize) {
        self.input = self.input.get(len..).unwrap_or_default();
        self.consumed += len;
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.lost {
            return None;
        }
        match self.decoder.decode(self.input) {
            Ok(Step::Frame(frame)) => {
                self.advance(frame.len());
                Some(Ok(frame))
            }
            Ok(Step::NeedMore(missing)) => {
                self.need_more = missing;
                None
            }
            Err(error) => {
                match parse_head(self.input) {
                    Ok(Some(head)) if error.correlation_id().is_some() => {
                        self.advance(Head::LEN + head.body_size as usize);
                    }
                    _ => self.lost = true,
                }
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::wire::baidu_std::meta::RpcMeta;

    const DECODER: Decoder = Decoder { max_frame: 1000 };

    fn frame(attachment_size: i32, correlation_id: i64, rest: &[u8]) -> Vec<u8> {
        let meta = RpcMeta {
            attachment_size: Some(attachment_size),
            correlation_id: Some(correlation_id),
            ..RpcMeta::default()
        };
        raw_frame(&meta.encode_to_vec(), rest)
    }

    fn raw_frame(meta: &[u8], rest: &[u8]) -> Vec<u8> {
        let body_size = (meta.len() + rest.len()) as u32;
        let head = Head { body_size, meta_size: meta.len() as u32 };
        [&head.to_bytes(), meta, rest].concat()
    }

    #[test]
    fn many_frames_and_a_beginning() {
        let mut input = Vec::new();
        for id in 0..100 {
            input.extend(frame(2, id, b"bodyat"));
        }
        let whole = input.len();
        input.extend(&frame(0, 100, b"unfinished")[..20]);
        let mut frames = DECODER.frames(&input);
        for (id, frame) in frames.by_ref().enumerate() {
            let frame = frame.unwrap();
            assert_eq!(frame.meta.correlation_id, id as i64);
            assert_eq!((frame.body, frame.attachment), (&b"body"[..], &b"at"[..]));
        }
        assert_eq!(frames.consumed(), whole);
        assert_eq!(frames.need_more(), frame(0, 100, b"unfinished").len() - 20);
    }

    #[test]
    fn need_more_counts_down_to_the_frame() {
        let whole = frame(1, 7, b"abc");
        for cut in 0..whole.len() {
            let expected = if cut < Head::LEN { Head::LEN - cut } else { whole.len() - cut };
            let step = DECODER.decode(&whole[..cut]);
            assert!(matches!(step, Ok(Step::NeedMore(n)) if n == expected), "{cut}: {step:?}");
        }
    }

    #[test]
    fn the_limit_is_exact_and_known_from_the_head() {
        let body_size = 1000;
        let fits = Head { body_size, meta_size: 0 }.to_bytes();
        assert!(matches!(DECODER.decode(&fits), Ok(Step::NeedMore(1000))));
        let too_large = Head { body_size: body_size + 1, meta_size: 0 }.to_bytes();
        assert!(DECODER.decode(&too_large).unwrap_err().is_too_large());
        let huge = Head { body_size: u32::MAX, meta_size: u32::MAX }.to_bytes();
        assert!(DECODER.decode(&huge).unwrap_err().is_too_large());
        let unlimited = Decoder::new(usize::MAX).decode(&huge);
        assert!(matches!(unlimited, Ok(Step::NeedMore(n)) if n == u32::MAX as usize));
    }

    #[test]
    fn a_bad_attachment_size_costs_one_call_only() {
        for size in [-1, i32::MIN, 4, i32::MAX] {
            let mut input = frame(size, 7, b"abc");
            input.extend(frame(3, 8, b"abc"));
            let mut frames = DECODER.frames(&input);
            let error = frames.next().unwrap().unwrap_err();
            assert!(error.is_malformed(), "{size}");
            assert_eq!(error.correlation_id(), Some(7), "{size}");
            let next = frames.next().unwrap().unwrap();
            assert_eq!(next.meta.correlation_id, 8);
            assert_eq!((next.body, next.attachment), (&b""[..], &b"abc"[..]));
            assert!(frames.next().is_none());
            assert_eq!(frames.consumed(), input.len());
        }
    }

    #[test]
    fn other_errors_end_the_stream() {
        let good = frame(0, 1, b"abc");
        let meta_is_cut = raw_frame(&[0x0a, 9], b"");
        let meta_too_large = Head { body_size: 3, meta_size: 4 }.to_bytes().to_vec();
        for bad in [meta_is_cut, meta_too_large, b"GET / HTTP/1.1\r\n".to_vec()] {
            let input = [&good[..], &bad, &good].concat();
            let mut frames = DECODER.frames(&input);
            assert!(frames.next().unwrap().is_ok());
            let error = frames.next().unwrap().unwrap_err();
            assert!(error.is_malformed() || error.is_wrong_protocol());
            assert_eq!(error.correlation_id(), None);
            assert!(frames.next().is_none());
            assert_eq!(frames.consumed(), good.len());
        }
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        let empty = raw_frame(b"", b"");
        assert!(matches!(DECODER.decode(&empty), Ok(Step::Frame(frame)) if frame.len() == 12));
    }
}
