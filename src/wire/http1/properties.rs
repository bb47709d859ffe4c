//! Properties that hold for any input.

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::{LIMITS, parse};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_head_is_found_however_it_is_split(request in any_request(), cuts in vec(1usize..9, 1..40)) {
        let whole = parse(&request);
        let mut scan = Scan::default();
        let mut end = 0;
        let mut cuts = cuts.iter().cycle();
        let found = loop {
            end = (end + cuts.next().unwrap()).min(request.len());
            match scan.find(&request[..end], &LIMITS) {
                Ok(None) if end < request.len() => {}
                other => break other,
            }
        };
        match (whole, found) {
            (Ok(Some(_)), Ok(Some(end))) => {
                prop_assert!(Head::parse(&request[..end], &scan, &LIMITS).is_ok());
            }
            (Ok(None), Ok(None)) => {}
            (Err(one), Err(two)) => prop_assert_eq!(one, two),
            (Err(one), Ok(Some(end))) => {
                prop_assert_eq!(Head::parse(&request[..end], &scan, &LIMITS).unwrap_err(), one);
            }
            (whole, found) => prop_assert!(false, "{whole:?}, {found:?}"),
        }
    }

    #[test]
    fn a_plain_host_is_an_authority(host in "[a-zA-Z0-9.:-]{0,12}") {
        if head::is_plain_host(host.as_bytes()) {
            prop_assert!(::http::uri::Authority::try_from(host.as_bytes()).is_ok());
        }
    }

    #[test]
    fn bodies_come_back_from_chunks(parts in vec(vec(any::<u8>(), 1..50), 0..8), cuts in vec(1usize..9, 1..20), max in 1usize..20) {
        let mut wire = Vec::new();
        for part in &parts {
            encode_chunk(&mut wire, part);
        }
        encode_last_chunk(&mut wire);
        let len = wire.len();
        wire.extend_from_slice(b"GET ");
        let mut decoder = BodyDecoder::new(Framing::Chunked, &LIMITS);
        let (mut body, mut at, mut end) = (Vec::new(), 0, 0);
        let mut cuts = cuts.iter().cycle();
        while !decoder.is_end() {
            if at == end {
                end = (end + cuts.next().unwrap()).min(wire.len());
            }
            let decoded = decoder.decode(&wire[at..end], max).unwrap();
            prop_assert!(decoded.data.len() <= max && decoded.data.end <= decoded.consumed);
            body.extend_from_slice(&wire[at..end][decoded.data]);
            at += decoded.consumed;
        }
        prop_assert_eq!(body, parts.concat());
        prop_assert_eq!(at, len);
    }

    #[test]
    fn any_input_is_survived(junk: Vec<u8>) {
        let _ = parse(&junk);
        let _ = RawResponse::check(&junk, ::http::Version::HTTP_11, false);
        let mut decoder = BodyDecoder::new(Framing::Chunked, &LIMITS);
        let mut rest = &junk[..];
        while let Ok(decoded) = decoder.decode(rest, 10) {
            prop_assert!(decoded.consumed <= rest.len());
            if decoded.consumed == 0 {
                break;
            }
            rest = &rest[decoded.consumed..];
        }
    }

    #[test]
    fn the_length_of_a_raw_response_is_checked(status in 200u16..600, body in vec(any::<u8>(), 0..40), shift in -1i64..2) {
        let length = (body.len() as i64 + shift).max(0);
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
        let has_no_body = status == 204 || status == 304;
        let fine = if has_no_body { body.is_empty() } else { length == body.len() as i64 };
        let checked = RawResponse::check(&[head.as_bytes(), &body].concat(), ::http::Version::HTTP_11, false);
        prop_assert_eq!(checked.is_ok(), fine);
    }
}

/// Generates something like a request: likely parts, in a likely order.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("GET / HTTP/1.1\r\n"),
        Just("POST /a?b HTTP/1.0\r\n"),
        Just("GET / HTTP/3.0\r\n"),
        Just("GET /\r\n"),
    ];
    let field = prop_oneof![
        4 => Just("Host: a\r\n".to_owned()),
        1 => Just("Content-Length: 3\r\n".to_owned()),
        1 => Just("Transfer-Encoding: chunked\r\n".to_owned()),
        1 => Just("X: a\r\n b\r\n".to_owned()),
        1 => Just("X: a\n".to_owned()),
        1 => Just("\r".to_owned()),
        2 => "[a-zA-Z-]{1,9}: ?[ -~]{0,30}\r\n",
    ];
    let end = prop_oneof![3 => Just("\r\n"), 1 => Just(""), 1 => Just("\r"), 1 => Just("\n")];
    (line, vec(field, 0..10), end)
        .prop_map(|(line, fields, end)| [line, &fields.concat(), end].concat().into_bytes())
}
