//! Encodes frames of the original fastrpc.

use std::io::Write;

use crate::wire::Error;

/// The fields of a request. Zero, `None` and empty are omitted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestHead<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) cli_id: u32,
    /// Announce that we read the fields that the original frames lack. The fields below are for
    /// peers that read these as well.
    pub(crate) announce: bool,
    pub(crate) timeout_ms: Option<i32>,
    pub(crate) trace_id: &'a [u8],
}

/// Appends a request frame to `out`. Fails, and leaves `out` unchanged, if a name or the trace id
/// cannot be written in a head: control characters, or together beyond [`MAX_TEXT`] bytes.
pub(crate) fn encode_request(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    body: &[u8],
) -> Result<(), Error> {
    let texts = [head.service.as_bytes(), head.method.as_bytes(), head.trace_id];
    let is_long = texts.iter().map(|text| text.len()).sum::<usize>() > MAX_TEXT;
    if is_long || texts.concat().iter().any(|&byte| is_control(byte)) {
        return Err(Error::text());
    }
    let RequestHead { service, method, cli_id, .. } = head;
    put(out, format_args!("{FIRST_LINE}op: {service}.{method}\r\ncli_id: {cli_id}\r\n"));
    if head.announce {
        put(out, format_args!("fastrpc_ver: 2\r\n"));
        if let Some(timeout) = head.timeout_ms {
            put(out, format_args!("timeout_ms: {timeout}\r\n"));
        }
        if !head.trace_id.is_empty() {
            put(out, format_args!("trace_id: "));
            out.extend_from_slice(head.trace_id);
            put(out, format_args!("\r\n"));
        }
    }
    put_body(out, body);
    Ok(())
}

/// Appends the response of a successful call.
pub(crate) fn encode_response(out: &mut Vec<u8>, cli_id: u32, body: &[u8]) {
    put(out, format_args!("{FIRST_LINE}cli_id: {cli_id}\r\n"));
    put_body(out, body);
}

/// Appends the response of a failed call, for a peer that announced that it reads it. Characters
/// that cannot be written in a head become blanks, and text that is too long is truncated.
pub(crate) fn encode_error(out: &mut Vec<u8>, cli_id: u32, status: i32, text: &str) {
    put(out, format_args!("{FIRST_LINE}cli_id: {cli_id}\r\nstatus: {status}\r\nerr: "));
    let mut cut = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    out.extend(text[..cut].bytes().map(|byte| if is_control(byte) { b' ' } else { byte }));
    put(out, format_args!("\r\n"));
    put_body(out, &[]);
}

/// Appends the original server's response to an unknown method. It names no call.
pub(crate) fn encode_unknown_method(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\nContent-Type: text/html;charset=utf-8\r\n\r\n\
        404 page not found",
    );
}

/// Appends a push of a message of type `name`. Fails as [`encode_request`] does.
pub(crate) fn encode_push(out: &mut Vec<u8>, name: &str, body: &[u8]) -> Result<(), Error> {
    if name.len() > MAX_TEXT || name.bytes().any(is_control) {
        return Err(Error::text());
    }
    put(out, format_args!("{FIRST_LINE}mes_name: {name}\r\n"));
    put_body(out, body);
    Ok(())
}

fn put_body(out: &mut Vec<u8>, body: &[u8]) {
    put(out, format_args!("Content-Length: {}\r\n\r\n", body.len()));
    out.extend_from_slice(body);
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes everything");
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control()
}

/// The maximum size of all texts of one head, in bytes: old peers accept no line beyond 4 KiB.
const MAX_TEXT: usize = 2 << 10;

/// Responses and pushes begin with a request line too.
const FIRST_LINE: &str = "POST / HTTP/1.1\r\n";
