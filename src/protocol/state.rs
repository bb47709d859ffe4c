//! The lifecycle of a connection as a table: a state and an event in, a state and actions out.
//!
//! | | drain | close | abort | peer closed | idle | failed | served |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | open | draining | closing, drop | closing, fail | peer closed | | cut | left |
//! | draining | | closing, drop | closing, fail | peer closed | hung up | cut | left |
//! | closing | | | hurry | peer closed | hung up | cut | left |
//! | peer closed | | drop | fail | | cut | cut | left |
//! | hung up | | | hurry | cut | | cut | left |
//! | cut | | | cancel | | | | left |
//! | left | | | cancel | | | | |
//!
//! *drop* forgets the requests in flight without a response, *fail* with an error, and then hurries;
//! *hurry* cancels the handlers and cuts the connection a little later, *cancel* only cancels them.
//! An empty field changes nothing.

/// How far a connection has come. It only ever moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum State {
    /// Requests are taken and answered.
    Open,
    /// No more requests are taken; hangs up once those in flight are answered and sent.
    Draining,
    /// The requests in flight were given up; hangs up once what was written before is sent.
    Closing,
    /// The peer has closed its side; cut once the requests in flight are answered and sent.
    PeerClosed,
    /// Our side is closed too, or alone; waits a little for the peer's.
    HungUp,
    /// Nothing is read or written any more.
    Cut,
    /// The protocol has returned; kept for the handlers that still run.
    Left,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The server stops, or the connection shall end after its requests.
    Drain,
    /// It shall end now.
    Close,
    /// The server's stop has run out of time.
    Abort,
    /// The peer has closed its side.
    PeerClosed,
    /// No request is in flight and nothing waits to be sent.
    Idle,
    /// It broke, the peer broke the rules, or a time-out of ours has passed.
    Failed,
    /// The protocol has returned.
    Served,
}

/// What a transition does, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Drops the requests in flight without a response.
    DropRequests,
    /// Answers the requests in flight with an error.
    FailRequests,
    /// Ends every wait of the handlers with `ECANCELED`.
    CancelHandlers,
    /// Cuts the connection after the time that last answers get to leave.
    CutSoon,
    /// Closes our side, and cuts the connection if the peer does not close its own in time.
    HangUp,
    /// Ends reading and writing, and wakes whoever waits for that.
    Cut,
    /// Forgets the requests and the stream, and leaves the server unless handlers run.
    Leave,
}

impl State {
    /// The next state and what is to be done on the way.
    pub(crate) fn on(self, event: Event) -> (State, &'static [Action]) {
        use Action::*;
        use State::*;
        const FAIL: &[Action] = &[FailRequests, CancelHandlers, CutSoon];
        const HURRY: &[Action] = &[CancelHandlers, CutSoon];
        match (event, self) {
            (Event::Drain, Open) => (Draining, &[]),
            (Event::Close, Open | Draining) => (Closing, &[DropRequests]),
            (Event::Close, PeerClosed) => (PeerClosed, &[DropRequests]),
            (Event::Abort, Open | Draining) => (Closing, FAIL),
            (Event::Abort, PeerClosed) => (PeerClosed, FAIL),
            (Event::Abort, Closing | HungUp) => (self, HURRY),
            (Event::Abort, State::Cut | Left) => (self, &[CancelHandlers]),
            (Event::PeerClosed, Open | Draining | Closing) => (PeerClosed, &[]),
            (Event::PeerClosed, HungUp) => (State::Cut, &[Action::Cut]),
            (Event::Idle, Draining | Closing) => (HungUp, &[HangUp]),
            (Event::Idle, PeerClosed) => (State::Cut, &[Action::Cut]),
            (Event::Failed, Open | Draining | Closing | PeerClosed | HungUp) => {
                (State::Cut, &[Action::Cut])
            }
            (Event::Served, State::Cut) => (Left, &[Leave]),
            (Event::Served, Open | Draining | Closing | PeerClosed | HungUp) => {
                (Left, &[Action::Cut, Leave])
            }
            (Event::Drain | Event::Close | Event::PeerClosed | Event::Idle, _)
            | (Event::Failed, State::Cut | Left)
            | (Event::Served, Left) => (self, &[]),
        }
    }

    /// Whether it ends as soon as it is idle.
    pub(crate) fn awaits_idle(self) -> bool {
        matches!(self, State::Draining | State::Closing | State::PeerClosed)
    }

    /// Whether nobody is likely to read an answer any more.
    pub(crate) fn is_gone(self) -> bool {
        self >= State::Closing
    }

