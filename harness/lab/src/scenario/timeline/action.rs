//! What can be done to a cluster: faults, their ends, and what an operator does. Each is a mechanism, not an intention.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Link;
use crate::scenario::{
    cluster::Process,
    quantity::{ClockRate, Shift, Span, Throughput},
    selector::Selector,
};

/// One action; in the file the field's name is the action: `cut: { between: [leader, etcd] }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing passes. Packets in flight are lost too; TCP retransmits until the link works again.
    Cut(Link),
    /// Ends faults of the network.
    Heal(HealSpec),
    /// Packets take longer.
    Delay(DelaySpec),
    /// Packets are lost at random; TCP retransmits them.
    Loss(LossSpec),
    /// Only so much passes in a second; the rest waits its turn.
    Bandwidth(BandwidthSpec),
    /// SIGKILL. It stays dead until `start`; a PostgreSQL is restarted by its agent as the agent sees fit.
    Kill(OnProcess),
    /// SIGTERM: as an operator stops the service. An agent stops its PostgreSQL too.
    Stop(OnProcess),
    /// Starts what was killed or stopped.
    Start(StartSpec),
    /// The host loses power: nothing leaves it any more, what was not fsync'd is gone.
    PowerOff(Selector),
    /// The host boots: its services start.
    PowerOn(Selector),
    /// SIGSTOP of one process, or of the whole host (a suspended virtual machine). Packets queue.
    Freeze(FreezeSpec),
    /// SIGCONT: what was due meanwhile happens at once.
    Thaw(FreezeSpec),
    /// Sets the wall clock; the monotonic clock goes on as before.
    ClockStep {
        /// Whose.
        on: Selector,
        /// How far.
        by: Shift,
    },
    /// Both clocks of a host run fast or slow.
    ClockDrift {
        /// Whose.
        on: Selector,
        /// How fast.
        rate: ClockRate,
    },
    /// No byte can be written any more: PostgreSQL panics when it needs to extend the WAL.
    DiskFull {
        /// Whose.
        on: Selector,
    },
    /// There is space again.
    DiskFree {
        /// Whose.
        on: Selector,
    },
    /// Every fsync takes longer.
    SlowFsync {
        /// Whose.
        on: Selector,
        /// By this.
        delay: Span,
    },
    /// `pg_wal_replay_pause()`: a standby receives WAL and does not apply it.
    ReplayPause {
        /// Whose.
        on: Selector,
    },
    /// `pg_wal_replay_resume()`.
    ReplayResume {
        /// Whose.
        on: Selector,
    },
    /// Names are no longer resolved; open connections go on.
    DnsFail {
        /// On which hosts.
        on: Selector,
    },
    /// Compacts etcd's history up to the current revision: watches that lag behind it are cancelled.
    Compact(EtcdWord),
    /// `patronictl switchover`.
    Switchover(SwitchoverSpec),
    /// `patronictl failover`.
    Failover {
        /// Who is to lead.
        candidate: Selector,
    },
    /// `patronictl restart`: of PostgreSQL, by its agent.
    Restart {
        /// Whose.
        on: Selector,
    },
    /// `patronictl reinit`: the data directory is removed and copied from the leader again.
    Reinitialize {
        /// Whose.
        on: Selector,
    },
    /// `patronictl pause`: maintenance mode.
    Pause(ClusterWord),
    /// `patronictl resume`.
    Resume(ClusterWord),
    /// `patronictl edit-config`: changes the given dynamic settings; `null` removes one.
    EditConfig(Map<String, Value>),
}

/// Says that an action is about the whole cluster: `pause: cluster`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterWord {
    /// The whole cluster.
    Cluster,
}

/// Says that an action is about etcd as a whole: `compact: etcd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EtcdWord {
    /// The etcd cluster.
    Etcd,
}

/// Which faults of the network end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HealSpec {
    /// `heal: all` ends every cut, delay, loss and failure of DNS; `heal: LABEL` what the step with that label did. It starts,
    /// thaws and powers on nothing.
    Named(String),
    /// Every cut, delay and loss on these links.
    Links(Link),
}

/// Packets take longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DelaySpec {
    /// Where.
    #[serde(flatten)]
    pub link: Link,
    /// By how much, each way that is affected.
    pub add: Span,
    /// And up to so much more, drawn evenly for each packet. Packets of a connection stay in order.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter: Span,
}

fn is_zero(span: &Span) -> bool {
    *span == Span::ZERO
}

/// Packets are lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LossSpec {
    /// Where.
    #[serde(flatten)]
    pub link: Link,
    /// Of each packet, more than 0 and at most 1.
    pub probability: f64,
}

/// Only so much passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BandwidthSpec {
    /// Where; each direction of each link by itself.
    #[serde(flatten)]
    pub link: Link,
    /// How much.
    pub rate: Throughput,
}

/// A process of some hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnProcess {
    /// Which.
    pub process: Process,
    /// Whose.
    pub on: Selector,
}

/// What is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSpec {
    /// Which.
    pub process: Process,
    /// Whose.
    pub on: Selector,
    /// With an empty data directory: the disk was replaced. An etcd member is removed and added anew, as its manual says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wipe: bool,
}

