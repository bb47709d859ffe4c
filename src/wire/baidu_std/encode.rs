//! Encodes frames of baidu_std.

use super::Head;
use crate::wire::proto::{
    bytes_field_len, int_field_len, put_bytes_field, put_int_field, put_len_key,
};
use crate::wire::{Compress, Error};

/// The fields of a request's meta. Zero, `None` and empty are omitted; the names are always sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestHead<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) log_id: i64,
    pub(crate) trace_id: i64,
    pub(crate) span_id: i64,
    pub(crate) parent_span_id: i64,
    pub(crate) request_id: &'a [u8],
    pub(crate) timeout_ms: Option<i32>,
    /// The compression of the given body.
    pub(crate) compress: Compress,
    /// Echoed in the response.
    pub(crate) correlation_id: i64,
    pub(crate) authentication_data: &'a [u8],
    pub(crate) user_fields: &'a [(&'a [u8], &'a [u8])],
}

/// The fields of a response's meta. Zero and empty are omitted; the code is always sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResponseHead<'a> {
    /// That of the request.
    pub(crate) correlation_id: i64,
    /// 0 for success.
    pub(crate) code: i32,
    pub(crate) text: &'a str,
    /// The compression of the given body.
    pub(crate) compress: Compress,
    pub(crate) user_fields: &'a [(&'a [u8], &'a [u8])],
}

/// Appends a request frame to `out`.
///
/// Fails, and leaves `out` unchanged, if the frame exceeds what the format can express: 4 GiB, or
/// 2 GiB of attachment.
pub(crate) fn encode_request(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    body: &[u8],
    attachment: &[u8],
) -> Result<(), Error> {
    let sizes = Sizes::of_request(head, body.len(), attachment.len())?;
    sizes.put_head(out);
    head.put(out, &sizes);
    out.extend_from_slice(body);
    out.extend_from_slice(attachment);
    Ok(())
}

/// Appends a response frame to `out`. Fails as [`encode_request`] does.
pub(crate) fn encode_response(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_>,
    body: &[u8],
    attachment: &[u8],
) -> Result<(), Error> {
    let sizes = Sizes::of_response(head, body.len(), attachment.len())?;
    sizes.put_head(out);
    head.put(out, &sizes);
    out.extend_from_slice(body);
    out.extend_from_slice(attachment);
    Ok(())
}

impl RequestHead<'_> {
    fn inner_len(&self) -> usize {
        let mut len = bytes_field_len(self.service.len()) + bytes_field_len(self.method.len());
        for id in [self.log_id, self.trace_id, self.span_id, self.parent_span_id] {
            len += optional_int_len(id);
        }
        if let Some(timeout) = self.timeout_ms {
            len += int_field_len(timeout.into());
        }
        len + optional_bytes_len(self.request_id.len())
    }

    #[inline]
    fn put(&self, out: &mut Vec<u8>, sizes: &Sizes) {
        put_len_key(out, 1, sizes.inner);
        put_bytes_field(out, 1, self.service.as_bytes());
        put_bytes_field(out, 2, self.method.as_bytes());
        let ids = [self.log_id, self.trace_id, self.span_id, self.parent_span_id];
        for (number, id) in (3..).zip(ids) {
            put_optional_int(out, number, id);
        }
        put_optional_bytes(out, 7, self.request_id);
        if let Some(timeout) = self.timeout_ms {
            put_int_field(out, 8, timeout.into());
        }
        sizes.put_common(out, self.compress, self.correlation_id);
        put_optional_bytes(out, 7, self.authentication_data);
        put_user_fields(out, self.user_fields);
    }
}

impl ResponseHead<'_> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>, sizes: &Sizes) {
        put_len_key(out, 2, sizes.inner);
        put_int_field(out, 1, self.code.into());
        put_optional_bytes(out, 2, self.text.as_bytes());
        sizes.put_common(out, self.compress, self.correlation_id);
        put_user_fields(out, self.user_fields);
    }
}

/// All lengths of a frame, computed before its first byte is written.
struct Sizes {
    /// Of the request or response message within the meta.
    inner: usize,
    head: Head,
    attachment: i32,
}

impl Sizes {
    #[inline]
    fn of_request(head: &RequestHead<'_>, body: usize, attachment: usize) -> Result<Sizes, Error> {
        let extra =
            optional_bytes_len(head.authentication_data.len()) + user_fields_len(head.user_fields);
        Sizes::new(head.inner_len(), head.compress, head.correlation_id, extra, body, attachment)
    }

