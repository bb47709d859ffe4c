//! The `Date` header, formatted once per second and thread.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Calls `f` with the date as HTTP writes it, which each thread makes once per second.
pub(super) fn with_date<R>(f: impl FnOnce(&str) -> R) -> R {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let mut last = LAST.try_with(RefCell::take).unwrap_or_default();
    if last.0 != now {
        last = (now, httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now)));
    }
    let result = f(&last.1);
    let _ = LAST.try_with(|place| place.replace(last));
    result
}

thread_local! {
    static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}
