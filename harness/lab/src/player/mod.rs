//! The player: what a scenario means, written once and without IO. A world asks what is to be done, does it, and says what came
//! of it; it decides nothing.
//!
//! ```text
//! world                               player
//! poll(now)  ───────────────────────> Do::Until(moment) | Do::Act(act) | Do::Over
//!   waits until then, or does the act
//! done(now, evidence)  ─────────────>
//! ```
//!
//! | look in | for |
//! |---|---|
//! | `act` | what a world can be asked for, and what it says of it |
//! | `moment` | the order of the timeline |
//! | `begin` | what each line of the timeline means |
//! | `end` | how a fault ends: whether it had its effect, and how it is undone |
//! | `conclude` | what comes after the timeline |
//! | `operator`, `reply` | orders, and answers that come later |
//! | `ledger`, `standing`, `overlap` | what is wrong at present, and what several faults of one kind amount to |
//! | `pending` | what shows its effect only later |
//! | `pick` | the draws of `any replica` |
//! | `words` | how evidence is put |

mod act;
mod begin;
mod conclude;
mod end;
mod ledger;
mod moment;
mod operator;
mod overlap;
mod pending;
mod pick;
mod reply;
mod standing;
#[cfg(test)]
mod tests;
mod words;

use std::{collections::VecDeque, sync::Arc, time::Duration};

pub use act::{Act, Evidence, LinkState, Order, Seen};
use conclude::Stage;
use ledger::Ledger;
pub use ledger::Line;
use moment::{Moment, moments};
use pending::Pending;
pub use reply::Reply;
pub use standing::{Kind, Lateness, Standing};

use crate::{
    event::{At, FaultPhase, Recorder, What},
    scenario::{Facts, Scenario, Step},
    world::{self, LAB},
};

/// What a world does next.
#[derive(Debug)]
pub enum Do {
    /// This, and tells [`Player::done`] what came of it.
    Act(Act),
    /// Nothing until this moment. A world that notices a watchdog device going off on the way says so
    /// ([`Player::watchdog_went_off`]) and asks again at once.
    Until(At),
    /// Nothing any more: the run is over.
    Over,
}

/// What follows from what came of an act.
type Then = Box<dyn FnOnce(&mut Player, At, Evidence) + Send>;

/// What the player itself does.
type Next = Box<dyn FnOnce(&mut Player, At) + Send>;

/// What is to be done, in order.
enum Todo {
    /// An act of the world.
    Act(Act, Then),
    /// What the player itself does, once everything before has come about.
    Next(Next),
}

/// A scenario as it is played.
pub struct Player {
    scenario: Arc<Scenario>,
    recorder: Recorder,
    ledger: Ledger,
    /// Faults whose effect shows later.
    pending: Vec<Pending>,
    moments: VecDeque<Moment>,
    todo: VecDeque<Todo>,
    /// What follows from the act that the world is at.
    then: Option<Then>,
    stage: Stage,
    /// Machines that their watchdog has reset, and when they will have booted.
    booting: Vec<(At, String)>,
    boot: Duration,
    /// The line that is carried out, in words.
    doing: Option<String>,
}

impl Player {
    /// A run that has not begun. What the player has to say goes to `recorder`, from which it also learns what was observed. The
    /// seed decides which replica `any replica` is; `boot` is how long a machine that its watchdog has reset takes until its
    /// services are started.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, recorder: Recorder, seed: u64, boot: Duration) -> Self {
        Self {
            recorder,
            ledger: Ledger::new(seed),
            pending: vec![],
            moments: moments(&scenario).into(),
            todo: VecDeque::new(),
            then: None,
            stage: Stage::Timeline,
            booting: vec![],
            boot,
            doing: None,
            scenario,
        }
    }

    /// What is to be done now. Time is the scenario's own, from the moment when its cluster was up.
    pub fn poll(&mut self, now: At) -> Do {
        loop {
            match self.todo.pop_front() {
                Some(Todo::Act(act, then)) => {
                    self.then = Some(then);
                    return Do::Act(act);
                }
                Some(Todo::Next(next)) => self.first(|player| next(player, now)),
                None => {
                    if let Some(next) = self.advance(now) {
                        return next;
                    }
                }
            }
        }
    }

    /// What came of the act that was asked for last.
    pub fn done(&mut self, now: At, evidence: Evidence) {
        if let Some(then) = self.then.take() {
            self.first(|player| then(player, now, evidence));
        }
    }

    /// The watchdog device of a node has gone off: its machine is reset, and boots some time later.
    pub fn watchdog_went_off(&mut self, now: At, node: &str) {
        self.recorder.record(now, node, What::Note { text: "the watchdog resets the machine".to_owned() });
        let host = node.to_owned();
        self.act(Act::PowerOff { hosts: vec![host.clone()] }, move |player, now, evidence| {
            player.ledger.was_reset(&host);
            // A machine without power boots when it gets some.
            if !evidence.hosts().is_empty() {
                player.booting.push((At(now.0.saturating_add(nanos(player.boot))), host));
            }
        });
    }

    /// Which line is carried out, or was last: `cut leader <-> etcd`, `the end of freeze pg1`.
    #[must_use]
    pub fn doing(&self) -> Option<&str> {
        self.doing.as_deref()
    }

    /// Does something whose consequences come before everything that is already to be done.
    fn first(&mut self, what: impl FnOnce(&mut Self)) {
        let later = std::mem::take(&mut self.todo);
        what(self);
        self.todo.extend(later);
    }

    /// Asks the world for an act, in its turn.
    fn act(&mut self, act: Act, then: impl FnOnce(&mut Self, At, Evidence) + Send + 'static) {
        self.todo.push_back(Todo::Act(act, Box::new(then)));
    }

    /// Does something in its turn.
    fn then(&mut self, next: impl FnOnce(&mut Self, At) + Send + 'static) {
        self.todo.push_back(Todo::Next(Box::new(next)));
    }

    /// What a line says.
    fn step(&self, line: Line) -> Step {
        self.scenario.timeline[line.index].clone()
    }

    /// What is known of the cluster at this moment.
    fn facts(&self, seen: &Seen) -> Facts {
        let up = |node: &str| seen.up.contains(node);
        world::facts(&self.scenario, &self.recorder, self.ledger.labels(), up, seen.etcd_leader.clone())
    }

    /// Writes how far a line has come into the event stream.
    fn say(&self, now: At, line: Line, phase: FaultPhase, targets: &[String]) {
        let text = self.scenario.timeline[line.index].action.to_string();
        let what = What::Fault { index: line.index, text, phase, targets: targets.to_vec() };
        self.recorder.record(now, LAB, what);
    }

    /// Remembers a fault that lasts.
    fn stand(&mut self, now: At, line: Line, kind: Kind, mark: u64, verified: bool) {
        let label = self.scenario.timeline[line.index].label.clone();
        self.ledger.stand(Standing { line, kind, label, since: now, verified, mark });
    }
}

/// As events count time.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
