//! What a run is judged by: the cluster's settings and the scenario's expectations.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scenario::{End, Expect, Scenario, Step, SynchronousMode, Tags, WatchdogMode};

/// What a run is judged by. [`Rules::default`] is Patroni's default configuration (Patroni's documentation, "Dynamic
/// Configuration Settings") on three nodes `pg1` to `pg3`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The names of the PostgreSQL nodes.
    pub nodes: Vec<String>,
    /// `ttl`.
    pub ttl: Duration,
    /// `loop_wait`.
    pub loop_wait: Duration,
    /// `retry_timeout`.
    pub retry_timeout: Duration,
    /// `primary_start_timeout`.
    pub primary_start_timeout: Duration,
    /// `maximum_lag_on_failover` in bytes.
    pub maximum_lag_on_failover: u64,
    /// `check_timeline`.
    pub check_timeline: bool,
    /// `synchronous_mode`.
    pub synchronous_mode: SynchronousMode,
    /// `synchronous_mode_strict`.
    pub synchronous_mode_strict: bool,
    /// `postgresql.parameters`, as the operator has them at the start.
    pub parameters: Map<String, Value>,
    /// `failsafe_mode`.
    pub failsafe_mode: bool,
    /// The cluster begins as a standby cluster, which follows [`REMOTE`](crate::world::REMOTE).
    pub standby_cluster: bool,
    /// `postgresql.use_slots`.
    pub use_slots: bool,
    /// `member_slots_ttl`.
    pub member_slots_ttl: Duration,
    /// Permanent replication slots of the dynamic configuration.
    pub permanent_slots: BTreeSet<String>,
    /// `watchdog.mode`.
    pub watchdog: WatchdogMode,
    /// Tags by node; nodes without tags may be left out.
    pub tags: BTreeMap<String, Tags>,
    /// How late a DCS change may be recorded after it happened: a watch needs a moment, a real one more than a simulated.
    pub observation_slack: Duration,
    /// How long a node may acknowledge writes after its leader key has gone; `None` for the default, see
    /// [`Rules::fencing_margin`].
    pub fencing_margin: Option<Duration>,
    /// How long the cluster has to get well after the last fault; `None` for the default, see [`Rules::recovery_bound`].
    pub recovery_bound: Option<Duration>,
    /// The scenario's expectations. Of violations that it shows, every run must have each, and no others.
    pub expect: Expect,
    /// Positions in the timeline of the operator actions that must be refused.
    pub refused: BTreeSet<usize>,
    /// Positions in the timeline of what may keep an agent from acting in ways that cannot be seen from outside: faults of the
    /// network, of clocks and disks, frozen processes.
    pub hindering: BTreeSet<usize>,
    /// Positions in the timeline of what is done once and does not last: operator actions, starts, ends of other steps.
    pub momentary: BTreeSet<usize>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            nodes: ["pg1", "pg2", "pg3"].map(str::to_owned).to_vec(),
            ttl: Duration::from_secs(30),
            loop_wait: Duration::from_secs(10),
            retry_timeout: Duration::from_secs(10),
            primary_start_timeout: Duration::from_secs(300),
            maximum_lag_on_failover: 1_048_576,
            check_timeline: false,
            synchronous_mode: SynchronousMode::Off,
            synchronous_mode_strict: false,
            parameters: Map::new(),
            failsafe_mode: false,
            standby_cluster: false,
            use_slots: true,
            member_slots_ttl: Duration::from_secs(30 * 60),
            permanent_slots: BTreeSet::new(),
            watchdog: WatchdogMode::Off,
            tags: BTreeMap::new(),
            observation_slack: Duration::from_secs(1),
            fencing_margin: None,
            recovery_bound: None,
            expect: Expect::default(),
            refused: BTreeSet::new(),
            hindering: BTreeSet::new(),
            momentary: BTreeSet::new(),
        }
    }
}

