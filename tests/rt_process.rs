//! Runtime tests that need a process of their own: forks, stack overflows, limits, idle wakeups.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use common::{ALONE, alone, is_alone, resident, run_alone, run_alone_with, soon, wait_for};
use fastrpc::rt::{self, Builder, Deadline, Interest, Options, Timer};

const WORKERS: usize = 2;

#[test]
fn a_forked_child_gets_errors_and_never_hangs() {
    if !alone("a_forked_child_gets_errors_and_never_hangs") {
        return;
    }
    common::init();
    let running = rt::spawn(|| rt::sleep(Duration::from_millis(300))).unwrap();
    // SAFETY: the child calls what this test is about, and then ends without unwinding.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = i32::from(!child_sees_errors());
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    assert_eq!(wait_for(child), 0, "the child's checks");
    running.join().unwrap().unwrap();
    assert_eq!(rt::spawn(|| 5).unwrap().join().unwrap(), 5, "the parent works on");
}

fn child_sees_errors() -> bool {
    let start = Instant::now();
    let spawn = rt::spawn(|| ()).is_err();
    let sleep = rt::sleep(Duration::from_secs(30)).is_err();
    let wait = rt::wait_fd(0, Interest::Read, Deadline::NEVER).is_err();
    let timer = Timer::after(Duration::ZERO, || ()).is_err();
    let text = rt::spawn(|| ()).unwrap_err().to_string();
    rt::notify_close(0);
    rt::yield_now();
    let told = text.contains("forked");
    let quick = start.elapsed() < Duration::from_secs(5);
    let right = spawn && sleep && wait && timer && told && quick;
    if !right {
        eprintln!("{:?} {text}", (spawn, sleep, wait, timer, told, quick));
    }
    right
}

#[test]
fn a_coroutine_may_fork_and_its_child_ends_with_it() {
    if !alone("a_coroutine_may_fork_and_its_child_ends_with_it") {
        return;
    }
    common::init();
    let child = rt::spawn(|| {
        // SAFETY: the child only tries to wait, and then ends by leaving the coroutine.
        let child = unsafe { libc::fork() };
        if child == 0 {
            assert!(rt::sleep(Duration::from_secs(30)).is_err());
            rt::yield_now();
        }
        child
    })
    .unwrap();
    // In the child this line is never reached: its only thread is the worker.
    assert_eq!(wait_for(child.join().unwrap()), 0);
}

#[test]
fn an_overflow_names_the_coroutine_and_kills_by_the_signal() {
    #[inline(never)]
    fn endless(depth: usize) -> usize {
        let frame = std::hint::black_box([depth; 64]);
        if depth == usize::MAX { 0 } else { endless(depth + 1) + frame[depth % 64] }
    }
    const NAME: &str = "an_overflow_names_the_coroutine_and_kills_by_the_signal";
    if is_alone(ALONE) {
        common::init();
        let deep = Builder::new().name("deep one").stack_size(128 * 1024);
        deep.spawn(|| endless(0)).unwrap().join().unwrap();
        unreachable!("the process is dead");
    }
    let output = run_alone(NAME, ALONE);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("stack overflow in coroutine 'deep one'"), "{text}");
    assert!(text.contains("128 KiB"), "{text}");
}

#[test]
fn a_large_frame_meets_the_guard() {
    #[inline(never)]
    fn use_a_frame_of<const SIZE: usize>() {
        let mut array = std::mem::MaybeUninit::<[u8; SIZE]>::uninit();
        // SAFETY: the lowest byte of a live local.
        unsafe { std::hint::black_box(array.as_mut_ptr().cast::<u8>()).write_volatile(1) };
    }
    const NAME: &str = "a_large_frame_meets_the_guard";
    const FRAMES: [(usize, fn()); 4] = [
        (100 << 10, use_a_frame_of::<{ 100 << 10 }>),
        (400 << 10, use_a_frame_of::<{ 400 << 10 }>),
        (2 << 20, use_a_frame_of::<{ 2 << 20 }>),
        (8 << 20, use_a_frame_of::<{ 8 << 20 }>),
    ];
    const STACKS: [usize; 3] = [64 << 10, 256 << 10, 1 << 20];
    if let Ok(which) = std::env::var(ALONE) {
        let (frame, stack) = which.split_once(' ').expect("two indices");
        let (_, f) = FRAMES[frame.parse::<usize>().unwrap()];
        common::init();
        let deep =
            Builder::new().name("deep one").stack_size(STACKS[stack.parse::<usize>().unwrap()]);
        return deep.spawn(f).unwrap().join().unwrap();
    }
    for (i, (frame, _)) in FRAMES.iter().enumerate() {
        for (j, stack) in STACKS.iter().enumerate() {
            let output = run_alone_with(NAME, ALONE, &format!("{i} {j}"));
            let case = format!("a frame of {frame} bytes on a stack of {stack}: {output:?}");
            if frame < stack {
                assert!(output.status.success(), "{case}");
            } else {
                assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{case}");
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(text.contains("stack overflow in coroutine 'deep one'"), "{case}");
            }
        }
    }
}

