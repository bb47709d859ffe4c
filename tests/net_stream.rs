//! Listener and stream over TCP and Unix sockets, in coroutines and in plain threads.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrpc::net::{Addr, ListenOptions, Listener, Stream};
use fastrpc::rt::{self, Deadline};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn listen(addr: &str) -> Arc<Listener> {
    Arc::new(Listener::bind(&addr.parse().unwrap(), &ListenOptions::default()).unwrap())
}

fn serve_echo(listener: Arc<Listener>) {
    rt::spawn(move || {
        while let Ok(stream) = listener.accept() {
            rt::spawn(move || {
                let mut buf = [0; 4096];
                loop {
                    match stream.read_by(&mut buf, Deadline::NEVER) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => {
                            stream.write_all_by(&buf[..read], Deadline::NEVER).unwrap();
                        }
                    }
                }
            })
            .unwrap();
        }
    })
    .unwrap();
}

fn addresses() -> Vec<String> {
    let path = std::env::temp_dir().join(format!("fastrpc-net-{}", std::process::id()));
    let abstract_name = format!("unix:@fastrpc-net-{}", std::process::id());
    vec!["127.0.0.1:0".into(), "[::1]:0".into(), format!("unix:{}", path.display()), abstract_name]
}

fn echo_once(addr: &Addr) {
    let stream = Stream::connect_by(addr, soon()).unwrap();
    let sent: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
    let mut got = vec![0; sent.len()];
    // More than the socket buffers hold: reading and writing must go on at once.
    let stream = Arc::new(stream);
    let (writer, data) = (stream.clone(), sent.clone());
    let writing = rt::spawn(move || writer.write_all_by(&data, soon())).unwrap();
    stream.read_exact_by(&mut got, soon()).unwrap();
    writing.join().unwrap().unwrap();
    assert!(got == sent, "what came back differs on {addr}");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read_by(&mut got, soon()).unwrap(), 0, "half-close on {addr}");
}

#[test]
fn echo_over_every_family_from_coroutines_and_threads() {
    for text in addresses() {
        let listener = listen(&text);
        let addr = listener.local_addr().clone();
        serve_echo(listener.clone());
        echo_once(&addr);
        let inner = addr.clone();
        rt::spawn(move || echo_once(&inner)).unwrap().join().unwrap();
        listener.close();
        if let Addr::Unix(path) = &addr {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[test]
fn deadlines_hold_and_the_stream_lives_on() {
    let listener = listen("127.0.0.1:0");
    let addr = listener.local_addr().clone();
    let check = move || {
        let stream = Stream::connect_by(&addr, soon()).unwrap();
        let peer = listener.accept_by(soon()).unwrap();
        let start = Instant::now();
        let mut buf = [0; 8];
        let wait = Duration::from_micros(20_500);
        let error = stream.read_by(&mut buf, Deadline::after(wait)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
        assert!(start.elapsed() >= wait, "early: {:?}", start.elapsed());
        peer.write_all_by(b"late", soon()).unwrap();
        assert_eq!(stream.read_by(&mut buf, soon()).unwrap(), 4);
        let error = listener.accept_by(Deadline::after(Duration::from_millis(5))).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
    };
    let in_thread = check.clone();
    rt::spawn(check).unwrap().join().unwrap();
    in_thread();
}

#[test]
fn two_readers_of_one_stream_both_live() {
    let listener = listen("127.0.0.1:0");
    let addr = listener.local_addr().clone();
    let stream = Arc::new(Stream::connect_by(&addr, soon()).unwrap());
    let peer = listener.accept_by(soon()).unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let stream = stream.clone();
            rt::spawn(move || {
                let mut buf = [0; 1];
                stream.read_by(&mut buf, soon()).map(|_| buf[0])
            })
            .unwrap()
        })
        .collect();
    peer.write_all_by(b"ab", soon()).unwrap();
    let mut got: Vec<u8> = readers.into_iter().map(|r| r.join().unwrap().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, b"ab");
}

#[test]
fn close_wakes_the_waiters() {
    let listener = listen("127.0.0.1:0");
    let stream = Arc::new(Stream::connect_by(listener.local_addr(), soon()).unwrap());
    let _peer = listener.accept_by(soon()).unwrap();
    let reader = stream.clone();
    let reading = rt::spawn(move || reader.read_by(&mut [0; 8], soon())).unwrap();
    let acceptor = listener.clone();
    let accepting = rt::spawn(move || acceptor.accept_by(soon()).map(drop)).unwrap();
    let thread_reader = stream.clone();
    let thread = std::thread::spawn(move || thread_reader.read_by(&mut [0; 8], soon()));
    rt::sleep(Duration::from_millis(20)).unwrap();
    stream.close();
    listener.close();
    let ebadf = |result: io::Result<()>| {
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EBADF));
    };
    ebadf(reading.join().unwrap().map(drop));
    ebadf(accepting.join().unwrap());
    // The thread may see the end of the stream that the close made, or the close.
    match thread.join().unwrap() {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => ebadf(Err(error)),
    }
}

#[test]
fn refused_and_unresolvable_targets_are_errors() {
    let port = listen("127.0.0.1:0").local_addr().port().unwrap();
    let refused = Stream::connect(&format!("127.0.0.1:{port}"), soon()).err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let refused =
        rt::spawn(move || Stream::connect(&format!("localhost:{port}"), soon()).err().unwrap());
    assert_eq!(refused.unwrap().join().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    let nowhere = Stream::connect("nonsense", soon()).err().unwrap();
    assert_eq!(nowhere.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn two_listeners_share_a_port() {
    let mut options = ListenOptions::default();
    options.reuse_port = true;
    let first = Listener::bind(&"127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let second = Listener::bind(first.local_addr(), &options).unwrap();
    assert_eq!(first.local_addr(), second.local_addr());
    assert!(Listener::bind(first.local_addr(), &ListenOptions::default()).is_err());
}

#[test]
fn std_traits_keep_the_streams_own_timeouts() {
    let listener = listen("127.0.0.1:0");
    let mut stream = Stream::connect_by(listener.local_addr(), soon()).unwrap();
    let mut peer = listener.accept_by(soon()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(10)));
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
    peer.write_all(b"x").unwrap();
    let mut buf = [0; 1];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"x");
    peer.write_all(b"yz").unwrap();
    stream.wait_readable(soon()).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 2);
}
