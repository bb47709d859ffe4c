//! A frame's meta, decoded without copying.

use std::borrow::Cow;

use crate::wire::proto::{LEN, MAX_DEPTH, Reader, VARINT, key};
use crate::wire::{Compress, Error};

/// The metadata of a frame, borrowed from its bytes. Absent fields have protobuf's default (0 or
/// empty) unless they are an `Option`.
///
/// Accepts exactly what [`RpcMeta`](super::meta::RpcMeta) accepts: unknown fields are skipped, a
/// repeated field's last value wins, `required` is not enforced (an empty service name is merely
/// unknown to every server), names must be UTF-8.
#[derive(Debug, Clone, Default)]
pub(crate) struct MetaView<'a> {
    /// Present in requests.
    pub(crate) request: Option<RequestView<'a>>,
    /// Present in responses.
    pub(crate) response: Option<ResponseView<'a>>,
    /// As the peer wrote it: see [`compress`](MetaView::compress).
    pub(crate) compress_type: i32,
    pub(crate) correlation_id: i64,
    /// As the peer wrote it; a [`Frame`](super::Frame) has checked it.
    pub(crate) attachment_size: i32,
    pub(crate) authentication_data: &'a [u8],
    /// The content type of the body: 0 for protobuf. brpc also knows JSON and text.
    pub(crate) content_type: i32,
    /// The message is a chunk of a larger one.
    pub(crate) has_chunk_info: bool,
    /// The peer requests a stream beside the call.
    pub(crate) has_stream_settings: bool,
    has_user_fields: bool,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestView<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) log_id: i64,
    pub(crate) trace_id: i64,
    pub(crate) span_id: i64,
    pub(crate) parent_span_id: i64,
    pub(crate) request_id: &'a [u8],
    /// How long the client waits, in milliseconds; may be negative, as the peer wrote it.
    pub(crate) timeout_ms: Option<i32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResponseView<'a> {
    /// 0 for success.
    pub(crate) code: i32,
    pub(crate) text: &'a [u8],
}

impl<'a> MetaView<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<MetaView<'a>, Error> {
        let mut view = MetaView { bytes, ..MetaView::default() };
        view.read(bytes).ok_or_else(Error::meta)?;
        Ok(view)
    }

    /// Returns the compression of the body.
    ///
    /// # Errors
    /// When the compression is unknown, or the body is not protobuf: nothing here could read it.
    #[inline]
    pub(crate) fn compress(&self) -> Result<Compress, Error> {
        if self.content_type != 0 {
            return Err(Error::unknown_content(self.content_type));
        }
        Compress::from_number(self.compress_type)
    }

    /// Returns the user's own fields, in the order sent.
    pub(crate) fn user_fields(&self) -> UserFields<'a> {
        UserFields { reader: Reader::new(if self.has_user_fields { self.bytes } else { &[] }) }
    }

    fn read(&mut self, bytes: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        while let Some(key) = reader.next_key()? {
            match key {
                REQUEST => self.request.get_or_insert_default().read(reader.bytes()?)?,
                RESPONSE => self.response.get_or_insert_default().read(reader.bytes()?)?,
                COMPRESS_TYPE => self.compress_type = reader.int32()?,
                CORRELATION_ID => self.correlation_id = reader.int64()?,
                ATTACHMENT_SIZE => self.attachment_size = reader.int32()?,
                CHUNK_INFO => {
                    check_chunk_info(reader.bytes()?)?;
                    self.has_chunk_info = true;
                }
                AUTHENTICATION_DATA => self.authentication_data = reader.bytes()?,
                STREAM_SETTINGS => {
                    check_stream_settings(reader.bytes()?)?;
                    self.has_stream_settings = true;
                }
                USER_FIELDS => {
                    user_field(reader.bytes()?)?;
                    self.has_user_fields = true;
                }
                CONTENT_TYPE => self.content_type = reader.int32()?,
                CHECKSUM_TYPE | CHECKSUM_WITH_ATTACHMENT => drop(reader.varint()?),
                CHECKSUM_VALUE => drop(reader.bytes()?),
                other => reader.skip_unknown(other, 13, MAX_DEPTH)?,
            }
        }
        Some(())
    }
}

impl<'a> RequestView<'a> {
    #[inline]
    fn read(&mut self, bytes: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        while let Some(key) = reader.next_key()? {
            match key {
                SERVICE_NAME => self.service = reader.str()?,
                METHOD_NAME => self.method = reader.str()?,
                LOG_ID => self.log_id = reader.int64()?,
                TRACE_ID => self.trace_id = reader.int64()?,
                SPAN_ID => self.span_id = reader.int64()?,
                PARENT_SPAN_ID => self.parent_span_id = reader.int64()?,
                REQUEST_ID => self.request_id = reader.bytes()?,
                TIMEOUT_MS => self.timeout_ms = Some(reader.int32()?),
                other => reader.skip_unknown(other, 8, MAX_DEPTH - 1)?,
            }
        }
        Some(())
    }
}

