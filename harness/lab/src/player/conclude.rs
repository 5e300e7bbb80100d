//! What comes when: the timeline, then its clients end, then the end is read, then everything is undone so that the rows of every
//! node can be read.

use super::{Act, At, Do, Line, Player, moment::Moment, nanos};
use crate::{event::What, scenario::Span, world::LAB};

/// How far the run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Lines are carried out until the scenario's time is up.
    Timeline,
    /// Operations under way come to their end.
    Settling,
    /// The end is read; nothing comes after.
    Ending,
}

impl Player {
    /// What comes next, once everything that was to be done has been done; `None`: something is to be done again.
    pub(super) fn advance(&mut self, now: At) -> Option<Do> {
        if self.boot_due(now) {
            return None;
        }
        let next = match (self.stage, self.moments.front()) {
            (Stage::Ending, _) => return Some(Do::Over),
            (Stage::Timeline, Some(moment)) => moment.at,
            (Stage::Timeline, None) => self.scenario.duration,
            (Stage::Settling, _) => self.scenario.until_all_is_answered(),
        };
        let next = moment_of(next);
        if now < next {
            let boots = self.booting.iter().map(|(at, _)| *at);
            return Some(Do::Until(boots.fold(next, At::min)));
        }
        match (self.stage, self.moments.pop_front()) {
            (Stage::Timeline, Some(moment)) => self.carry_out(moment),
            (Stage::Timeline, None) => {
                self.stage = Stage::Settling;
                self.act(Act::StopClients, |_, _, _| {});
            }
            (Stage::Settling | Stage::Ending, _) => {
                self.stage = Stage::Ending;
                self.conclude();
            }
        }
        None
    }

    /// Machines that were reset and have come up; whether there is one.
    fn boot_due(&mut self, now: At) -> bool {
        let (ready, booting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.booting).into_iter().partition(|b| b.0 <= now);
        self.booting = booting;
        let hosts: Vec<String> = ready.into_iter().map(|(_, host)| host).collect();
        let any = !hosts.is_empty();
        if any {
            self.act(Act::PowerOn { hosts }, |_, _, _| {});
        }
        any
    }

    fn carry_out(&mut self, moment: Moment) {
        let line = Line { index: moment.index, repetition: moment.repetition };
        let action = &self.scenario.timeline[line.index].action;
        if moment.begins {
            self.doing = Some(action.to_string());
            self.begin(line);
        } else {
            self.doing = Some(format!("the end of {action}"));
            let over = self.ledger.take_of(line);
            self.end(over);
        }
    }

    /// The scenario is over: says of every fault that still stands whether it has had its effect, and of what was asked of the
    /// cluster whether it came about. Then everything is ended, which is no part of the run: nobody observes any more.
    fn conclude(&mut self) {
        for fault in self.ledger.standing().to_vec() {
            self.conclude_fault(fault);
        }
        self.then(|player, now| {
            for pending in std::mem::take(&mut player.pending) {
                if let Some((index, phase)) = pending.late(&player.recorder) {
                    player.say(now, Line { index, repetition: 0 }, phase, &[]);
                }
            }
        });
        self.act(Act::ReadEnd, |_, _, _| {});
        self.act(Act::StopObserving, |_, _, _| {});
        self.then(|player, _| {
            let hosts: Vec<String> = std::mem::take(&mut player.booting).into_iter().map(|(_, host)| host).collect();
            if !hosts.is_empty() {
                player.act(Act::PowerOn { hosts }, |_, _, _| {});
            }
            let all = player.ledger.take_where(|_| true);
            if !all.is_empty() {
                all.into_iter().for_each(|fault| player.undo(fault));
                player.then(|player, now| {
                    let text = "the scenario is over; every fault is ended so that the rows of all nodes can be read";
                    player.recorder.record(now, LAB, What::Note { text: text.to_owned() });
                });
            }
        });
        self.act(Act::ReadRows, |_, _, _| {});
    }
}

fn moment_of(span: Span) -> At {
    At(nanos(span.0))
}
