//! Random calls: the same in a plain thread and in a hooked coroutine.

use std::os::fd::RawFd;

use libc::c_int;

use crate::support::*;

#[test]
fn random_calls_on_stream_sockets() {
    generate("unix stream", || pair(libc::SOCK_STREAM), Kind::Unix);
    generate("tcp", tcp_pair, Kind::Inet);
}

#[test]
fn random_calls_on_message_sockets() {
    generate("unix datagram", || pair(libc::SOCK_DGRAM), Kind::Unix);
    generate("seqpacket", || pair(libc::SOCK_SEQPACKET), Kind::Unix);
    generate("udp", udp_pair, Kind::Inet);
}

#[test]
fn random_calls_on_pipes() {
    generate("pipe", pipe, Kind::Pipe);
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Unix,
    Inet,
    Pipe,
}

fn generate(what: &str, make: fn() -> [RawFd; 2], kind: Kind) {
    for seed in 1..=SEEDS {
        same(&format!("{what}, seed {seed}"), move || {
            let fds = make();
            // The timeout ends calls that would wait for ever; pipes have no such option.
            for fd in fds {
                set_timeout(fd, libc::SO_RCVTIMEO, 5);
                set_timeout(fd, libc::SO_SNDTIMEO, 5);
            }
            let mut random = Random(seed * 7919);
            let mut seen = Vec::new();
            for _ in 0..STEPS {
                let step = if kind == Kind::Pipe { pipe_step } else { step };
                seen.push(step(fds, &mut random));
                if kind == Kind::Inet {
                    settle(fds);
                }
            }
            for fd in fds {
                seen.push(format!("flags {:o}", flags(fd)));
                seen.push(format!("close {}", outcome(close(fd))));
            }
            seen
        });
    }
}

/// Waits until all sent bytes have arrived, through the loopback device.
fn settle(fds: [RawFd; 2]) {
    let start = std::time::Instant::now();
    let mut under_way = 1;
    while under_way != 0 && start.elapsed().as_millis() < 40 {
        under_way = 0;
        for fd in fds {
            let mut count: c_int = 0;
            // SAFETY: a place for the number.
            unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &mut count) };
            under_way += count;
        }
    }
}

fn step(fds: [RawFd; 2], random: &mut Random) -> String {
    let side = random.below(2);
    let fd = fds[side];
    let mut buffer = vec![0u8; random.size()];
    let flags = random.flags();
    let text = match random.below(13) {
        0 | 1 => shown("write", write_quietly(fd, &random.bytes()), &[]),
        2 => shown("send", send(fd, &random.bytes(), flags & libc::MSG_DONTWAIT), &[]),
        3 => {
            let (a, b) = (random.bytes(), random.bytes());
            let parts = [part(&a), part(&[]), part(&b)];
            // SAFETY: three valid parts.
            shown("writev", unsafe { libc::writev(fd, parts.as_ptr(), 3) }, &[])
        }
        4 | 5 => shown("read", read(fd, &mut buffer), &buffer),
        6 | 7 => shown("recv", recv(fd, &mut buffer, flags), &buffer),
        8 => {
            let (a, b) = buffer.split_at(buffer.len() / 3);
            let parts = [part(a), part(b)];
            // SAFETY: two valid parts of a buffer that nobody else uses.
            shown("readv", unsafe { libc::readv(fd, parts.as_ptr(), 2) }, &buffer)
        }
        9 => {
            let parts = [part(&buffer)];
            // SAFETY: all-zero bytes are a valid msghdr.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_iov = parts.as_ptr().cast_mut();
            message.msg_iovlen = 1;
            // SAFETY: a valid message.
            let got = unsafe { libc::recvmsg(fd, &mut message, flags) };
            format!("{} flags {:x}", shown("recvmsg", got, &buffer), message.msg_flags)
        }
        10 => {
            let on = random.below(2) == 0;
            set_nonblocking(fd, on);
            format!("nonblocking {on}")
        }
        11 => {
            let mut entry = libc::pollfd { fd, events: libc::POLLIN | libc::POLLOUT, revents: 0 };
            // SAFETY: one valid entry.
            let found = unsafe { libc::poll(&mut entry, 1, 5) };
            format!("poll {} {:x}", outcome(found), entry.revents)
        }
        _ if random.below(8) == 0 => {
            let how = random.below(3) as c_int;
            format!("shutdown {how} {}", outcome(shutdown(fd, how)))
        }
        _ => shown("recv 0", recv(fd, &mut [], libc::MSG_DONTWAIT), &[]),
    };
    format!("{side}: {text} (room {}, flags {flags:x})", buffer.len())
}

/// Reads no more than a pipe has, and writes no more than it takes, or it would block.
fn pipe_step(fds: [RawFd; 2], random: &mut Random) -> String {
    let mut waiting: c_int = 0;
    // SAFETY: a place for the number.
    unsafe { libc::ioctl(fds[0], libc::FIONREAD, &mut waiting) };
    let mut buffer = vec![0u8; random.size()];
    match random.below(6) {
        0 | 1 if waiting < 32_768 => shown("write", write(fds[1], &random.bytes()), &[]),
        2 if waiting > 0 => shown("read", read(fds[0], &mut buffer), &buffer),
        3 if waiting > 0 => {
            let (a, b) = buffer.split_at(buffer.len() / 2);
            let parts = [part(a), part(b)];
            // SAFETY: two valid parts of a buffer that nobody else uses.
            shown("readv", unsafe { libc::readv(fds[0], parts.as_ptr(), 2) }, &buffer)
        }
        4 => shown("wrong end", read(fds[1], &mut buffer), &[]),
        5 if waiting == 0 => {
            set_nonblocking(fds[0], true);
            let text = shown("nothing there", read(fds[0], &mut buffer), &[]);
            set_nonblocking(fds[0], false);
            text
        }
        _ => format!("{waiting} wait"),
    }
}

/// write(2), which may raise SIGPIPE: Rust programs ignore it.
fn write_quietly(fd: RawFd, bytes: &[u8]) -> isize {
    write(fd, bytes)
}

fn part(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

fn shown(what: &str, result: isize, buffer: &[u8]) -> String {
    let text = format!("{what} {}", outcome(result as i64));
    let got = usize::try_from(result).unwrap_or(0).min(buffer.len());
    let sum = buffer[..got].iter().fold(0u32, |sum, byte| sum.wrapping_mul(31) + u32::from(*byte));
    format!("{text} sum {sum:x}")
}

/// xorshift: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }

    fn size(&mut self) -> usize {
        [0, 1, 2, 7, 100, 1000, 4096][self.below(7)]
    }

    fn bytes(&mut self) -> Vec<u8> {
        let size = self.size();
        (0..size).map(|_| self.next() as u8).collect()
    }

    fn flags(&mut self) -> c_int {
        let all = [0, 0, libc::MSG_DONTWAIT, libc::MSG_PEEK, libc::MSG_WAITALL, libc::MSG_TRUNC];
        all[self.below(6)]
    }
}

const SEEDS: u64 = 10;
const STEPS: usize = 60;
