//! Requests and responses, byte by byte.

use ::http::header::{HeaderMap, HeaderValue};
use ::http::{Method, StatusCode, Version};

use super::*;

pub(super) const LIMITS: Limits = Limits { head: 1024, fields: 8, target: 64, body: 1 << 20 };

pub(super) fn parse(input: &[u8]) -> Result<Option<Head>, Error> {
    let mut scan = Scan::default();
    match scan.find(input, &LIMITS)? {
        Some(end) => Head::parse(&input[..end], &scan, &LIMITS).map(Some),
        None => Ok(None),
    }
}

fn good(input: &str) -> Head {
    match parse(input.as_bytes()) {
        Ok(Some(head)) => head,
        other => panic!("{input:?}: {other:?}"),
    }
}

fn status(input: &str) -> u16 {
    match parse(input.as_bytes()) {
        Err(error) => error.status().as_u16(),
        other => panic!("{input:?}: {other:?}"),
    }
}

#[test]
fn a_request_line_and_fields() {
    let head =
        good("GET /a/b?c=d HTTP/1.1\r\nHost: example.org:80\r\nX-One:  1 \r\nx-one:2\r\n\r\n");
    assert_eq!((head.method, head.version), (Method::GET, Version::HTTP_11));
    assert_eq!((head.uri.path(), head.uri.query()), ("/a/b", Some("c=d")));
    let values: Vec<_> = head.fields.get_all("x-one").iter().collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(head.framing, Framing::EMPTY);
    assert!(head.keep_alive && !head.expects_continue);
    assert_eq!(good("M-SEARCH * HTTP/1.1\r\nHost:\r\n\r\n").method.as_str(), "M-SEARCH");
    let absolute = good("GET http://a.b/c HTTP/1.1\r\nHost: a.b\r\n\r\n");
    assert_eq!(absolute.uri.path(), "/c");
    let many: String = (0..7).map(|i| format!("x-{i}: {i}\r\n")).collect();
    let head = good(&format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"));
    assert_eq!(head.fields.len(), 8);
}

#[test]
fn what_the_connection_field_and_the_version_say() {
    for (version, fields, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Upgrade, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = good(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(head.keep_alive, keep_alive, "{version} {fields}");
    }
    assert!(!good("GET / HTTP/1.0\r\n\r\n").keep_alive, "HTTP/1.0 needs no Host");
}

#[test]
fn ambiguous_requests_are_rejected() {
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n",
        "Content-Length : 5\r\n",
        " Content-Length: 5\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X: a\rb\r\n",
        "X: a\r\r\n",
        "X: a\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        ": a\r\n",
        "X Y: a\r\n",
        "Host: a\r\n",
        "H\u{e9}: a\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(status(&request), 400, "{fields:?}");
    }
    let same = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(good(same).framing, Framing::Length(5));
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
    assert_eq!(good(chunked).framing, Framing::Chunked);
}

#[test]
fn each_refusal_has_its_status() {
    let long = "x".repeat(2000);
    let fields: String = (0..9).map(|i| format!("x-{i}: {i}\r\n")).collect();
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n".into(), 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / \r\n\r\n".into(), 400),
        ("GET /\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/11\r\nHost: a\r\n\r\n".into(), 400),
        ("G\u{e9}T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 505),
        ("PRI * HTTP/2.0\r\n\r\n".into(), 505),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".into(), 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".into(), 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n".into(), 417),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n".into(), 413),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..64]), 414),
        (format!("GET /{long}"), 414),
        (format!("GET /{}\0", &long[..200]), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), 431),
    ] {
        assert_eq!(status(&request), expected, "{request:?}");
    }
}

fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, HeaderMap), Error> {
    let mut decoder = BodyDecoder::new(Framing::Chunked, &LIMITS);
    let (mut body, mut at, mut end) = (Vec::new(), 0, 0);
    while !decoder.is_end() {
        if at == end {
            assert!(end < input.len(), "{:?} is not whole", String::from_utf8_lossy(input));
            end = (end + step).min(input.len());
        }
        let decoded = decoder.decode(&input[at..end], 3)?;
        body.extend_from_slice(&input[at..end][decoded.data]);
        at += decoded.consumed;
    }
    Ok((body, at, decoder.trailers().clone()))
}