    #[inline]
    fn of_response(
        head: &ResponseHead<'_>,
        body: usize,
        attachment: usize,
    ) -> Result<Sizes, Error> {
        let inner = int_field_len(head.code.into()) + optional_bytes_len(head.text.len());
        let extra = user_fields_len(head.user_fields);
        Sizes::new(inner, head.compress, head.correlation_id, extra, body, attachment)
    }

    #[inline]
    fn new(
        inner: usize,
        compress: Compress,
        correlation_id: i64,
        extra: usize,
        body: usize,
        attachment: usize,
    ) -> Result<Sizes, Error> {
        let attachment_size = i32::try_from(attachment).map_err(|_| Error::unencodable())?;
        let meta = bytes_field_len(inner)
            + optional_int_len(compress.number().into())
            + int_field_len(correlation_id)
            + optional_int_len(attachment_size.into())
            + extra;
        // Slices are shorter than isize::MAX, but their sum may not be.
        let total = meta.checked_add(body).and_then(|sum| sum.checked_add(attachment));
        let body_size = total.and_then(|total| u32::try_from(total).ok());
        let body_size = body_size.ok_or_else(Error::unencodable)?;
        // Not larger than `body_size`, which fits.
        let head = Head { body_size, meta_size: meta as u32 };
        Ok(Sizes { inner, head, attachment: attachment_size })
    }

    /// Reserves memory for the whole frame and writes its head.
    #[inline]
    fn put_head(&self, out: &mut Vec<u8>) {
        out.reserve(Head::LEN + self.head.body_size as usize);
        out.extend_from_slice(&self.head.to_bytes());
    }

    #[inline]
    fn put_common(&self, out: &mut Vec<u8>, compress: Compress, correlation_id: i64) {
        put_optional_int(out, 3, compress.number().into());
        put_int_field(out, 4, correlation_id);
        put_optional_int(out, 5, self.attachment.into());
    }
}

#[inline]
fn optional_int_len(value: i64) -> usize {
    if value == 0 { 0 } else { int_field_len(value) }
}

#[inline]
fn put_optional_int(out: &mut Vec<u8>, number: u8, value: i64) {
    if value != 0 {
        put_int_field(out, number, value);
    }
}

#[inline]
fn optional_bytes_len(len: usize) -> usize {
    if len == 0 { 0 } else { bytes_field_len(len) }
}

#[inline]
fn put_optional_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_bytes_field(out, number, bytes);
    }
}

fn user_field_len((name, value): &(&[u8], &[u8])) -> usize {
    bytes_field_len(name.len()) + bytes_field_len(value.len())
}

fn user_fields_len(fields: &[(&[u8], &[u8])]) -> usize {
    fields.iter().map(|field| bytes_field_len(user_field_len(field))).sum()
}

fn put_user_fields(out: &mut Vec<u8>, fields: &[(&[u8], &[u8])]) {
    for field in fields {
        put_len_key(out, 9, user_field_len(field));
        put_bytes_field(out, 1, field.0);
        put_bytes_field(out, 2, field.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_beyond_the_format_are_rejected() {
        let largest_meta = 100;
        let (request, response) = (RequestHead::default(), ResponseHead::default());
        let too_large = u32::MAX as usize;
        assert!(Sizes::of_request(&request, too_large - largest_meta, 0).is_ok());
        for (body, attachment) in
            [(too_large, 0), (usize::MAX, 0), (0, 1 << 31), (usize::MAX, 1), (too_large, 9)]
        {
            let of_request = Sizes::of_request(&request, body, attachment);
            assert!(of_request.is_err_and(|error| error.is_too_large()), "{body} {attachment}");
            let of_response = Sizes::of_response(&response, body, attachment);
            assert!(of_response.is_err_and(|error| error.is_too_large()), "{body} {attachment}");
        }
    }

    #[test]
    fn memory_is_reserved_once() {
        let mut out = Vec::new();
        let head = RequestHead { service: "a.B", method: "C", ..RequestHead::default() };
        encode_request(&mut out, &head, &[1; 1000], &[2; 1000]).unwrap();
        let capacity = out.capacity();
        out.clear();
        encode_request(&mut out, &head, &[1; 1000], &[2; 1000]).unwrap();
        assert_eq!((out.len(), out.capacity()), (capacity, capacity));
    }
}
