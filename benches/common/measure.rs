//! The Rust counterpart of `measure.hpp`.

use std::time::Duration;

/// Counts calls, latencies and CPU time over exactly one interval that begins after a warm-up.
pub(crate) struct Measurement {
    histogram: Histogram,
    nanos: u64,
    begin: u64,
    end: u64,
    calls: u64,
    errors: u64,
    server: Option<libc::clockid_t>,
    server_cpu: u64,
    client_cpu: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    WarmUp,
    Measuring,
    Done,
}

impl Measurement {
    pub(crate) fn new(warm_up: Duration, length: Duration, server_pid: i32) -> Measurement {
        Measurement {
            histogram: Histogram::new(),
            nanos: length.as_nanos() as u64,
            begin: now() + warm_up.as_nanos() as u64,
            end: 0,
            calls: 0,
            errors: 0,
            server: (server_pid != 0).then(|| cpu_clock(server_pid)),
            server_cpu: 0,
            client_cpu: 0,
            state: State::WarmUp,
        }
    }

    /// Records a call that began at `start` and whose response had arrived by `now`.
    pub(crate) fn responded(&mut self, start: u64, now: u64) {
        if self.state == State::Measuring {
            self.calls += 1;
            self.histogram.record(now - start);
        }
    }

    /// Records a call that ended in an error or in a response that does not echo the request.
    pub(crate) fn failed(&mut self) {
        self.errors += 1;
    }

    /// Returns whether the interval is over. To be called after each response.
    pub(crate) fn done(&mut self, now: u64) -> bool {
        match self.state {
            State::WarmUp if now >= self.begin => {
                self.state = State::Measuring;
                self.server_cpu = self.server.map_or(0, read_clock);
                self.client_cpu = read_clock(libc::CLOCK_PROCESS_CPUTIME_ID);
                self.begin = self::now();
            }
            State::Measuring if now.saturating_sub(self.begin) >= self.nanos => {
                self.state = State::Done;
                self.end = now;
                self.server_cpu = self.server.map_or(0, read_clock) - self.server_cpu;
                self.client_cpu = read_clock(libc::CLOCK_PROCESS_CPUTIME_ID) - self.client_cpu;
            }
            _ => {}
        }
        self.state == State::Done
    }

    pub(crate) fn print(&self) {
        let per_call = |nanos: u64| nanos as f64 / 1e3 / self.calls.max(1) as f64;
        let server_cpu = match self.server {
            Some(_) => format!("\"server_cpu_us\": {:.4}, ", per_call(self.server_cpu)),
            None => String::new(),
        };
        println!(
            "{{\"calls\": {}, \"seconds\": {:.6}, \"p50_us\": {:.3}, \"p99_us\": {:.3}, \
             {server_cpu}\"client_cpu_us\": {:.4}, \"errors\": {}}}",
            self.calls,
            (self.end - self.begin) as f64 / 1e9,
            self.histogram.percentile(50.0) / 1e3,
            self.histogram.percentile(99.0) / 1e3,
            per_call(self.client_cpu),
            self.errors,
        );
    }
}

/// Returns the monotonic clock in nanoseconds.
pub(crate) fn now() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that lives through the call.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(result, 0, "clock {clock}: {}", std::io::Error::last_os_error());
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn cpu_clock(pid: libc::pid_t) -> libc::clockid_t {
    let mut clock = 0;
    // SAFETY: `clock` is a clock id that lives through the call.
    let result = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    assert_eq!(result, 0, "cannot read the CPU time of process {pid}");
    clock
}

/// Counts in 128 buckets per power of two: no percentile is off by more than 0.8 %.
struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

const BITS: u32 = 7;

impl Histogram {
    fn new() -> Histogram {
        Histogram { counts: vec![0; (64 - BITS as usize + 1) << BITS], total: 0 }
    }

    fn record(&mut self, value: u64) {
        let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
        self.counts[((shift as usize) << BITS) + (value >> shift) as usize] += 1;
        self.total += 1;
    }

    fn percentile(&self, percent: f64) -> f64 {
        let rank = (self.total as f64 * percent / 100.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen > rank || (seen == self.total && seen > 0) {
                let shift = (index >> BITS).saturating_sub(1);
                let low = ((index - (shift << BITS)) as u64) << shift;
                return if shift == 0 {
                    low as f64
                } else {
                    low as f64 + (1u64 << shift) as f64 / 2.0
                };
            }
        }
        0.0
    }
}
