//! Per-thread state that a switch saves and restores beside the registers: errno, the C++ exceptions in
//! flight and the floating-point control words. To libc and the compiler they belong to the thread; here
//! each coroutine has its own.

use std::arch::asm;

/// Reads and writes the worker thread's state on behalf of its coroutines.
pub(in crate::rt) struct ThreadContext {
    /// Null in a program without the C++ run-time library.
    cxx_globals: *mut CxxGlobals,
    /// The thread's own, the initial value of each coroutine's.
    float_control: FloatControl,
}

/// The state of a suspended coroutine.
pub(in crate::rt) struct Saved {
    cxx_globals: CxxGlobals,
    float_control: FloatControl,
}

impl ThreadContext {
    pub(in crate::rt) fn of_this_thread() -> ThreadContext {
        ThreadContext { cxx_globals: cxx_globals(), float_control: FloatControl::save() }
    }

    /// Reads the state of the running coroutine.
    #[inline]
    pub(in crate::rt) fn save(&self) -> Saved {
        Saved { cxx_globals: self.read_cxx_globals(), float_control: FloatControl::save() }
    }

    /// Restores the state of a coroutine that was suspended.
    #[inline]
    pub(in crate::rt) fn restore(&self, saved: Saved) {
        saved.float_control.restore();
        self.write_cxx_globals(saved.cxx_globals);
    }

    /// Sets the state with which a coroutine begins.
    #[inline]
    pub(in crate::rt) fn reset(&self) {
        self.float_control.restore();
        self.write_cxx_globals(CxxGlobals::NONE);
    }

    #[inline]
    fn read_cxx_globals(&self) -> CxxGlobals {
        if self.cxx_globals.is_null() {
            return CxxGlobals::NONE;
        }
        // SAFETY: not null, so it is this thread's own `__cxa_eh_globals`, which lives as long
        // as the thread.
        unsafe { *self.cxx_globals }
    }

    #[inline]
    fn write_cxx_globals(&self, saved: CxxGlobals) {
        if !self.cxx_globals.is_null() {
            // SAFETY: as in `read_cxx_globals`.
            unsafe { *self.cxx_globals = saved }
        }
    }
}

/// The two words that the C++ run-time library keeps per thread about exceptions in flight:
/// `__cxa_eh_globals` of the Itanium C++ ABI, 2.2.2. They belong to the coroutine: without them
/// `throw;` after a wait inside a `catch` would rethrow another coroutine's exception.
#[repr(C)]
#[derive(Clone, Copy)]
struct CxxGlobals {
    caught_exceptions: *mut libc::c_void,
    uncaught_exceptions: libc::c_uint,
}

impl CxxGlobals {
    const NONE: CxxGlobals =
        CxxGlobals { caught_exceptions: std::ptr::null_mut(), uncaught_exceptions: 0 };
}

/// This thread's C++ exception state; null in a program without the C++ run-time library.
fn cxx_globals() -> *mut CxxGlobals {
    #[cfg(feature = "capi")]
    {
        unsafe extern "C" {
            fn __cxa_get_globals() -> *mut CxxGlobals;
        }
        // SAFETY: takes nothing and returns a pointer that lives as long as the thread.
        unsafe { __cxa_get_globals() }
    }
    #[cfg(not(feature = "capi"))]
    {
        // SAFETY: the name is a C string.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_get_globals".as_ptr()) };
        if symbol.is_null() {
            return std::ptr::null_mut();
        }
        // SAFETY: a symbol of this name is the function that the C++ ABI defines.
        let get_globals = unsafe {
            std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> *mut CxxGlobals>(symbol)
        };
        get_globals()
    }
}

/// The control words of the floating-point units: rounding, and which exceptions trap. The ABIs have a
/// function call preserve them, and a wait is one. The flags of past exceptions are the thread's.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FloatControl {
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
    fn save() -> FloatControl {
        let (mut sse, mut x87) = (0u32, 0u16);
        // SAFETY: stores two registers into variables of their sizes.
        unsafe {
            asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &mut sse, in(reg) &mut x87,
                options(nostack, preserves_flags));
        }
        FloatControl { sse: sse & !SSE_FLAGS, x87 }
    }

    #[inline]
    fn restore(self) {
        // Writing them is far slower than reading them, and hardly ever needed.
        if FloatControl::save() != self {
            self.write();
        }
    }

    #[cold]
    fn write(self) {
        // SAFETY: loads two registers with saved values; no flag is set that could trap.
        unsafe {
            asm!("ldmxcsr [{}]", "fnclex", "fldcw [{}]", in(reg) &self.sse, in(reg) &self.x87,
                options(nostack, preserves_flags));
        }
    }
}

#[cfg(target_arch = "aarch64")]
impl FloatControl {
    #[inline]
    fn save() -> FloatControl {
        let fpcr;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack, preserves_flags)) };
        FloatControl { fpcr }
    }

    #[inline]
    fn restore(self) {
        // Writing it is far slower than reading it, and hardly ever needed.
        if FloatControl::save() != self {
            // SAFETY: loads a register with its own saved value.
            unsafe { asm!("msr fpcr, {}", in(reg) self.fpcr, options(nostack, preserves_flags)) };
        }
    }
}

/// The thread's errno, carried over a switch.
pub(in crate::rt) struct Errno(libc::c_int);

impl Errno {
    #[inline]
    pub(in crate::rt) fn save() -> Errno {
        // SAFETY: the location is valid for as long as the thread runs.
        Errno(unsafe { *libc::__errno_location() })
    }

    #[inline]
    pub(in crate::rt) fn restore(self) {
        // SAFETY: as in `save`.
        unsafe { *libc::__errno_location() = self.0 }
    }
}

/// The exception flags of MXCSR.
#[cfg(target_arch = "x86_64")]
const SSE_FLAGS: u32 = 0x3f;