#[test]
fn chunks_extensions_and_trailers() {
    let input = b"5;a=b;c=\"d e\"\r\nhello\r\n00A\r\n, 10 bytes\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\nrest";
    for step in [1, 2, 7, input.len()] {
        let (body, used, trailers) = decode(input, step).unwrap();
        assert_eq!(body, b"hello, 10 bytes");
        assert_eq!(&input[used..], b"rest");
        assert_eq!(trailers.len(), 1, "{trailers:?}");
        assert_eq!(trailers["x-sum"], "1");
    }
    assert_eq!(decode(b"0\r\n\r\n", 1).unwrap().0, b"");
}

#[test]
fn chunks_that_are_malformed() {
    for input in [
        &b"\r\n"[..],
        b"g\r\n",
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b" 1\r\na\r\n",
        b"1 \r\na\r\n",
        b"1\na\r\n",
        b"1\r\r\na",
        b"1;a\nb\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1\r\na\rx",
        b"11111111111111111\r\n",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\nX: 1\n\r\n\r\n",
        b"0\r\n X: 1\r\n\r\n",
        b"0\r\n\n",
    ] {
        let error = decode(input, 1).unwrap_err();
        assert_eq!(error.status().as_u16(), 400, "{:?}", String::from_utf8_lossy(input));
    }
    let extension = [b"1;", &[b'x'; 20_000][..], b"\r\n"].concat();
    assert_eq!(decode(&extension, 100).unwrap_err().status().as_u16(), 400);
    let trailers = [b"0\r\nX: ", &[b'x'; 2000][..], b"\r\n"].concat();
    assert_eq!(decode(&trailers, 100).unwrap_err().status().as_u16(), 400);
    assert_eq!(decode(b"100001\r\n", 1).unwrap_err().status().as_u16(), 413);
    assert_eq!(decode(b"ffffffffffffffff\r\n", 1).unwrap_err().status().as_u16(), 413);
}

#[test]
fn heads_as_they_are_written() {
    let mut fields = HeaderMap::new();
    fields.append("content-type", HeaderValue::from_static("text/plain"));
    for ours in ["content-length", "transfer-encoding", "connection", "date"] {
        fields.append(ours, HeaderValue::from_static("7"));
    }
    let mut out = Vec::new();
    let framing = Some(Framing::Length(12));
    let connection = Connection::new(Version::HTTP_11, false);
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    encode_head(
        &mut out,
        &ResponseHead { status: StatusCode::OK, fields: &fields, framing, connection, date },
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\
         Connection: close\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    );
    let mut out = Vec::new();
    for size in [0, 1, 15, 16, 4096] {
        encode_chunk(&mut out, &vec![b'x'; size]);
    }
    encode_last_chunk(&mut out);
    assert_eq!(decode(&out, 100).unwrap().0.len(), 1 + 15 + 16 + 4096);
}

#[test]
fn responses_that_others_made() {
    let check =
        |text: &str, version, is_head| RawResponse::check(text.as_bytes(), version, is_head);
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let fine = check(&format!("{head}ab"), Version::HTTP_11, false).unwrap();
    assert_eq!((fine.status, fine.head_len, fine.must_close), (StatusCode::OK, head.len(), false));
    for (text, must_close) in [
        ("HTTP/1.1 200 OK\r\n\r\nab", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", true),
        ("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\na", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false),
    ] {
        assert_eq!(
            check(text, Version::HTTP_11, false).unwrap().must_close,
            must_close,
            "{text:?}"
        );
    }
    assert!(!check(head, Version::HTTP_11, true).unwrap().must_close);
    for text in [
        "",
        "hello",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\na",
        "HTTP/1.1 99 OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
        "HTTP/1.1 204 No Content\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        assert!(check(text, Version::HTTP_11, false).is_err(), "{text:?}");
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(check(chunked, Version::HTTP_10, false).is_err());
}