/// What is frozen or thawed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeSpec {
    /// Which process; without it the whole host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Whose.
    pub on: Selector,
}

/// `patronictl switchover`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchoverSpec {
    /// The leader, as the operator names it; without it whoever leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<Selector>,
    /// Who is to lead; without it Patroni chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Selector>,
    /// Scheduled for so much later (`--scheduled`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
}

impl Action {
    /// Whether it lasts and can be undone, so that `for` makes sense: faults of network, clock rate and disk, freeze, kill and
    /// stop, power off, replay pause and maintenance mode. A killed PostgreSQL or dead-man process is not among them: its agent starts it again.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        match self {
            Self::Kill(on) | Self::Stop(on) => !on.process.is_started_by_its_agent(),
            Self::Cut(_) | Self::Delay(_) | Self::Loss(_) | Self::Bandwidth(_) => true,
            Self::PowerOff(_) | Self::Freeze(_) => true,
            Self::ClockDrift { .. } | Self::DiskFull { .. } | Self::SlowFsync { .. } => true,
            Self::ReplayPause { .. } | Self::DnsFail { .. } | Self::Pause(_) => true,
            _ => false,
        }
    }

    /// Whether it may keep an agent from acting while nothing can be seen of it from outside, other than an end of a process or of a
    /// host.
    #[must_use]
    pub const fn hinders_unseen(&self) -> bool {
        matches!(
            self,
            Self::Cut(_)
                | Self::Delay(_)
                | Self::Loss(_)
                | Self::Bandwidth(_)
                | Self::DnsFail { .. }
                | Self::Freeze(_)
                | Self::ClockDrift { .. }
                | Self::DiskFull { .. }
                | Self::SlowFsync { .. }
        )
    }

    /// Whether an operator asks for it through Patroni, which can refuse.
    #[must_use]
    pub const fn is_operator_action(&self) -> bool {
        matches!(
            self,
            Self::Switchover(_)
                | Self::Failover { .. }
                | Self::Restart { .. }
                | Self::Reinitialize { .. }
                | Self::Pause(_)
                | Self::Resume(_)
                | Self::EditConfig(_)
        )
    }

    /// What the step's `as` names: the target, or of a link the first side.
    #[must_use]
    pub fn target(&self) -> Option<Selector> {
        match self {
            Self::Cut(link) | Self::Heal(HealSpec::Links(link)) => Some(link.sides().0),
            Self::Delay(delay) => Some(delay.link.sides().0),
            Self::Loss(loss) => Some(loss.link.sides().0),
            Self::Bandwidth(narrow) => Some(narrow.link.sides().0),
            Self::Kill(spec) | Self::Stop(spec) => Some(spec.on.clone()),
            Self::Start(spec) => Some(spec.on.clone()),
            Self::Freeze(spec) | Self::Thaw(spec) => Some(spec.on.clone()),
            Self::PowerOff(on) | Self::PowerOn(on) => Some(on.clone()),
            Self::ClockStep { on, .. } | Self::ClockDrift { on, .. } | Self::SlowFsync { on, .. } => Some(on.clone()),
            Self::DiskFull { on } | Self::DiskFree { on } | Self::DnsFail { on } => Some(on.clone()),
            Self::ReplayPause { on } | Self::ReplayResume { on } => Some(on.clone()),
            Self::Restart { on } | Self::Reinitialize { on } => Some(on.clone()),
            Self::Failover { candidate } => Some(candidate.clone()),
            Self::Switchover(spec) => spec.candidate.clone().or_else(|| spec.leader.clone()),
            Self::Heal(HealSpec::Named(_)) | Self::Compact(_) | Self::EditConfig(_) => None,
            Self::Pause(_) | Self::Resume(_) => None,
        }
    }

    /// The field's name in the file: `clock_step`.
    #[must_use]
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Cut(_) => "cut",
            Self::Heal(_) => "heal",
            Self::Delay(_) => "delay",
            Self::Loss(_) => "loss",
            Self::Bandwidth(_) => "bandwidth",
            Self::Kill(_) => "kill",
            Self::Stop(_) => "stop",
            Self::Start(_) => "start",
            Self::PowerOff(_) => "power_off",
            Self::PowerOn(_) => "power_on",
            Self::Freeze(_) => "freeze",
            Self::Thaw(_) => "thaw",
            Self::ClockStep { .. } => "clock_step",
            Self::ClockDrift { .. } => "clock_drift",
            Self::DiskFull { .. } => "disk_full",
            Self::DiskFree { .. } => "disk_free",
            Self::SlowFsync { .. } => "slow_fsync",
            Self::ReplayPause { .. } => "replay_pause",
            Self::ReplayResume { .. } => "replay_resume",
            Self::DnsFail { .. } => "dns_fail",
            Self::Compact(_) => "compact",
            Self::Switchover(_) => "switchover",
            Self::Failover { .. } => "failover",
            Self::Restart { .. } => "restart",
            Self::Reinitialize { .. } => "reinitialize",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::EditConfig(_) => "edit_config",
        }
    }
}
