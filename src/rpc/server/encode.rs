//! What is put on the wire for a call, in whatever its connection speaks.

use crate::rpc::Code;
use crate::rpc::Compress;
use crate::wire::baidu_std::{self, ResponseHead};
use crate::wire::original;

/// How a connection's answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Format {
    /// Nothing is known yet, or nothing that has frames.
    Unknown = 0,
    BaiduStd = 1,
    /// The same, to a peer that takes pushes.
    BaiduStdPush = 4,
    /// To a peer that reads nothing but the old fields.
    Original = 2,
    /// To a peer that announced that it reads the new fields.
    Original2 = 3,
}

impl Format {
    pub(super) fn from_u8(number: u8) -> Format {
        match number {
            1 => Format::BaiduStd,
            2 => Format::Original,
            3 => Format::Original2,
            4 => Format::BaiduStdPush,
            _ => Format::Unknown,
        }
    }
}

#[derive(Default)]
pub(super) struct WireReply<'a> {
    pub(super) code: i32,
    pub(super) text: &'a str,
    /// How `body` is compressed.
    pub(super) compress: Compress,
    pub(super) body: &'a [u8],
    pub(super) attachment: &'a [u8],
    /// The code says that there is no such method.
    pub(super) is_unknown_method: bool,
}

impl<'a> WireReply<'a> {
    pub(super) fn error(code: Code, text: &'a str) -> WireReply<'a> {
        WireReply { code: code.or_internal().number(), text, ..WireReply::default() }
    }

    /// Appends the answer; nothing at all if the peer could not understand it.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>, format: Format, correlation_id: i64) {
        if matches!(format, Format::BaiduStd | Format::BaiduStdPush) {
            self.encode_baidu_std(out, correlation_id);
        } else {
            self.encode_other(out, format, correlation_id);
        }
    }

    #[inline]
    fn encode_baidu_std(&self, out: &mut Vec<u8>, correlation_id: i64) {
        let head = ResponseHead {
            correlation_id,
            code: self.code,
            text: self.text,
            compress: self.compress,
            ..ResponseHead::default()
        };
        let encoded = baidu_std::encode_response(out, &head, self.body, self.attachment);
        if let Err(error) = encoded {
            let text = error.to_string();
            let head = ResponseHead {
                correlation_id,
                code: Code::EINTERNAL.number(),
                text: &text,
                ..ResponseHead::default()
            };
            baidu_std::encode_response(out, &head, &[], &[]).expect("a short text fits");
        }
    }

    fn encode_other(&self, out: &mut Vec<u8>, format: Format, correlation_id: i64) {
        // It came as a `u32`.
        let id = correlation_id as u32;
        match format {
            Format::Original | Format::Original2
                if self.code == 0 && self.attachment.is_empty() =>
            {
                original::encode_response(out, id, self.body);
            }
            Format::Original2 if self.code == 0 => {
                original::encode_error(out, id, Code::EINTERNAL.number(), NO_ATTACHMENT);
            }
            Format::Original2 => original::encode_error(out, id, self.code, self.text),
            Format::Original if self.is_unknown_method => original::encode_unknown_method(out),
            Format::Original if self.code == 0 => log::warn!("{NO_ATTACHMENT}"),
            // The client runs out of time, as it always did.
            Format::Original => log::debug!("an error is not told: {} ({})", self.text, self.code),
            Format::BaiduStd | Format::BaiduStdPush | Format::Unknown => {}
        }
    }
}

const NO_ATTACHMENT: &str = "the answer has an attachment, which these frames cannot carry";
