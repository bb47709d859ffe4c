//! Scattered buffers: `struct iovec`, and the `struct msghdr` around it.

use libc::{c_int, iovec, msghdr};

/// Returns the buffers at `parts`.
///
/// # Safety
/// As readv(2): `count` valid entries, unless it is 0.
pub(super) unsafe fn from_raw<'a>(parts: *const iovec, count: usize) -> &'a [iovec] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(parts, count) }
}

/// Returns how many bytes the buffers have together.
pub(super) fn total_len(parts: &[iovec]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.iov_len))
}

/// Returns the buffers without their first `skipped` bytes.
pub(super) fn skip(parts: &[iovec], mut skipped: usize) -> Vec<iovec> {
    let mut rest = Vec::with_capacity(parts.len());
    for part in parts {
        let here = skipped.min(part.iov_len);
        skipped -= here;
        if here < part.iov_len {
            let iov_base = part.iov_base.cast::<u8>().wrapping_add(here).cast();
            rest.push(iovec { iov_base, iov_len: part.iov_len - here });
        }
    }
    rest
}

/// Returns a message of these buffers, without an address and control data.
pub(super) fn message(parts: &[iovec]) -> msghdr {
    // SAFETY: all-zero bytes are a valid msghdr: no address, no buffers, no control data.
    let mut message: msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_ptr().cast_mut();
    message.msg_iovlen = parts.len() as _;
    message
}

/// Whether readv(2) and writev(2) accept this many buffers.
pub(super) fn is_count(count: c_int) -> bool {
    (1..=libc::UIO_MAXIOV).contains(&count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_bytes_may_end_within_a_buffer() {
        let bytes = [0u8; 10];
        let part = |from: usize, len| iovec {
            iov_base: bytes[from..].as_ptr().cast_mut().cast(),
            iov_len: len,
        };
        let parts = [part(0, 3), part(3, 0), part(4, 4)];
        assert_eq!(total_len(&parts), 7);
        for (skipped, wanted) in
            [(0, vec![(0, 3), (4, 4)]), (2, vec![(2, 1), (4, 4)]), (5, vec![(6, 2)]), (7, vec![])]
        {
            let rest: Vec<_> = skip(&parts, skipped)
                .iter()
                .map(|p| (p.iov_base as usize - bytes.as_ptr() as usize, p.iov_len))
                .collect();
            assert_eq!(rest, wanted, "after {skipped}");
        }
    }
}
