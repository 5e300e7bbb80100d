//! The timeline of a run as a person follows it in a terminal: an overview with one lane per node from left to right, then
//! the important events from top to bottom with the state of every node beside them.

mod clients;
mod faults;
mod lines;
mod lock;
pub(crate) mod names;
mod overview;
mod rows;
mod state;
pub(crate) mod words;

use pgdrill_lab::{event::Event, figures::Outage};

use crate::palette::{self, paint};
use clients::Clients;

/// How much of a run the timeline tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Faults, processes, the leader lock, roles and outages (`-v`).
    Changes,
    /// And why the agents did what they did (`-vv`).
    Decisions,
    /// Every event (`-vvv`).
    Everything,
}

impl Detail {
    /// From the number of `-v` on the command line; `None` for 0: no timeline.
    #[must_use]
    pub fn from_count(count: u8) -> Option<Self> {
        match count {
            0 => None,
            1 => Some(Self::Changes),
            2 => Some(Self::Decisions),
            _ => Some(Self::Everything),
        }
    }
}

/// Draws the timeline of the events for a terminal of `width` columns, with the outages that were measured.
#[must_use]
pub fn timeline(events: &[Event], outages: &[Outage], detail: Detail, width: usize) -> String {
    if events.is_empty() {
        return "nothing was recorded\n".to_owned();
    }
    let clients = Clients::of(events, outages);
    let mut out = overview::draw(events, &clients, width);
    out.push('\n');
    out.push_str(&rows::draw(events, &clients, detail, width));
    out.push_str(&legend(&clients, width));
    out
}

/// What the letters mean.
fn legend(clients: &Clients, width: usize) -> String {
    let mut signs = vec![
        "P primary",
        "r replica, streaming",
        "s standby, not streaming",
        "? up, no answer",
        ". down",
        "F frozen",
        "* holds the leader lock",
        "! its agent does not run",
        "A, B, C faults of the timeline in order",
    ];
    if clients.any() {
        signs.extend(["acks: acknowledged writes (above: relative to the most)", "× none during an outage"]);
    }
    let mut lines = vec![String::new()];
    for sign in signs {
        // Signs are not torn apart at the end of a line.
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(sign),
            Some(line) if line.chars().count() + 2 + sign.chars().count() <= width => {
                line.push_str("  ");
                line.push_str(sign);
            }
            _ => lines.push(sign.to_owned()),
        }
    }
    lines.iter().map(|line| format!("{}\n", paint(palette::QUIET, line))).collect()
}
