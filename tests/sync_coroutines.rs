//! `fastrpc::sync` between coroutines, and between coroutines and threads: one worker.

mod common;
mod sync;

use sync::Mix;

const WORKERS: usize = 1;
const MIXES: [Mix; 2] = [Mix::Coroutines, Mix::Both];

scenarios! {
    mutex::{ excludes, raw_excludes, starves_nobody, times_out, hands_on_past_those_who_gave_up,
        wait_is_canceled, a_panic_unlocks }
    condvar::{ notify_one_wakes_one, loses_no_notification_to_those_who_gave_up,
        times_out_with_the_lock_held, wait_is_canceled_with_the_lock_held, raw_ping_pong }
    semaphore::{ bounds_how_many_are_inside, loses_no_permit_to_those_who_gave_up,
        loses_no_permit_to_the_canceled, times_out, serves_the_next_when_the_first_gives_up }
    wait_group::{ waits_for_all, times_out, wait_is_canceled }
    queue::{ delivers_all, loses_nothing_to_those_who_gave_up, loses_nothing_at_close,
        loses_nothing_to_the_canceled, times_out, close_ends_all_waits, wait_is_canceled,
        drops_each_value_once }
}
