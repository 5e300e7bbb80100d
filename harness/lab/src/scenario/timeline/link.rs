//! Which links of the network a fault is about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::selector::{Facts, Pick, Selector, resolve};

/// Links of the network. Inside one side nothing is touched.
///
/// ```text
/// between: [A, B]      A <-x-> B      both ways
/// from: A, to: B       A --x-> B      what A sends to B; the way back works
/// isolate: A           A <-x-> all    `only: inbound`: what A receives; `only: outbound`: what A sends
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Link {
    /// Both ways between two sides.
    Between {
        /// The two sides.
        between: [Selector; 2],
    },
    /// One way.
    OneWay {
        /// Who sends.
        from: Selector,
        /// Who receives.
        to: Selector,
    },
    /// Between a host and everything else.
    Isolate {
        /// The host or hosts; their links among each other work.
        isolate: Selector,
        /// One direction, seen from the isolated side; without it both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<Direction>,
    },
}

/// A direction, seen from the isolated side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// What it receives.
    Inbound,
    /// What it sends.
    Outbound,
}

/// One directed link between two hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The host that sends.
    pub from: String,
    /// The host that receives.
    pub to: String,
}

impl Link {
    /// Both sides as selectors, the first being what a step's `as` names.
    #[must_use]
    pub fn sides(&self) -> (Selector, Selector) {
        match self {
            Self::Between { between: [a, b] } => (a.clone(), b.clone()),
            Self::OneWay { from, to } => (from.clone(), to.clone()),
            Self::Isolate { isolate, .. } => (isolate.clone(), Selector::Others),
        }
    }

    /// The hosts of both sides. `others` is everything that is not on the other side; a host on both sides (`leader` among
    /// `nodes`) counts for the first only, so that nobody is cut from itself.
    pub fn resolve_sides(&self, facts: &Facts, pick: Pick<'_>) -> (Vec<String>, Vec<String>) {
        let (a, b) = self.sides();
        let (first, mut second) = if a == Selector::Others {
            let second = resolve(&b, facts, pick);
            (facts.all_except(&second), second)
        } else {
            let first = resolve(&a, facts, pick);
            let second = if b == Selector::Others { facts.all_except(&first) } else { resolve(&b, facts, pick) };
            (first, second)
        };
        second.retain(|host| !first.contains(host));
        (first, second)
    }

    /// Every directed link, ascending; empty when a side matched nobody.
    pub fn routes(&self, facts: &Facts, pick: Pick<'_>) -> Vec<Route> {
        let (first, second) = self.resolve_sides(facts, pick);
        let (out, back) = match self {
            Self::Between { .. } | Self::Isolate { only: None, .. } => (true, true),
            Self::OneWay { .. } | Self::Isolate { only: Some(Direction::Outbound), .. } => (true, false),
            Self::Isolate { only: Some(Direction::Inbound), .. } => (false, true),
        };
        let mut routes = Vec::new();
        for a in &first {
            for b in &second {
                if out {
                    routes.push(Route { from: a.clone(), to: b.clone() });
                }
                if back {
                    routes.push(Route { from: b.clone(), to: a.clone() });
                }
            }
        }
        routes.sort();
        routes
    }
}
