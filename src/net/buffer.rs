//! Buffers that connections borrow, so that idle ones hold none.

use std::cell::RefCell;
use std::ops::Deref;

/// The thread's buffer, while it is read into and what came is taken.
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    pub(crate) const SIZE: usize = 256 << 10;

    pub(crate) fn borrow() -> Scratch {
        // There is none once the thread's local data is gone: a program's exit may still wait.
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

/// An empty buffer with some room.
pub(crate) fn spare() -> Vec<u8> {
    let kept = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| Vec::with_capacity(FIRST_SIZE))
}

/// Takes a buffer back, unless it has grown large.
pub(crate) fn recycle(mut bytes: Vec<u8>) {
    if bytes.capacity() == 0 || bytes.capacity() > LARGEST_KEPT {
        return;
    }
    bytes.clear();
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MOST_KEPT {
            spare.push(bytes);
        }
    });
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

const FIRST_SIZE: usize = 4 << 10;
const LARGEST_KEPT: usize = 256 << 10;
const MOST_KEPT: usize = 16;