    pub(crate) fn from_u8(number: u8) -> State {
        ALL[usize::from(number).min(ALL.len() - 1)]
    }
}

const ALL: [State; 7] = [
    State::Open,
    State::Draining,
    State::Closing,
    State::PeerClosed,
    State::HungUp,
    State::Cut,
    State::Left,
];

#[cfg(test)]
mod tests {
    use super::Action::*;
    use super::*;

    const EVENTS: [Event; 7] = [
        Event::Drain,
        Event::Close,
        Event::Abort,
        Event::PeerClosed,
        Event::Idle,
        Event::Failed,
        Event::Served,
    ];

    type Next = (State, &'static [Action]);

    /// The whole table, a row for each state and a column for each event, as in the module's doc.
    #[test]
    fn every_state_meets_every_event() {
        use State::*;
        const FAIL: &[Action] = &[FailRequests, CancelHandlers, CutSoon];
        const HURRY: &[Action] = &[CancelHandlers, CutSoon];
        const DROP: &[Action] = &[DropRequests];
        const CANCEL: &[Action] = &[CancelHandlers];
        const CUT: (State, &[Action]) = (State::Cut, &[Action::Cut]);
        const LEAVE: (State, &[Action]) = (Left, &[Action::Cut, Leave]);
        const HANG_UP: (State, &[Action]) = (HungUp, &[HangUp]);
        let same = |state| -> (State, &[Action]) { (state, &[]) };
        let table: [(State, [Next; 7]); 7] = [
            (
                Open,
                [
                    (Draining, &[]),
                    (Closing, DROP),
                    (Closing, FAIL),
                    (PeerClosed, &[]),
                    same(Open),
                    CUT,
                    LEAVE,
                ],
            ),
            (
                Draining,
                [
                    same(Draining),
                    (Closing, DROP),
                    (Closing, FAIL),
                    (PeerClosed, &[]),
                    HANG_UP,
                    CUT,
                    LEAVE,
                ],
            ),
            (
                Closing,
                [
                    same(Closing),
                    same(Closing),
                    (Closing, HURRY),
                    (PeerClosed, &[]),
                    HANG_UP,
                    CUT,
                    LEAVE,
                ],
            ),
            (
                PeerClosed,
                [
                    same(PeerClosed),
                    (PeerClosed, DROP),
                    (PeerClosed, FAIL),
                    same(PeerClosed),
                    CUT,
                    CUT,
                    LEAVE,
                ],
            ),
            (HungUp, [same(HungUp), same(HungUp), (HungUp, HURRY), CUT, same(HungUp), CUT, LEAVE]),
            (
                State::Cut,
                [
                    same(State::Cut),
                    same(State::Cut),
                    (State::Cut, CANCEL),
                    same(State::Cut),
                    same(State::Cut),
                    same(State::Cut),
                    (Left, &[Leave]),
                ],
            ),
            (
                Left,
                [
                    same(Left),
                    same(Left),
                    (Left, CANCEL),
                    same(Left),
                    same(Left),
                    same(Left),
                    same(Left),
                ],
            ),
        ];
        assert_eq!(table.map(|(state, _)| state), ALL);
        for (state, row) in table {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                assert_eq!(state.on(event), expected, "{state:?} on {event:?}");
            }
        }
    }

    #[test]
    fn it_only_moves_forward() {
        for state in ALL {
            for event in EVENTS {
                assert!(state.on(event).0 >= state, "{state:?} on {event:?}");
            }
        }
    }

    /// Whatever happens, in whatever order: cut once and left once, never hung up after that, and
    /// nothing is given up twice.
    #[test]
    fn every_history_ends_in_order() {
        fn walk(state: State, done: &[Action], depth: usize) {
            if depth == 0 {
                let (left, actions) = state.on(Event::Served);
                let all: Vec<Action> = done.iter().chain(actions).copied().collect();
                let count = |action| all.iter().filter(|a| **a == action).count();
                let at = |action| all.iter().position(|a| *a == action);
                assert_eq!(
                    (left, count(Action::Cut), count(Leave)),
                    (State::Left, 1, 1),
                    "{all:?}"
                );
                assert!(count(HangUp) <= 1 && at(HangUp) < at(Action::Cut), "{all:?}");
                assert_eq!(at(Leave).max(at(Action::Cut)), at(Leave), "{all:?}");
                return;
            }
            for event in EVENTS {
                let (next, actions) = state.on(event);
                walk(next, &[done, actions].concat(), depth - 1);
            }
        }
        walk(State::Open, &[], 5);
    }

    #[test]
    fn a_number_names_its_state() {
        for state in ALL {
            assert_eq!(State::from_u8(state as u8), state);
        }
    }
}
