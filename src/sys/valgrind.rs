//! Valgrind client requests: instructions without effect that valgrind recognizes (its manual, "The
//! Client Request mechanism", and valgrind.h).

use std::arch::asm;

/// Whether the program runs under valgrind.
pub(crate) fn is_running() -> bool {
    request([RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0]) != 0
}

/// Returns valgrind's answer, or 0 without valgrind.
fn request(arguments: [usize; 6]) -> usize {
    let mut answer = 0usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: rotates a register by 128 bits in all, and exchanges another with itself.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const arguments,
            inout("rdx") answer,
            out("rdi") _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: rotates a register by 128 bits in all, and combines another with itself.
    unsafe {
        asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") &raw const arguments,
            inout("x3") answer,
            out("x12") _,
        );
    }
    answer
}

/// `VG_USERREQ__RUNNING_ON_VALGRIND` of valgrind.h.
const RUNNING_ON_VALGRIND: usize = 0x1001;

#[cfg(test)]
mod tests {
    #[test]
    fn without_valgrind_the_answer_is_zero() {
        // This test itself may be run under valgrind, which then preloads its own.
        let preloads = std::env::var("LD_PRELOAD").unwrap_or_default();
        assert_eq!(super::is_running(), preloads.contains("vgpreload"));
    }
}
