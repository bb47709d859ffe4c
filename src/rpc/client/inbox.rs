//! Calls made away from the client's home worker: letters for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::CANCELED;
use super::channel::Inner;
use super::pending::{Done, Pending, Slot};
use super::request::Parcel;
use crate::rpc::Error;
use crate::rt::{self, Deadline};
use crate::sync::lock;

/// Calls made away from the home worker, until it takes them.
#[derive(Default)]
pub(super) struct Mail {
    letters: Vec<Letter>,
    calls: usize,
    bytes: usize,
}

pub(super) enum Letter {
    Call(Parcel, Then),
    /// The caller no longer waits.
    Forget(Arc<Slot>),
    Cancel(u64),
}

/// What to do with the outcome of a call made from afar.
pub(super) enum Then {
    Wake(Arc<Slot>),
    Run { done: Done, deadline: Deadline, key: Arc<AtomicU64> },
}

impl Inner {
    /// Leaves a letter for the home worker, or says why not and gives it back.
    pub(super) fn mail(self: &Arc<Self>, letter: Letter) -> Result<(), Box<(Error, Letter)>> {
        if self.closed.load(Ordering::Acquire) && matches!(letter, Letter::Call(..)) {
            return Err(Box::new((Error::closed(), letter)));
        }
        if let Err(error) = rt::check_usable() {
            return Err(Box::new((Error::internal(error.to_string()), letter)));
        }
        let mut mail = lock(&self.mail);
        if let Letter::Call(parcel, _) = &letter {
            if mail.calls >= self.options.max_in_flight || mail.bytes >= self.options.max_unsent {
                drop(mail);
                let error = Error::crowded("too many calls wait to be sent");
                return Err(Box::new((error, letter)));
            }
            mail.calls += 1;
            mail.bytes += parcel.len();
        }
        mail.letters.push(letter);
        let is_first = mail.letters.len() == 1;
        drop(mail);
        if is_first {
            let inner = self.clone();
            // It fails in a forked child only, which was asked for above.
            let _ = rt::post(self.home, move || inner.take_mail());
        }
        Ok(())
    }

    fn take_mail(self: &Arc<Self>) {
        let local = self.here();
        let mail = std::mem::take(&mut *lock(&self.mail));
        for letter in mail.letters {
            match letter {
                Letter::Call(parcel, Then::Wake(slot)) => {
                    let entry = Pending::Afar(slot.clone());
                    match self.begin(local, &parcel.request(), entry) {
                        Ok(key) => slot.key.store(key, Ordering::Relaxed),
                        Err((error, _)) => slot.end(Err(error)),
                    }
                }
                Letter::Call(parcel, Then::Run { done, deadline, key: place }) => {
                    if place.load(Ordering::Acquire) == CANCELED {
                        self.finish(done, Err(Error::canceled()));
                        continue;
                    }
                    match self.begin(local, &parcel.request(), Pending::Async(done)) {
                        Ok(key) => {
                            self.expire_at(local, key, deadline);
                            let (set, seen) = (Ordering::AcqRel, Ordering::Acquire);
                            if place.compare_exchange(0, key, set, seen).is_err() {
                                self.cancel(local, key);
                            }
                        }
                        Err((error, Pending::Async(done))) => self.finish(done, Err(error)),
                        Err(_) => unreachable!("the entry comes back as it was"),
                    }
                }
                // It comes after the call itself, so that the key, if there is one, is set.
                Letter::Forget(slot) => self.cancel(local, slot.key.load(Ordering::Relaxed)),
                Letter::Cancel(key) => self.cancel(local, key),
            }
        }
    }
}
