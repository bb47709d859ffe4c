//! How floating-point numbers are rounded, and what traps: registers that any function call leaves as
//! they were, by the ABIs, and so any wait. The flags of what has happened are the thread's.

use std::arch::asm;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FloatControl {
    #[cfg(target_arch = "x86_64")]
    sse: u32,
    #[cfg(target_arch = "x86_64")]
    x87: u16,
    #[cfg(target_arch = "aarch64")]
    fpcr: u64,
}

#[cfg(target_arch = "x86_64")]
impl FloatControl {
    #[inline]
    pub(super) fn save() -> FloatControl {
        let (mut sse, mut x87) = (0u32, 0u16);
        // SAFETY: stores two registers in places of their sizes.
        unsafe {
            asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &mut sse, in(reg) &mut x87,
                options(nostack, preserves_flags));
        }
        FloatControl { sse: sse & !SSE_FLAGS, x87 }
    }

    #[inline]
    pub(super) fn restore(self) {
        // To write them is far slower than to read them, and hardly ever needed.
        if FloatControl::save() != self {
            self.write();
        }
    }

    #[cold]
    fn write(self) {
        // SAFETY: loads two registers from what was stored; no flag is set that could trap.
        unsafe {
            asm!("ldmxcsr [{}]", "fnclex", "fldcw [{}]", in(reg) &self.sse, in(reg) &self.x87,
                options(nostack, preserves_flags));
        }
    }
}

#[cfg(target_arch = "aarch64")]
impl FloatControl {
    #[inline]
    pub(super) fn save() -> FloatControl {
        let fpcr;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack, preserves_flags)) };
        FloatControl { fpcr }
    }

    #[inline]
    pub(super) fn restore(self) {
        // To write it is far slower than to read it, and hardly ever needed.
        if FloatControl::save() != self {
            // SAFETY: loads a register with what was in it.
            unsafe { asm!("msr fpcr, {}", in(reg) self.fpcr, options(nostack, preserves_flags)) };
        }
    }
}

/// The flags among the bits of MXCSR.
#[cfg(target_arch = "x86_64")]
const SSE_FLAGS: u32 = 0x3f;