#[test]
fn the_log_names_a_coroutine_that_panicked() {
    struct Lines(std::sync::Mutex<String>);
    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            self.0.lock().unwrap().push_str(&record.args().to_string());
        }
        fn flush(&self) {}
    }
    static LINES: Lines = Lines(std::sync::Mutex::new(String::new()));
    if !alone("the_log_names_a_coroutine_that_panicked") {
        return;
    }
    common::init();
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Error);
    let handle = Builder::new().name("bad one").spawn(|| panic!("number {}", 7)).unwrap();
    let id = handle.id();
    assert!(handle.join().unwrap_err().is_panic());
    assert_eq!(*LINES.0.lock().unwrap(), format!("coroutine 'bad one' ({id}) panicked: number 7"));
}

#[test]
fn a_fault_other_than_an_overflow_goes_to_the_previous_handler() {
    const NAME: &str = "a_fault_other_than_an_overflow_goes_to_the_previous_handler";
    extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: ends the process; async-signal-safe.
        unsafe { libc::_exit(42) };
    }
    if is_alone(ALONE) {
        // SAFETY: all-zero bytes are a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_flags = libc::SA_SIGINFO;
        action.sa_sigaction = handler as *const () as usize;
        // SAFETY: a valid action for a valid signal.
        unsafe { libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()) };
        common::in_coroutine(|| {
            // SAFETY: none: this is the fault that the test is about.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        });
        unreachable!("the handler ends the process");
    }
    let output = run_alone(NAME, ALONE);
    assert_eq!(output.status.code(), Some(42), "{output:?}");
}

#[test]
fn spawning_beyond_memory_is_an_error() {
    if !alone("spawning_beyond_memory_is_an_error") {
        return;
    }
    common::init();
    let body = || {
        let size: u64 = std::fs::read_to_string("/proc/self/statm")
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let limit = size * 4096 + (100 << 20);
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
        // SAFETY: a valid limit for this process, which exists for this test.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        let mut handles = Vec::new();
        loop {
            match rt::spawn(|| rt::sleep(Duration::from_secs(1000))) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    handles.iter().for_each(|handle| handle.cancel());
                    let spawned = handles.len();
                    for handle in handles {
                        assert!(handle.join().unwrap().is_err());
                    }
                    return (error, spawned);
                }
            }
        }
    };
    let on_first = || Builder::new().worker(0);
    let (error, spawned) = on_first().spawn(body).unwrap().join().unwrap();
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
    // A guard of 1 MiB is below each.
    assert!((60..=80).contains(&spawned), "{spawned} stacks of 256 KiB in 100 MiB");
    assert_eq!(on_first().spawn(|| 1).unwrap().join().unwrap(), 1, "and it goes on");
    // The other worker has no stack yet, and none can be allocated.
    let error = Builder::new().worker(1).spawn(|| 1).unwrap().join().unwrap_err();
    assert!(error.is_not_started(), "{error}");
}

#[test]
fn spawning_beyond_the_map_count_is_an_error_too() {
    if !alone("spawning_beyond_the_map_count_is_an_error_too") {
        return;
    }
    common::init();
    let limit: usize =
        std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    // Where the limit is far away there is nothing to see.
    if limit > 100_000 {
        return;
    }
    let outcome = rt::spawn(move || {
        let spawn = || rt::spawn(|| rt::sleep(Duration::from_secs(1000)));
        let mut handles = Vec::with_capacity(limit);
        while handles.len() < limit {
            match spawn() {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    handles.iter().for_each(|handle| handle.cancel());
                    return Some(error);
                }
            }
        }
        None
    });
    let error = outcome.unwrap().join().unwrap().expect("every stack takes two maps");
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
}