impl Rules {
    /// How long a node may go on acknowledging writes after its leader key has gone.
    ///
    /// An agent that works gives up its primary before the key can expire (`loop_wait + 2 * retry_timeout <= ttl` leaves
    /// the time for that). What remains is a node that was held up as a whole and goes on where it stopped: its agent
    /// notices with the next turn of its loop, so the default is one `loop_wait`. A required watchdog has reset such a node
    /// before the key expires, so then only the observation's own slack is allowed. Everything comes on top of `ttl`: the
    /// margin counts from the moment at which the key was seen gone.
    #[must_use]
    pub fn fencing_margin(&self) -> Duration {
        self.fencing_margin.unwrap_or(match self.watchdog {
            WatchdogMode::Required => self.observation_slack,
            WatchdogMode::Off | WatchdogMode::Automatic => self.loop_wait + self.observation_slack,
        })
    }

    /// How long the cluster has to get well after the last fault.
    ///
    /// The last fault may have taken the leader the moment after it renewed: `ttl` until the key expires, a turn of the
    /// loop until a replica sees it, one to promote, and `retry_timeout` for requests on their way into nothing. Whoever
    /// came down then needs turns to find its new leader, rewind, and start: two more, and a `ttl` for what clients and
    /// walreceivers take to notice dead connections.
    #[must_use]
    pub fn recovery_bound(&self) -> Duration {
        self.recovery_bound.unwrap_or(self.ttl * 2 + self.loop_wait * 4 + self.retry_timeout * 2)
    }

    /// How long the cluster may be without a leader although a node may lead, and how long a leader may take to carry out a request
    /// or to refuse it.
    ///
    /// A turn of the loop passes until the node looks, its read of the DCS takes up to `retry_timeout`, its questions to the
    /// others 2 s; a lost or undecided race costs one more turn. In failsafe mode the word that was given to a leader without
    /// DCS holds for `ttl`.
    #[must_use]
    pub fn election_bound(&self) -> Duration {
        let word = if self.failsafe_mode { self.ttl } else { Duration::ZERO };
        self.loop_wait * 2 + self.retry_timeout + Duration::from_secs(2) + word + self.observation_slack
    }

    /// How the run is expected to end: healthy unless the scenario says otherwise.
    #[must_use]
    pub fn expected_end(&self) -> End {
        self.expect.end.unwrap_or(End::Healthy)
    }

    /// A node's tags.
    #[must_use]
    pub fn tags_of(&self, node: &str) -> Tags {
        self.tags.get(node).cloned().unwrap_or_default()
    }
}

/// The positions of some steps in the timeline.
fn positions(scenario: &Scenario, which: impl Fn(&Step) -> bool) -> BTreeSet<usize> {
    scenario.timeline.iter().enumerate().filter(|(_, step)| which(step)).map(|(position, _)| position).collect()
}

/// What a scenario's runs are judged by.
impl From<&Scenario> for Rules {
    fn from(scenario: &Scenario) -> Self {
        let (cluster, patroni) = (&scenario.cluster, &scenario.cluster.patroni);
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        // Times that break Patroni's rule are judged as what Patroni makes of them.
        let timing = patroni.timing().adjusted();
        let nodes = cluster.node_names();
        Self {
            tags: nodes.iter().map(|node| (node.clone(), cluster.tags_of(node))).collect(),
            nodes,
            ttl: seconds(timing.ttl),
            loop_wait: seconds(timing.loop_wait),
            retry_timeout: seconds(timing.retry_timeout),
            primary_start_timeout: seconds(patroni.primary_start_timeout),
            maximum_lag_on_failover: patroni.maximum_lag_on_failover,
            check_timeline: patroni.check_timeline,
            // A standby cluster is never synchronous, whatever its settings say (documentation "Standby cluster").
            synchronous_mode: match patroni.standby_cluster {
                Some(_) => SynchronousMode::Off,
                None => patroni.synchronous_mode,
            },
            synchronous_mode_strict: patroni.synchronous_mode_strict,
            parameters: patroni.postgresql.parameters.clone(),
            failsafe_mode: patroni.failsafe_mode,
            standby_cluster: patroni.standby_cluster.is_some(),
            use_slots: patroni.postgresql.use_slots,
            member_slots_ttl: seconds(patroni.member_slots_ttl),
            permanent_slots: patroni.slots.keys().cloned().collect(),
            watchdog: cluster.watchdog_mode(),
            expect: scenario.expect.clone(),
            refused: positions(scenario, |step| step.refused),
            hindering: positions(scenario, |step| step.action.hinders_unseen()),
            momentary: positions(scenario, |step| !step.action.is_reversible()),
            ..Self::default()
        }
    }
}
