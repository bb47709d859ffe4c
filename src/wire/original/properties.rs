//! Frames on arbitrary input: frames round-trip, and any input is handled.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Generates text that a field of a head can hold.
fn any_text() -> impl Strategy<Value = String> {
    "[ -~\u{a0}-\u{2ff}]{0,40}"
}

fn any_name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_.]{1,40}"
}

fn only_frame(bytes: &[u8]) -> Frame<'_> {
    match Decoder::new(1 << 20).decode(bytes) {
        Ok(Step::Frame(frame)) => {
            assert_eq!(frame.len(), bytes.len());
            frame
        }
        other => panic!("{other:?}"),
    }
}

/// Generates fragments of heads, likely and less so.
fn any_token() -> impl Strategy<Value = Vec<u8>> {
    const KNOWN: &[&str] = &[
        "POST ",
        "GET ",
        "HTTP/",
        "/ HTTP/1.1\r\n",
        "op: ",
        "op:",
        "cli_id: ",
        "mes_name: ",
        "a.B.C",
        "Content-Length: ",
        "content-length:",
        "0",
        "7",
        "-1",
        "18446744073709551616",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "\n\n",
        "fastrpc_ver: 2",
        "status: ",
        "err: ",
        ": ",
        ":",
        "\0",
        "\u{e9}",
    ];
    prop_oneof![
        4 => prop::sample::select(KNOWN).prop_map(|token| token.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ]
}

fn survives(input: &[u8]) {
    let decoder = Decoder::new(64);
    let mut at = 0;
    loop {
        match decoder.decode(&input[at..]) {
            Ok(Step::Frame(frame)) => {
                assert!(frame.len() > 0 && at + frame.len() <= input.len());
                // Truncated, it is never taken for anything else.
                for cut in [0, frame.head.len / 2, frame.head.len - 1, frame.len() - 1] {
                    let step = decoder.decode(&input[at..at + cut]);
                    assert!(
                        matches!(step, Ok(Step::NeedHead | Step::NeedBody(1..))),
                        "{cut} of {frame:?}: {step:?}"
                    );
                }
                at += frame.len();
            }
            Ok(Step::NeedBody(count)) => {
                assert!((1..=64).contains(&count));
                return;
            }
            Ok(Step::NeedHead) | Err(_) => return,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn requests_round_trip(
        names in (any_name(), any_name()),
        cli_id: u32,
        timeout_ms: Option<i32>,
        trace_id in any_text(),
        announce: bool,
        body: Vec<u8>,
    ) {
        let (service, method) = (&names.0[..], &names.1[..]);
        let head = RequestHead {
            service,
            method,
            cli_id,
            announce,
            timeout_ms,
            trace_id: trace_id.as_bytes(),
        };
        let mut out = Vec::new();
        encode_request(&mut out, &head, &body).unwrap();
        let frame = only_frame(&out);
        prop_assert_eq!(frame.head.op, format!("{service}.{method}"));
        prop_assert_eq!(frame.head.id(), Some(cli_id));
        prop_assert_eq!(frame.head.is_version_2(), announce);
        prop_assert_eq!(frame.body, body);
        if announce {
            let timeout = timeout_ms.map(|timeout| timeout.to_string()).unwrap_or_default();
            prop_assert_eq!(frame.head.timeout_ms, timeout);
            prop_assert_eq!(frame.head.trace_id, trace_id);
        } else {
            prop_assert_eq!((frame.head.timeout_ms, frame.head.trace_id), ("", ""));
        }
    }

    #[test]
    fn responses_and_pushes_round_trip(cli_id: u32, status: i32, text: String, body: Vec<u8>) {
        let mut out = Vec::new();
        encode_response(&mut out, cli_id, &body);
        let frame = only_frame(&out);
        prop_assert_eq!((frame.head.id(), frame.head.status), (Some(cli_id), ""));
        prop_assert_eq!(frame.body, &body);

        out.clear();
        encode_error(&mut out, cli_id, status, &text);
        let frame = only_frame(&out);
        prop_assert_eq!(frame.head.id(), Some(cli_id));
        prop_assert_eq!(frame.head.status, status.to_string());
        prop_assert_eq!(frame.head.err, text.replace(|c: char| c.is_ascii_control(), " "));
        prop_assert_eq!(frame.body, b"");

        out.clear();
        match encode_push(&mut out, &text, &body) {
            Ok(()) => {
                let frame = only_frame(&out);
                prop_assert_eq!(frame.head.mes_name, &text);
                prop_assert_eq!((frame.head.id(), frame.body), (None, &body[..]));
            }
            Err(_) => {
                prop_assert!(text.contains(|c: char| c.is_ascii_control()));
                prop_assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn no_text_breaks_out_of_its_field(names in (".{0,9}", ".{0,9}"), trace_id: Vec<u8>) {
        let (service, method) = (&names.0[..], &names.1[..]);
        let head = RequestHead {
            service,
            method,
            announce: true,
            trace_id: &trace_id,
            ..RequestHead::default()
        };
        let mut out = Vec::new();
        match encode_request(&mut out, &head, b"body") {
            Ok(()) => prop_assert_eq!(only_frame(&out).body, b"body"),
            Err(_) => prop_assert!(out.is_empty()),
        }
    }

    #[test]
    fn likely_tokens_are_survived(tokens in vec(any_token(), 0..40)) {
        survives(&tokens.concat());
        survives(&[b"POST / HTTP/1.1\r\n".to_vec(), tokens.concat()].concat());
    }

    #[test]
    fn junk_is_survived(bytes: Vec<u8>) {
        survives(&bytes);
    }
}

#[test]
fn long_texts_are_cut_or_refused() {
    let long = "\u{e9}".repeat(3000);
    let mut out = Vec::new();
    encode_error(&mut out, 1, 2, &long);
    let frame = only_frame(&out);
    assert!(long.starts_with(frame.head.err) && frame.head.err.len() == 2048);
    for (service, method, trace_id) in [(&long[..], "m", ""), ("s", &long, ""), ("s", "m", &long)] {
        let head = RequestHead {
            service,
            method,
            trace_id: trace_id.as_bytes(),
            ..RequestHead::default()
        };
        let mut out = Vec::new();
        let error = encode_request(&mut out, &head, b"").unwrap_err();
        assert!(error.is_malformed() && out.is_empty(), "{error}");
    }
    assert!(encode_push(&mut Vec::new(), &long, b"").is_err());
}

#[test]
fn a_head_has_an_end_within_the_limit() {
    let mut head = b"POST / HTTP/1.1\r\nop: a.B.C\r\ncli_id: 1\r\nx: ".to_vec();
    head.resize((8 << 10) - 4, b'x');
    assert_eq!(Decoder::new(64).decode(&head), Ok(Step::NeedHead));
    let fits = [&head[..], b"\r\n\r\n"].concat();
    assert!(matches!(Decoder::new(64).decode(&fits), Ok(Step::Frame(_))));
    let too_long = [&head[..], b"x\r\n\r\n"].concat();
    assert!(Decoder::new(64).decode(&too_long).unwrap_err().is_too_large());
}

#[test]
fn lengths_are_numbers_within_the_limit() {
    for (length, expected) in [
        ("Content-Length: 64", Ok(64)),
        ("content-length:64", Ok(64)),
        ("CONTENT-LENGTH: \t 64 ", Ok(64)),
        ("Content-Length: 65", Err(true)),
        ("Content-Length: 18446744073709551615", Err(true)),
        ("Content-Length: 18446744073709551616", Err(false)),
        ("Content-Length:", Err(false)),
        ("Content-Length: +1", Err(false)),
        ("Content-Length: 0x1", Err(false)),
        ("Content-Length: 1\r\nContent-Length: 2", Err(false)),
        ("Content-Length: 2\r\nContent-Length: 2", Ok(2)),
    ] {
        let head = format!("POST / HTTP/1.1\r\n{length}\r\n\r\n");
        let step = Decoder::new(64).decode(head.as_bytes());
        match expected {
            Ok(count) => assert_eq!(step, Ok(Step::NeedBody(count)), "{length}"),
            Err(too_large) => {
                let error = step.unwrap_err();
                assert_eq!((error.is_too_large(), error.is_malformed()), (too_large, !too_large));
            }
        }
    }
}
