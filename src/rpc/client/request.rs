//! The request of a call, and its frame.

use super::pushes::Pushes;
use crate::rpc::{Compress, Protocol};
use crate::wire;
use crate::wire::baidu_std::{self, PUSH_FIELD, RequestHead};
use crate::wire::original;

/// A call's request, independent of the frame format.
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

impl Request<'_> {
    /// Appends the frame of the call with this id.
    #[inline]
    pub(super) fn encode(
        &self,
        buffer: &mut Vec<u8>,
        protocol: Protocol,
        id: i64,
        pushes: &Pushes,
    ) -> Result<(), wire::Error> {
        if protocol == Protocol::Original {
            let head = original::RequestHead {
                service: self.service,
                method: self.method,
                // The id was assigned as a u32.
                cli_id: id as u32,
                announce: true,
                timeout_ms: self.timeout_ms,
                trace_id: self.request_id,
            };
            return original::encode_request(buffer, &head, self.body);
        }
        let announces = pushes.must_announce();
        let announcement: [(&[u8], &[u8]); 1] = [(PUSH_FIELD, b"1")];
        let head = RequestHead {
            service: self.service,
            method: self.method,
            log_id: self.log_id,
            request_id: self.request_id,
            timeout_ms: self.timeout_ms,
            compress: self.compress,
            correlation_id: id,
            user_fields: if announces { &announcement } else { &[] },
            ..RequestHead::default()
        };
        baidu_std::encode_request(buffer, &head, self.body, self.attachment)?;
        if announces {
            pushes.set_announced();
        }
        Ok(())
    }
}

/// A [`Request`] that owns its parts, in one allocation.
pub(super) struct OwnedRequest {
    bytes: Vec<u8>,
    service: usize,
    method: usize,
    request_id: usize,
    body: usize,
    compress: Compress,
    log_id: i64,
    timeout_ms: Option<i32>,
}

impl OwnedRequest {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn new(request: &Request<'_>) -> OwnedRequest {
        let parts = [
            request.service.as_bytes(),
            request.method.as_bytes(),
            request.request_id,
            request.body,
            request.attachment,
        ];
        let [service, method, request_id, body, _] = parts.map(<[u8]>::len);
        OwnedRequest {
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
