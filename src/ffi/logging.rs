//! Logging.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, Once, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::arg;
use super::callback::{UserData, call_out, fastrpc_drop};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::guard;
use super::status::*;

/// No records.
pub const FASTRPC_LOG_OFF: i32 = 0;
/// Something was lost or refused, and somebody should look.
pub const FASTRPC_LOG_ERROR: i32 = 1;
/// Something is odd, and the library went on.
pub const FASTRPC_LOG_WARN: i32 = 2;
/// Something noteworthy and normal.
pub const FASTRPC_LOG_INFO: i32 = 3;
/// For debugging a program that uses the library.
pub const FASTRPC_LOG_DEBUG: i32 = 4;
/// For debugging the library.
pub const FASTRPC_LOG_TRACE: i32 = 5;

/// Receives one log record. `target` is the part of the library; it and `text` are not terminated
/// by a NUL and live until the callback returns. Runs on the thread and, if in one, in the
/// coroutine that logs, in several at the same time. Must not suspend.
pub type fastrpc_log_function = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        level: i32,
        target: *const c_char,
        target_size: usize,
        text: *const c_char,
        text_size: usize,
    ),
>;

/// Sends the library's log records to a callback. Without it, warnings and errors go to stderr.
///
/// `level`: the highest FASTRPC_LOG_ level that is wanted. `function`: NULL for stderr. `user`,
/// `drop`: its data. Fails with FASTRPC_EINVAL (no such level), FASTRPC_ESTATE (the program set a
/// logger of its own through Rust). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_set_log(
    level: i32,
    function: fastrpc_log_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let level = level_filter(level)
            .ok_or_else(|| Failure::invalid("the level must be one of the FASTRPC_LOG_ numbers"))?;
        if !is_installed() {
            return Err(Failure::new(FASTRPC_ESTATE, "the program has set a logger of its own"));
        }
        let old = replace_sink(function.map(|function| Arc::new(Sink { function, user })));
        log::set_max_level(level);
        std::mem::drop(old);
        Ok(())
    })
}

/// Writes a record to where the library's own records go.
///
/// `level`: a FASTRPC_LOG_ level. `text`, `size`: bytes of text; those that are not UTF-8 are
/// replaced. Fails with FASTRPC_EINVAL (no such level). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_log(
    level: i32,
    text: *const c_char,
    size: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes `size` readable bytes.
        let text = unsafe { arg::bytes(text.cast(), size) }?;
        let level = level_filter(level).and_then(|level| level.to_level());
        let level = level
            .ok_or_else(|| Failure::invalid("the level must be one of the FASTRPC_LOG_ numbers"))?;
        log::log!(target: "program", level, "{}", String::from_utf8_lossy(text));
        Ok(())
    })
}

/// Makes the library's records visible. Done by the first call into the C ABI; a Rust program
/// that has set a logger keeps it.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if log::set_logger(&LOGGER).is_ok() {
            log::set_max_level(LevelFilter::Warn);
        }
    });
}

struct Logger {
    sink: RwLock<Option<Arc<Sink>>>,
}

static LOGGER: Logger = Logger { sink: RwLock::new(None) };

struct Sink {
    function:
        unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, usize, *const c_char, usize),
    user: UserData,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // Of the crates below, the program hears warnings and errors alone.
        let is_ours = ["fastrpc", "program"].iter().any(|name| metadata.target().starts_with(name));
        let most = if is_ours { LevelFilter::Trace } else { LevelFilter::Warn };
        metadata.level() <= log::max_level().min(most)
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let sink = self.sink.read().unwrap_or_else(|e| e.into_inner()).clone();
        let text = record.args().to_string();
        match sink {
            Some(sink) => sink.write(record.level(), record.target(), &text),
            None => to_stderr(record.level(), &text),
        }
    }

    fn flush(&self) {}
}

impl Sink {
    fn write(&self, level: Level, target: &str, text: &str) {
        let function = self.function;
        let (user, level) = (self.user.get(), level as i32);
        // SAFETY: the user gave this function for this data; the text outlives the call.
        let result = call_out(|| unsafe {
            function(
                user,
                level,
                target.as_ptr().cast(),
                target.len(),
                text.as_ptr().cast(),
                text.len(),
            );
        });
        // Logging this would come back here.
        if let Err(exception) = result {
            to_stderr(Level::Error, &format!("an exception left the log callback: {exception}"));
        }
    }
}

fn to_stderr(level: Level, text: &str) {
    use std::io::Write;
    let line = format!("fastrpc: {}: {text}\n", level.as_str().to_ascii_lowercase());
    // There is nowhere to report that stderr is gone.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn is_installed() -> bool {
    std::ptr::addr_eq(log::logger(), &raw const LOGGER)
}

fn replace_sink(sink: Option<Arc<Sink>>) -> Option<Arc<Sink>> {
    std::mem::replace(&mut LOGGER.sink.write().unwrap_or_else(|e| e.into_inner()), sink)
}

fn level_filter(level: i32) -> Option<LevelFilter> {
    match level {
        FASTRPC_LOG_OFF => Some(LevelFilter::Off),
        FASTRPC_LOG_ERROR => Some(LevelFilter::Error),
        FASTRPC_LOG_WARN => Some(LevelFilter::Warn),
        FASTRPC_LOG_INFO => Some(LevelFilter::Info),
        FASTRPC_LOG_DEBUG => Some(LevelFilter::Debug),
        FASTRPC_LOG_TRACE => Some(LevelFilter::Trace),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_other_crates_only_warnings_are_logged() {
        let passes = |target, level| {
            LOGGER.enabled(&Metadata::builder().target(target).level(level).build())
        };
        let before = log::max_level();
        log::set_max_level(LevelFilter::Debug);
        let passed = [
            passes("fastrpc::rpc::client", Level::Debug),
            passes("program", Level::Info),
            passes("engine::config", Level::Warn),
            passes("engine::config", Level::Info),
            passes("fastrpc::rpc::client", Level::Trace),
        ];
        log::set_max_level(before);
        assert_eq!(passed, [true, true, true, false, false]);
    }
}
