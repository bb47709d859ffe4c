//! What a call puts on the wire.

use super::channel::{Inner, Local};
use crate::rpc::{Compress, Protocol};
use crate::wire;
use crate::wire::baidu_std::{self, PUSH_FIELD, RequestHead};
use crate::wire::original;

/// A call's request, whatever the frames are.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) service: &'a str,
    pub(super) method: &'a str,
    /// Compressed as `compress` says.
    pub(super) body: &'a [u8],
    pub(super) attachment: &'a [u8],
    pub(super) compress: Compress,
    pub(super) log_id: i64,
    pub(super) request_id: &'a [u8],
    pub(super) timeout_ms: Option<i32>,
}

impl Inner {
    /// Appends the frame of the call `key`. Home worker only.
    #[inline]
    pub(super) fn encode(
        &self,
        local: &Local,
        buffer: &mut Vec<u8>,
        request: &Request<'_>,
        id: i64,
    ) -> Result<(), wire::Error> {
        if self.options.protocol == Protocol::Original {
            let head = original::RequestHead {
                service: request.service,
                method: request.method,
                // It was made of one.
                cli_id: id as u32,
                announce: true,
                timeout_ms: request.timeout_ms,
                trace_id: request.request_id,
            };
            return original::encode_request(buffer, &head, request.body);
        }
        let announces = local.announce_push.get();
        let announcement: [(&[u8], &[u8]); 1] = [(PUSH_FIELD, b"1")];
        let head = RequestHead {
            service: request.service,
            method: request.method,
            log_id: request.log_id,
            request_id: request.request_id,
            timeout_ms: request.timeout_ms,
            compress: request.compress,
            correlation_id: id,
            user_fields: if announces { &announcement } else { &[] },
            ..RequestHead::default()
        };
        baidu_std::encode_request(buffer, &head, request.body, request.attachment)?;
        if announces {
            local.announce_push.set(false);
        }
        Ok(())
    }
}

/// A [`Request`] that owns what it says, in one piece.
pub(super) struct Parcel {
    bytes: Vec<u8>,
    service: usize,
    method: usize,
    request_id: usize,
    body: usize,
    compress: Compress,
    log_id: i64,
    timeout_ms: Option<i32>,
}

impl Parcel {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn new(request: &Request<'_>) -> Parcel {
        let parts = [
            request.service.as_bytes(),
            request.method.as_bytes(),
            request.request_id,
            request.body,
            request.attachment,
        ];
        let [service, method, request_id, body, _] = parts.map(<[u8]>::len);
        Parcel {
            bytes: parts.concat(),
            service,
            method,
            request_id,
            body,
            compress: request.compress,
            log_id: request.log_id,
            timeout_ms: request.timeout_ms,
        }
    }

    pub(super) fn request(&self) -> Request<'_> {
        let (service, rest) = self.bytes.split_at(self.service);
        let (method, rest) = rest.split_at(self.method);
        let (request_id, rest) = rest.split_at(self.request_id);
        let (body, attachment) = rest.split_at(self.body);
        Request {
            service: std::str::from_utf8(service).expect("copied from a str"),
            method: std::str::from_utf8(method).expect("copied from a str"),
            body,
            attachment,
            compress: self.compress,
            log_id: self.log_id,
            request_id,
            timeout_ms: self.timeout_ms,
        }
    }
}
