//! The timeline: what is done to the cluster, and when.

mod action;
mod display;
mod link;

pub use action::{
    Action, BandwidthSpec, ClusterWord, DelaySpec, EtcdWord, FreezeSpec, HealSpec, LossSpec, OnProcess, StartSpec,
    SwitchoverSpec,
};
pub use link::{Direction, Link, Route};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quantity::Span;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When, counted from the moment when the cluster was first up: a leader, and every other node streaming from it.
    pub at: Span,
    /// What is done. Its selectors are resolved when it fires.
    #[serde(flatten)]
    pub action: Action,
    /// A name for what the action's selector was resolved to, for later selectors and `heal`. Of a link it is the first side
    /// (`between[0]`, `from`, `isolate`). A repeated step binds it anew each time.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Ends by itself after so long. Only on what lasts and can be undone: see [`Action::is_reversible`].
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Only of operator actions: whether it must be refused. A refusal that is not expected fails the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Done again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
}

/// How a step is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// From one start to the next; longer than the step's `for`.
    pub every: Span,
    /// How often in all, the first one included; at least 2.
    pub times: u32,
}

impl Step {
    /// A step that is done once.
    #[must_use]
    pub const fn new(at: Span, action: Action) -> Self {
        Self { at, action, label: None, duration: None, refused: false, repeat: None }
    }

    /// Every moment at which it starts, ascending.
    pub fn starts(&self) -> impl Iterator<Item = Span> + '_ {
        let (every, times) = self.repeat.map_or((Span::ZERO, 1), |repeat| (repeat.every, repeat.times));
        (0..times).map(move |n| Span(self.at.0.saturating_add(every.0.saturating_mul(n))))
    }

    /// When the last of it is over: the last start, or the end of its `for`.
    #[must_use]
    pub fn ends(&self) -> Span {
        let last = self.starts().last().unwrap_or(self.at);
        Span(last.0.saturating_add(self.duration.unwrap_or_default().0))
    }
}
