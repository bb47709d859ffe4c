//! Wait groups: the wait ends with the last task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use fastrpc::rt;
use fastrpc::sync::WaitGroup;

use super::*;

pub(crate) fn waits_for_all(mix: Mix) {
    let group = Arc::new(WaitGroup::new());
    let done = Arc::new(AtomicUsize::new(0));
    for round in 1..=50 {
        group.add(10);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let (group, done) = (group.clone(), done.clone());
                go(mix, move || {
                    group.wait_by(late()).unwrap();
                    done.load(SeqCst)
                })
            })
            .collect();
        for _ in 0..10 {
            let (group, done) = (group.clone(), done.clone());
            go(mix, move || {
                rt::yield_now();
                done.fetch_add(1, SeqCst);
                group.done();
            });
        }
        for seen in join_all(waiters) {
            assert_eq!(seen, 10 * round);
        }
        assert_eq!(group.count(), 0);
    }
}

pub(crate) fn times_out(mix: Mix) {
    let group = Arc::new(WaitGroup::new());
    group.add(1);
    go(mix, {
        let group = group.clone();
        move || {
            let e = must_time_out(|d| group.wait_by(d)).unwrap_err();
            assert!(e.is_timeout(), "{e:?}");
            group.done();
            group.wait().unwrap();
        }
    })
    .join();
}

pub(crate) fn wait_is_canceled(mix: Mix) {
    if matches!(mix, Mix::Threads) {
        return;
    }
    let group = Arc::new(WaitGroup::new());
    group.add(1);
    let task = go(Mix::Coroutines, {
        let group = group.clone();
        move || group.wait()
    });
    task.cancel();
    assert!(task.join().unwrap_err().is_canceled());
}
