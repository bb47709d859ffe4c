//! Queues: every value is delivered once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use fastrpc::rt;
use fastrpc::sync::Queue;

use super::*;

/// Every value arrives once, and those of one producer in its order.
pub(crate) fn delivers_all(mix: Mix) {
    const PRODUCERS: usize = 4;
    const EACH: usize = 2000;
    for capacity in [1, 7, 1 << 20] {
        let queue = Arc::new(Queue::new(capacity));
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                go(mix, move || {
                    let mut last = [0; PRODUCERS];
                    let (mut sum, mut count) = (0, 0);
                    loop {
                        match queue.pop() {
                            Ok((producer, value)) => {
                                let last: &mut usize = &mut last[producer];
                                assert!(*last < value, "{value} of {producer} after {last}");
                                *last = value;
                                sum += value;
                                count += 1;
                            }
                            Err(e) => {
                                assert!(e.is_closed(), "{e:?}");
                                return (sum, count);
                            }
                        }
                    }
                })
            })
            .collect();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let queue = queue.clone();
                go(mix, move || {
                    for value in 1..=EACH {
                        queue.push((producer, value)).unwrap();
                        assert!(queue.len() <= queue.capacity());
                    }
                })
            })
            .collect();
        join_all(producers);
        queue.close();
        let got = join_all(consumers).into_iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        assert_eq!(got, (PRODUCERS * EACH * (EACH + 1) / 2, PRODUCERS * EACH));
    }
}