impl<'a> ResponseView<'a> {
    /// Returns the text for display: invalid UTF-8 is replaced.
    pub(crate) fn text_lossy(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.text)
    }

    #[inline]
    fn read(&mut self, bytes: &'a [u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        while let Some(key) = reader.next_key()? {
            match key {
                ERROR_CODE => self.code = reader.int32()?,
                ERROR_TEXT => self.text = reader.bytes()?,
                other => reader.skip_unknown(other, 2, MAX_DEPTH - 1)?,
            }
        }
        Some(())
    }
}

/// Iterates over [`MetaView::user_fields`]: key and value.
#[derive(Debug, Clone)]
pub(crate) struct UserFields<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for UserFields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The message was validated when the view was made, so a failure here is the end.
        while let Some(key) = self.reader.next_key()? {
            if key == USER_FIELDS {
                return user_field(self.reader.bytes()?);
            }
            self.reader.skip_unknown(key, 0, MAX_DEPTH)?;
        }
        None
    }
}

fn user_field(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(entry);
    while let Some(found) = reader.next_key()? {
        match found {
            ENTRY_KEY => name = reader.bytes()?,
            ENTRY_VALUE => value = reader.bytes()?,
            other => reader.skip_unknown(other, 2, MAX_DEPTH - 1)?,
        }
    }
    Some((name, value))
}

#[cold]
fn check_chunk_info(message: &[u8]) -> Option<()> {
    let mut reader = Reader::new(message);
    while let Some(found) = reader.next_key()? {
        match found {
            CHUNK_STREAM_ID | CHUNK_ID => drop(reader.varint()?),
            other => reader.skip_unknown(other, 2, MAX_DEPTH - 1)?,
        }
    }
    Some(())
}

#[cold]
fn check_stream_settings(message: &[u8]) -> Option<()> {
    let mut reader = Reader::new(message);
    while let Some(found) = reader.next_key()? {
        match found {
            STREAM_ID | NEED_FEEDBACK | WRITABLE | EXTRA_STREAM_ID => drop(reader.varint()?),
            EXTRA_STREAM_IDS_PACKED => {
                let mut ids = Reader::new(reader.bytes()?);
                while !ids.is_empty() {
                    ids.varint()?;
                }
            }
            other => reader.skip_unknown(other, 4, MAX_DEPTH - 1)?,
        }
    }
    Some(())
}

// RpcMeta
const REQUEST: u32 = key(1, LEN);
const RESPONSE: u32 = key(2, LEN);
const COMPRESS_TYPE: u32 = key(3, VARINT);
const CORRELATION_ID: u32 = key(4, VARINT);
const ATTACHMENT_SIZE: u32 = key(5, VARINT);
const CHUNK_INFO: u32 = key(6, LEN);
const AUTHENTICATION_DATA: u32 = key(7, LEN);
const STREAM_SETTINGS: u32 = key(8, LEN);
const USER_FIELDS: u32 = key(9, LEN);
const CONTENT_TYPE: u32 = key(10, VARINT);
const CHECKSUM_TYPE: u32 = key(11, VARINT);
const CHECKSUM_VALUE: u32 = key(12, LEN);
const CHECKSUM_WITH_ATTACHMENT: u32 = key(13, VARINT);
// RpcRequestMeta
const SERVICE_NAME: u32 = key(1, LEN);
const METHOD_NAME: u32 = key(2, LEN);
const LOG_ID: u32 = key(3, VARINT);
const TRACE_ID: u32 = key(4, VARINT);
const SPAN_ID: u32 = key(5, VARINT);
const PARENT_SPAN_ID: u32 = key(6, VARINT);
const REQUEST_ID: u32 = key(7, LEN);
const TIMEOUT_MS: u32 = key(8, VARINT);
// RpcResponseMeta
const ERROR_CODE: u32 = key(1, VARINT);
const ERROR_TEXT: u32 = key(2, LEN);
// ChunkInfo
const CHUNK_STREAM_ID: u32 = key(1, VARINT);
const CHUNK_ID: u32 = key(2, VARINT);
// StreamSettings
const STREAM_ID: u32 = key(1, VARINT);
const NEED_FEEDBACK: u32 = key(2, VARINT);
const WRITABLE: u32 = key(3, VARINT);
const EXTRA_STREAM_ID: u32 = key(4, VARINT);
const EXTRA_STREAM_IDS_PACKED: u32 = key(4, LEN);
// An entry of user_fields
const ENTRY_KEY: u32 = key(1, LEN);
const ENTRY_VALUE: u32 = key(2, LEN);
