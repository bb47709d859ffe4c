//! Which protocol a connection's first bytes are of.

use std::io;

use super::ServerOptions;
use crate::net::Scratch;
use crate::protocol::{Conn, Detected, End, FirstBytes, Protocol};
use crate::rt::Deadline;

/// Reads until it is known what the peer speaks: the index of one of `protocols`, and what was
/// read. Suspends. Ten thousand connections may wait in here.
pub(super) fn detect<'a>(
    conn: &Conn,
    options: &ServerOptions,
    protocols: impl Iterator<Item = &'a dyn Protocol> + Clone,
) -> Result<(usize, FirstBytes), End> {
    let stream = conn.stream();
    let mut first = FirstBytes { bytes: Vec::new(), due: Deadline::NEVER };
    let mut deadline = options.first_byte_timeout.into();
    loop {
        let read = stream.read_lazily(deadline, Scratch::borrow);
        let is_late = match &read {
            Ok((_, 0)) => return Err(End::PeerClosed),
            Ok((scratch, count)) => {
                first.bytes.extend_from_slice(&scratch[..*count]);
                conn.count_bytes(*count as u64, 0);
                first.bytes.len() >= MAX_FIRST_BYTES
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                if first.bytes.is_empty() {
                    log::debug!("closing the connection of {}: it says nothing", conn.peer());
                    return Err(End::Closed);
                }
                true
            }
            Err(_) => return Err(read.map(drop).expect_err("seen above").into()),
        };
        drop(read);
        match choose(protocols.clone(), &first.bytes, is_late) {
            Choice::Of(index) => return Ok((index, first)),
            Choice::Open if first.due == Deadline::NEVER => {
                first.due = options.detect_timeout.into();
                deadline = first.due;
            }
            Choice::Open => {}
            Choice::Nobody => {
                return Err(End::Bad("it speaks none of the protocols served here".into()));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Of(usize),
    /// More bytes are needed.
    Open,
    Nobody,
}

/// The first protocol that takes the bytes; one that needs more holds up those behind it, unless
/// there will be no more.
fn choose<'a>(
    protocols: impl Iterator<Item = &'a dyn Protocol>,
    bytes: &[u8],
    is_late: bool,
) -> Choice {
    for (index, protocol) in protocols.enumerate() {
        match protocol.detect(bytes) {
            Detected::Yes => return Choice::Of(index),
            Detected::NeedMore if !is_late => return Choice::Open,
            Detected::NeedMore | Detected::No => {}
        }
    }
    Choice::Nobody
}

/// The bytes by which every protocol must have told itself from others.
const MAX_FIRST_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Speaks what begins with its name.
    struct Named(&'static str);

    impl Protocol for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn detect(&self, first: &[u8]) -> Detected {
            let name = self.0.as_bytes();
            if first.starts_with(name) {
                Detected::Yes
            } else if name.starts_with(first) {
                Detected::NeedMore
            } else {
                Detected::No
            }
        }

        fn serve(&self, _: &Arc<Conn>, _: FirstBytes) -> End {
            End::Closed
        }
    }

    fn chosen(names: &[&'static str], bytes: &[u8], is_late: bool) -> Choice {
        let protocols: Vec<Named> = names.iter().copied().map(Named).collect();
        choose(protocols.iter().map(|protocol| protocol as &dyn Protocol), bytes, is_late)
    }

    #[test]
    fn the_first_that_takes_the_bytes_is_chosen() {
        assert_eq!(chosen(&["ab", "a"], b"abc", false), Choice::Of(0));
        assert_eq!(chosen(&["ab", "a"], b"ac", false), Choice::Of(1));
        assert_eq!(chosen(&["ab", "a"], b"x", false), Choice::Nobody);
        assert_eq!(chosen(&[], b"x", false), Choice::Nobody);
    }

    #[test]
    fn who_needs_more_holds_up_the_others() {
        assert_eq!(chosen(&["ab", "a"], b"a", false), Choice::Open);
        assert_eq!(chosen(&["x", "ab", "a"], b"a", false), Choice::Open);
        assert_eq!(chosen(&["a", "ab"], b"a", false), Choice::Of(0));
    }

    #[test]
    fn too_late_is_a_no() {
        assert_eq!(chosen(&["ab", "a"], b"a", true), Choice::Of(1));
        assert_eq!(chosen(&["ab", "ac"], b"a", true), Choice::Nobody);
    }
}
