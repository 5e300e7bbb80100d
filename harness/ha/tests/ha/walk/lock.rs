//! The lock, as the agent's `dcs::lock` asks for it: keep the lease alive, or have one granted, and only then take the lock or look
//! whether it is still ours. The end of the leadership counts from before the first of these requests.

use std::time::Duration;

use pgdrill_ha::records::StatusRecord;
use pgdrill_ha::view::LockOutcome;

use super::act::{Doing, Progress};
use super::dcs::{Answer, Request};
use super::world::World;
use super::{RETRY_TIMEOUT, TTL};

/// How far a request for the lock is: each is one request to etcd.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    Lease,
    Take,
    Verify,
    Rebind,
}

impl World {
    pub fn ask_for_lock(&mut self, n: usize, acquire: bool, status: Option<StatusRecord>) -> Progress {
        let requested_at = self.nodes[n].clock(self.now);
        let request = self.nodes[n].lease.map_or(Request::Grant, Request::KeepAlive);
        let id = self.send(n, request);
        let until = self.now + RETRY_TIMEOUT;
        Progress::Goes(Doing::Lock { acquire, status, requested_at, stage: Stage::Lease, id, until })
    }

    pub fn look_after_lock(&mut self, n: usize, doing: Doing) -> Progress {
        let Doing::Lock { acquire, status, requested_at, stage, id, until } = doing else { unreachable!("a lock") };
        let Some(answer) = self.answers.remove(&id) else {
            if self.now < until {
                return Progress::Waits(Doing::Lock { acquire, status, requested_at, stage, id, until });
            }
            self.give_up(id);
            return self.lock_outcome(n, LockOutcome::Unknown { reason: "no answer in time".into() });
        };
        let next = |world: &mut World, stage, request| {
            let id = world.send(n, request);
            let (status, until) = (status.clone(), world.now + RETRY_TIMEOUT);
            Progress::Goes(Doing::Lock { acquire, status, requested_at, stage, id, until })
        };
        let held =
            |status_revision| LockOutcome::Held { requested_at, ttl: Duration::from_millis(TTL), status_revision };
        let ours = self.nodes[n].lease;
        let outcome = match (stage, answer) {
            (Stage::Lease, Answer::Granted(lease)) => {
                self.nodes[n].lease = Some(lease);
                return match acquire {
                    true => next(self, Stage::Take, Request::Acquire { lease, status: status.clone().unwrap() }),
                    false => next(self, Stage::Rebind, Request::Rebind { lease, status: status.clone() }),
                };
            }
            (Stage::Lease, Answer::Alive(true)) => {
                let lease = ours.expect("what is kept alive is ours");
                return match acquire {
                    true => next(self, Stage::Take, Request::Acquire { lease, status: status.clone().unwrap() }),
                    false if self.nodes[n].may_be_released() => {
                        next(self, Stage::Rebind, Request::Rebind { lease, status: status.clone() })
                    }
                    false => next(self, Stage::Verify, Request::Verify { lease, status: status.clone() }),
                };
            }
            (Stage::Lease, _) => {
                self.nodes[n].lease = None;
                return next(self, Stage::Lease, Request::Grant);
            }
            (_, Answer::Done(revision)) => {
                if stage != Stage::Verify {
                    self.nodes[n].lock_revision = revision;
                }
                held(status.as_ref().map(|_| revision))
            }
            (Stage::Take, Answer::Ours { lease, status, .. })
                if ours == Some(lease) && !self.nodes[n].may_be_released() =>
            {
                held(Some(status))
            }
            (Stage::Verify, Answer::Ours { .. }) => {
                let lease = ours.expect("it was kept alive");
                return next(self, Stage::Rebind, Request::Rebind { lease, status: status.clone() });
            }
            (_, Answer::Refused) => {
                self.nodes[n].lease = None;
                LockOutcome::Lost
            }
            _ => LockOutcome::Lost,
        };
        self.lock_outcome(n, outcome)
    }

    fn lock_outcome(&mut self, n: usize, outcome: LockOutcome) -> Progress {
        let held = matches!(outcome, LockOutcome::Held { .. });
        self.nodes[n].round.lock = Some(outcome);
        if held { Progress::Done } else { Progress::Ends }
    }
}