/// Producers and consumers whose deadlines are so tight that many hand-overs come too late; one
/// producer and one consumer never give up.
pub(crate) fn loses_nothing_to_those_who_gave_up(mix: Mix) {
    let queue = Arc::new(Queue::new(2));
    let consumers: Vec<_> = (0..5)
        .map(|t| {
            let queue = queue.clone();
            go(mix, move || {
                let mut random = Random::new(t);
                let mut sum = 0;
                loop {
                    let popped = if t == 0 { queue.pop() } else { queue.pop_by(random.tight()) };
                    match popped {
                        Ok(value) => sum += value,
                        Err(e) if e.is_closed() => return sum,
                        Err(e) => assert!(e.is_timeout() && t > 0, "{e:?}"),
                    }
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..5)
        .map(|t| {
            let queue = queue.clone();
            go(mix, move || {
                let mut random = Random::new(100 + t);
                let mut sum = 0;
                for value in 1..=2000_u64 {
                    if t == 0 {
                        queue.push(value).unwrap();
                        sum += value;
                        continue;
                    }
                    match queue.push_by(value, random.tight()) {
                        Ok(()) => sum += value,
                        Err(e) => {
                            assert!(e.error().is_timeout(), "{e:?}");
                            assert_eq!(e.into_value(), value);
                        }
                    }
                    if random.below(8) == 0 {
                        rt::yield_now();
                    }
                }
                sum
            })
        })
        .collect();
    let pushed: u64 = join_all(producers).into_iter().sum();
    queue.close();
    let popped: u64 = join_all(consumers).into_iter().sum();
    assert_eq!(pushed, popped);
}

/// The same, while the queue is closed: every value that was pushed successfully is popped.
pub(crate) fn loses_nothing_at_close(mix: Mix) {
    for round in 0..100 {
        let queue = Arc::new(Queue::new(1 + round % 3));
        let pushed_some = Arc::new(AtomicUsize::new(0));
        let consumers: Vec<_> = (0..4)
            .map(|t| {
                let queue = queue.clone();
                go(mix, move || {
                    let mut random = Random::new(round * 10 + t);
                    let mut count = 0;
                    loop {
                        let popped =
                            if t == 0 { queue.pop() } else { queue.pop_by(random.tight()) };
                        match popped {
                            Ok(()) => count += 1,
                            Err(e) if e.is_closed() => return count,
                            Err(e) => assert!(e.is_timeout(), "{e:?}"),
                        }
                    }
                })
            })
            .collect();
        let producers: Vec<_> = (0..4)
            .map(|t| {
                let (queue, pushed_some) = (queue.clone(), pushed_some.clone());
                go(mix, move || {
                    let mut random = Random::new(round * 10 + 5 + t);
                    let mut count = 0;
                    loop {
                        let pushed =
                            if t == 0 { queue.push(()) } else { queue.push_by((), random.tight()) };
                        match pushed {
                            Ok(()) => {
                                count += 1;
                                pushed_some.fetch_add(1, SeqCst);
                            }
                            Err(e) if e.error().is_closed() => return count,
                            Err(e) => assert!(e.error().is_timeout(), "{e:?}"),
                        }
                    }
                })
            })
            .collect();
        eventually("values are pushed", || pushed_some.load(SeqCst) > 20);
        queue.close();
        let pushed: usize = join_all(producers).into_iter().sum();
        let popped: usize = join_all(consumers).into_iter().sum();
        assert_eq!(pushed, popped, "round {round}");
        assert!(queue.is_empty());
    }
}

pub(crate) fn loses_nothing_to_the_canceled(mix: Mix) {
    if matches!(mix, Mix::Threads) {
        return;
    }
    let queue = Arc::new(Queue::new(2));
    let stop = Arc::new(AtomicBool::new(false));
    let producer = go(mix, {
        let (queue, stop) = (queue.clone(), stop.clone());
        move || {
            let mut pushed = 0;
            while !stop.load(SeqCst) {
                queue.push(()).unwrap();
                pushed += 1;
                rt::yield_now();
            }
            pushed
        }
    });
    let consumer = go(mix, {
        let queue = queue.clone();
        move || {
            let mut popped = 0;
            while queue.pop().is_ok() {
                popped += 1;
            }
            popped
        }
    });
    let mut popped = 0;
    for _ in 0..300 {
        let task = go(Mix::Coroutines, {
            let queue = queue.clone();
            move || {
                let mut popped = 0;
                while queue.pop().is_ok() {
                    popped += 1;
                    if popped > 10 {
                        break;
                    }
                }
                popped
            }
        });
        task.cancel();
        popped += task.join();
    }
    stop.store(true, SeqCst);
    let pushed: usize = producer.join();
    queue.close();
    assert_eq!(popped + consumer.join(), pushed);
}

pub(crate) fn times_out(mix: Mix) {
    let queue = Arc::new(Queue::new(1));
    go(mix, {
        let queue = queue.clone();
        move || {
            assert!(must_time_out(|d| queue.pop_by(d)).unwrap_err().is_timeout());
            assert!(queue.try_pop().unwrap_err().would_block());
            queue.try_push(1).unwrap();
            let e = must_time_out(|d| queue.push_by(2, d)).unwrap_err();
            assert!(e.error().is_timeout(), "{e:?}");
            assert_eq!(e.into_value(), 2);
            let e = queue.try_push(3).unwrap_err();
            assert!(e.error().would_block(), "{e:?}");
            assert_eq!(e.into_value(), 3);
        }
    })
    .join();
    assert_eq!((queue.len(), queue.try_pop().unwrap(), queue.len()), (1, 1, 0));
}

pub(crate) fn close_ends_all_waits(mix: Mix) {
    let empty = Arc::new(Queue::<String>::new(1));
    let full = Arc::new(Queue::new(1));
    full.push("first".to_owned()).unwrap();
    let started = Arc::new(AtomicUsize::new(0));
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let (empty, started) = (empty.clone(), started.clone());
            go(mix, move || {
                started.fetch_add(1, SeqCst);
                empty.pop()
            })
        })
        .collect();
    let producers: Vec<_> = (0..3)
        .map(|t| {
            let (full, started) = (full.clone(), started.clone());
            go(mix, move || {
                started.fetch_add(1, SeqCst);
                full.push(format!("value {t}"))
            })
        })
        .collect();
    eventually("all have started", || started.load(SeqCst) == 6);
    empty.close();
    full.close();
    full.close();
    assert!(empty.is_closed() && full.is_closed());
    for popped in join_all(consumers) {
        assert!(popped.unwrap_err().is_closed());
    }
    for (t, pushed) in join_all(producers).into_iter().enumerate() {
        let e = pushed.unwrap_err();
        assert!(e.error().is_closed(), "{e:?}");
        assert_eq!(e.into_value(), format!("value {t}"));
    }
    assert_eq!(full.pop().unwrap(), "first");
    assert!(full.pop().unwrap_err().is_closed());
    assert!(full.try_pop().unwrap_err().is_closed());
    assert!(full.try_push(String::new()).unwrap_err().error().is_closed());
}

pub(crate) fn wait_is_canceled(mix: Mix) {
    if matches!(mix, Mix::Threads) {
        return;
    }
    let queue = Arc::new(Queue::new(1));
    let consumer = go(Mix::Coroutines, {
        let queue = queue.clone();
        move || queue.pop()
    });
    consumer.cancel();
    assert!(consumer.join().unwrap_err().is_canceled());
    queue.push(1).unwrap();
    let producer = go(Mix::Coroutines, {
        let queue = queue.clone();
        move || queue.push(2)
    });
    producer.cancel();
    let e = producer.join().unwrap_err();
    assert!(e.error().is_canceled(), "{e:?}");
    assert_eq!(e.into_value(), 2);
    assert_eq!(queue.len(), 1);
}

pub(crate) fn drops_each_value_once(mix: Mix) {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let queue = Arc::new(Queue::new(4));
    let producer = go(mix, {
        let (queue, drops) = (queue.clone(), drops.clone());
        move || {
            let mut failed = 0;
            for _ in 0..10 {
                failed += usize::from(queue.push_by(Counted(drops.clone()), soon()).is_err());
            }
            failed
        }
    });
    // One popped, four left in the queue, five given back and dropped by the producer.
    queue.pop().map(drop).unwrap();
    assert_eq!(producer.join(), 5);
    assert_eq!(drops.load(SeqCst), 6);
    queue.close();
    assert_eq!(drops.load(SeqCst), 6, "close drops nothing");
    eventually("the queue is nobody else's", || Arc::strong_count(&queue) == 1);
    drop(queue);
    assert_eq!(drops.load(SeqCst), 10);
}
