//! Limits and time-outs of HTTP connections.

use std::time::Duration;

use crate::wire::http1::Limits;

/// The bounds of HTTP connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Bytes of a request's head; beyond, 431. Default 32 KiB.
    pub max_head: usize,
    /// Fields of a request's head; beyond, 431. Default 100.
    pub max_fields: usize,
    /// Bytes of a request's target; beyond, 414. Default 8 KiB.
    pub max_target: usize,
    /// Bytes of a request's body; beyond, 413. Default 64 MiB.
    pub max_body: u64,
    /// A head once begun must be whole in this time; else 408. Default 30 s.
    pub head_timeout: Option<Duration>,
    /// While a body is read it must never pause for as long; else 408. Default 30 s.
    pub body_timeout: Option<Duration>,
    /// A connection on which no request begins for this long is closed. Default 75 s.
    pub idle_timeout: Option<Duration>,
    /// A peer that takes not one byte of an answer for this long is closed. Default 30 s.
    pub write_stall: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_head: 32 << 10,
            max_fields: 100,
            max_target: 8 << 10,
            max_body: 64 << 20,
            head_timeout: Some(Duration::from_secs(30)),
            body_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(75)),
            write_stall: Duration::from_secs(30),
        }
    }
}

impl Options {
    /// Returns the defaults.
    pub fn new() -> Options {
        Options::default()
    }

    setters! {
        max_head: usize,
        max_fields: usize,
        max_target: usize,
        max_body: u64,
        head_timeout: into Option<Duration>,
        body_timeout: into Option<Duration>,
        idle_timeout: into Option<Duration>,
        write_stall: Duration,
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            head: self.max_head,
            fields: self.max_fields,
            target: self.max_target,
            body: self.max_body,
        }
    }
}
