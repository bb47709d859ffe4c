//! What every export does before and after its own work.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::rt;

use super::error::{ErrorOut, Failure};
use super::logging;
use super::status::*;

/// The body of a fallible export: `body` with panics caught, its failure stored in `error`, and a
/// forked child refused at once.
pub(super) fn guard(error: ErrorOut, body: impl FnOnce() -> Result<(), Failure>) -> fastrpc_status {
    logging::install();
    if rt::check_usable().is_err() {
        return error.store(Err(forked()));
    }
    error.store(catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(internal())))
}

/// The body of an export that cannot fail; returns `otherwise` after a panic.
pub(super) fn guard_value<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

fn forked() -> Failure {
    Failure::new(
        FASTRPC_EFORKED,
        "the process was forked after the runtime had started: fork before it is first used",
    )
}

fn internal() -> Failure {
    Failure::new(FASTRPC_EINTERNAL, "a bug in fastrpc: the library panicked (see stderr)")
}
