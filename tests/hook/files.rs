//! sendfile(2) to sockets and pipes.

use std::io::Write;
use std::os::fd::AsRawFd;

use libc::c_int;

use crate::support::*;

/// Returns a temporary file of `size` bytes.
pub fn file(size: usize) -> std::fs::File {
    let path = format!("/tmp/fastrpc-test-{}-{size}-{:?}", std::process::id(), thread_id());
    let options = std::fs::File::options().create_new(true).read(true).write(true).to_owned();
    let mut file = options.open(&path).expect("made");
    std::fs::remove_file(&path).expect("removed");
    file.write_all(&vec![7; size]).expect("written");
    file
}

fn thread_id() -> std::thread::ThreadId {
    std::thread::current().id()
}

fn send_file(to: c_int, from: c_int, offset: Option<i64>, size: usize) -> String {
    let mut place = offset.unwrap_or(0);
    let pointer = if offset.is_some() { &raw mut place } else { std::ptr::null_mut() };
    // SAFETY: NULL or a place for the offset.
    let sent = unsafe { libc::sendfile(to, from, pointer, size) };
    format!("sendfile {} at {place}", outcome(sent as i64))
}

#[test]
fn sendfile_sends_files() {
    same("sendfile", || {
        let mut seen = Vec::new();
        for make in [|| pair(libc::SOCK_STREAM), tcp_pair, || pair(libc::SOCK_SEQPACKET), pipe] {
            let [mut to, mut end] = make();
            if flags(to) & libc::O_ACCMODE == libc::O_RDONLY {
                (to, end) = (end, to);
            }
            let source = file(3000);
            let from = source.as_raw_fd();
            let mut buffer = [0; 4000];
            seen.push(send_file(to, from, Some(0), 1000));
            seen.push(send_file(to, from, Some(2500), 5000));
            seen.push(send_file(to, from, Some(3000), 5));
            seen.push(send_file(to, from, Some(0), 0));
            // SAFETY: an fd of our own.
            unsafe { libc::lseek(from, 100, libc::SEEK_SET) };
            seen.push(send_file(to, from, None, 100));
            // SAFETY: as above.
            seen.push(outcome(unsafe { libc::lseek(from, 0, libc::SEEK_CUR) }));
            seen.push(outcome(read(end, &mut buffer[..1600]) as i64));
            seen.push(send_file(to, from, Some(-1), 10));
            seen.push(send_file(to, 987, None, 10));
            seen.push(send_file(987, from, None, 10));
            seen.push(send_file(to, end, None, 10));
            seen.push(send_file(from, from, Some(0), 10));
            close(end);
            seen.push(send_file(to, from, Some(0), 10));
            close(to);
        }
        seen
    });
}

#[test]
fn the_end_of_a_file_needs_no_room() {
    // A partly filled socket is not ready for more, although all of the file has been sent.
    same("sendfile to its end", || {
        let [to, end] = pair(libc::SOCK_STREAM);
        set_timeout(to, libc::SO_SNDTIMEO, 2000);
        let source = file(60_000);
        let (sent, time) = elapsed(|| send_file(to, source.as_raw_fd(), Some(0), 1 << 20));
        close_all([to, end]);
        vec![format!("{sent} at once: {}", time.as_millis() < 1500)]
    });
}

#[test]
fn sendfile_waits_for_room() {
    const LENGTH: usize = 4 << 20;
    let [to, end] = tcp_pair();
    let reader = move || {
        let mut buffer = vec![0; 1 << 16];
        let mut got = 0;
        while got < LENGTH {
            got += usize::try_from(read(end, &mut buffer)).expect("read");
        }
    };
    let sent = suspends(
        "sendfile",
        move || drop(std::thread::spawn(reader)),
        move || send_file(to, file(LENGTH).as_raw_fd(), Some(0), LENGTH),
    );
    assert_eq!(sent, format!("sendfile {LENGTH} at {LENGTH}"));
}
