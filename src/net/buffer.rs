//! Buffers that connections borrow, so that idle ones hold none.

use std::cell::RefCell;
use std::ops::Deref;

/// The thread's read buffer, borrowed for one read and the handling of its data.
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    pub(crate) const SIZE: usize = 256 << 10;

    pub(crate) fn borrow() -> Scratch {
        // Allocates anew when the thread's local data is destroyed: an exiting program may still wait.
        let bytes = SCRATCH.try_with(RefCell::take).unwrap_or_default();
        Scratch(if bytes.is_empty() { vec![0; Scratch::SIZE] } else { bytes })
    }
}

impl AsMut<[u8]> for Scratch {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        let _ = SCRATCH.try_with(|scratch| scratch.replace(bytes));
    }
}

/// Returns an empty buffer with some capacity.
pub(crate) fn spare() -> Vec<u8> {
    let kept = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| Vec::with_capacity(INITIAL_SIZE))
}

/// Keeps a buffer for reuse unless it has grown large.
pub(crate) fn recycle(mut bytes: Vec<u8>) {
    if bytes.capacity() == 0 || bytes.capacity() > MAX_KEPT_SIZE {
        return;
    }
    bytes.clear();
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_KEPT {
            spare.push(bytes);
        }
    });
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

const INITIAL_SIZE: usize = 4 << 10;
const MAX_KEPT_SIZE: usize = 256 << 10;
const MAX_KEPT: usize = 16;