#[test]
fn the_environment_sets_the_workers_of_an_unconfigured_program() {
    const NAME: &str = "the_environment_sets_the_workers_of_an_unconfigured_program";
    const KEY: &str = "FASTRPC_WORKERS";
    match std::env::var(KEY).as_deref() {
        Err(_) => {
            for value in ["3", "0", "many"] {
                let output = run_alone_with(NAME, KEY, value);
                assert!(output.status.success(), "{value}: {output:?}");
            }
        }
        Ok("3") => {
            assert_eq!(rt::worker_count(), 3);
            let configured = rt::configure(Options::default().workers(2));
            configured.expect("the runtime has not started");
            assert_eq!(rt::worker_count(), 2, "the program decides");
        }
        Ok(value) => {
            let error = rt::spawn(|| ()).unwrap_err().to_string();
            assert!(error.contains(KEY), "{value}: {error}");
        }
    }
}

#[test]
fn an_idle_process_hardly_wakes() {
    if !alone("an_idle_process_hardly_wakes") {
        return;
    }
    rt::configure(Options::default().workers(4)).unwrap();
    let handles: Vec<_> =
        (0..1000).map(|_| rt::spawn(|| rt::sleep(Duration::from_millis(20))).unwrap()).collect();
    for handle in handles {
        handle.join().unwrap().unwrap();
    }
    let before = context_switches();
    std::thread::sleep(Duration::from_secs(2));
    let wakes = context_switches() - before;
    // This thread's own sleep is one of them. Idle stacks are released meanwhile, once a second
    // on each worker, and the kernel may let one worker wait for another's unmapping. A poll every
    // 10 ms would be 800.
    assert!(wakes < 100, "{wakes} wakeups in two seconds");
    std::thread::sleep(Duration::from_secs(8));
    let before = context_switches();
    std::thread::sleep(Duration::from_secs(1));
    let wakes = context_switches() - before;
    assert!(wakes < 5, "{wakes} wakeups in a second");
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        let cpus = |text: &str| {
            text.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_owned()
        };
        assert_eq!(cpus(&status), cpus(&own), "no worker is tied to a processor");
    }
}

/// Counts voluntary context switches of all threads of this process.
fn context_switches() -> u64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        })
        .sum()
}

#[test]
fn a_parked_coroutine_takes_at_most_nine_kib() {
    if !alone("a_parked_coroutine_takes_at_most_nine_kib") {
        return;
    }
    common::init();
    rt::spawn(|| ()).unwrap().join().unwrap();
    let (before, count) = (resident(), 5000);
    let handles: Vec<_> =
        (0..count).map(|_| rt::spawn(|| rt::sleep(Duration::from_secs(1000))).unwrap()).collect();
    // Each worker runs its coroutines in order: one more after them has seen them all parked.
    for worker in 0..WORKERS {
        Builder::new().worker(worker).spawn(|| ()).unwrap().join().unwrap();
    }
    let each = (resident() - before) as f64 / 1024.0 / f64::from(count);
    assert!(each > 1.0, "measured nothing: {each}");
    // Frames of unoptimized code are larger, but the pages are the same.
    assert!(each <= 9.5, "{each} KiB");
    handles.iter().for_each(|handle| handle.cancel());
    for handle in handles {
        assert!(handle.join_by(soon()).expect("ends").unwrap().is_err());
    }
    // And the stacks are released in time.
    common::eventually("memory is given back", || {
        resident() < before + ((2 * 64 * 10 + 4096) << 10)
    });
}

#[test]
fn options_cannot_change_after_the_start() {
    if !alone("options_cannot_change_after_the_start") {
        return;
    }
    for (workers, stack_size) in [(0, 1 << 18), (5000, 1 << 18), (1, 1 << 40)] {
        let options = Options::default().workers(workers).stack_size(stack_size);
        let error = rt::configure(options).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    rt::configure(Options::default().workers(3).stack_size(64 * 1024)).unwrap();
    assert!(!rt::has_started());
    assert_eq!(rt::worker_count(), 3);
    let size = rt::spawn(|| rt::current().unwrap().stack_size()).unwrap().join().unwrap();
    assert_eq!(size, 64 * 1024);
    assert!(rt::has_started());
    let error = rt::configure(Options::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
}
