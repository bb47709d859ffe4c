//! A client that others wrote.

use std::io::Write;
use std::process::{Command, Stdio};

use fastrpc::http::Response;

use super::support::*;

/// What curl prints; `None` where there is no curl.
fn curl(args: &[&str], input: &[u8]) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20"]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("skipped: no curl: {error}");
            return None;
        }
    };
    // It may not want all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn curl_gets_posts_uploads_and_follows() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/old", |_| Response::redirect("/hello"))
            .unwrap()
            .route("PUT", "/upload", |mut request| {
                let expected = request.header("expect").is_some();
                let length = request.body().length();
                Response::text(format!(
                    "{:?} {} {expected}",
                    length,
                    request.bytes().unwrap().len()
                ))
            })
            .unwrap()
            .route("GET", "/stream", |_| {
                Response::stream(|out| {
                    (0..100).try_for_each(|i| out.send(format!("{i},").as_bytes()))
                })
            })
            .unwrap();
    });
    let url = |path: &str| format!("http://{addr}{path}");
    let Some(text) = curl(&[&url("/hello"), &url("/hello")], b"") else { return };
    assert_eq!(text, "hellohello");
    assert_eq!(curl(&["--location", &url("/old")], b"").unwrap(), "hello");
    assert_eq!(curl(&["--http1.0", &url("/hello")], b"").unwrap(), "hello");
    let format = ["--head", "--write-out", "%{http_code}", "--output", "/dev/null"];
    assert_eq!(curl(&[&format[..], &[&url("/hello")]].concat(), b"").unwrap(), "200");
    assert_eq!(curl(&["--data", "a=b", &url("/echo")], b"").unwrap(), "a=b");
    let stream: String = (0..100).map(|i| format!("{i},")).collect();
    assert_eq!(curl(&[&url("/stream")], b"").unwrap(), stream);
    // In chunks, and after 100 Continue.
    let body = vec![b'x'; 2 << 20];
    let upload = ["--upload-file", "-", "--header", "Expect: 100-continue"];
    let text = curl(&[&upload[..], &[&url("/upload")]].concat(), &body).unwrap();
    assert_eq!(text, format!("None {} true", body.len()));
}
