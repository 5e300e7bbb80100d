//! The [`Observer`] port: where the agent says what it decides and why. For logs and timelines only: the lab's oracles judge
//! what can be seen from outside and never read this.

use std::fmt;

/// How a background action ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionOutcome {
    /// It did what it should.
    Done,
    /// It did not, with the reason.
    Failed(String),
    /// It was cancelled because something more urgent came.
    Cancelled,
}

/// Something the agent did or learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentEvent {
    /// The agent started; `adopted` tells that a PostgreSQL of its predecessor was running.
    Started {
        /// Member name.
        name: String,
        /// A running server was found.
        adopted: bool,
    },
    /// A cycle of the HA loop decided.
    Decision {
        /// Why, in words: `promoted self to leader by acquiring session lock`.
        reason: String,
        /// What is done about it, in order.
        actions: Vec<String>,
    },
    /// The leader lock changed hands in our own view.
    Lock {
        /// We hold it now.
        held: bool,
        /// How that came about.
        reason: String,
    },
    /// The role of our PostgreSQL changed.
    Role {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A background action began.
    ActionStarted {
        /// Which: `promote`, `basebackup`.
        action: String,
    },
    /// A background action ended.
    ActionEnded {
        /// Which.
        action: String,
        /// How.
        outcome: ActionOutcome,
    },
    /// Something went wrong that the agent survives: the DCS does not answer, a statement timed out.
    Trouble {
        /// Where: `dcs`, `sql`, `rest`, `postgres`, `watchdog`.
        source: &'static str,
        /// What.
        text: String,
    },
    /// What was wrong is over.
    Recovered {
        /// Where, as in `Trouble`.
        source: &'static str,
        /// What is right again.
        text: String,
    },
    /// The agent's own configuration was read again.
    Reconfigured {
        /// Fields that differ and are applied.
        applied: Vec<&'static str>,
        /// Fields that differ and count only when the agent is started anew.
        needs_restart: Vec<&'static str>,
    },
    /// The agent ends.
    Stopped {
        /// Why.
        reason: String,
    },
}

/// Receives the agent's events. Called from its tasks: return at once, never panic.
pub trait Observer: Send + Sync + 'static {
    /// Takes one event.
    fn event(&self, event: AgentEvent);

    /// The HA loop has turned once more. Whoever looks after the agent from outside learns by this that it is alive.
    fn turned(&self) {}
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&self, _event: AgentEvent) {}
}

impl fmt::Display for AgentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { name, adopted: true } => write!(f, "{name} started beside a running PostgreSQL"),
            Self::Started { name, adopted: false } => write!(f, "{name} started"),
            Self::Decision { reason, actions } if actions.is_empty() => write!(f, "{reason}"),
            Self::Decision { reason, actions } => write!(f, "{reason} ({})", actions.join(", ")),
            Self::Lock { held: true, reason } => write!(f, "holds the leader lock: {reason}"),
            Self::Lock { held: false, reason } => write!(f, "does not hold the leader lock: {reason}"),
            Self::Role { from, to } => write!(f, "role {from} -> {to}"),
            Self::ActionStarted { action } => write!(f, "{action}: started"),
            Self::ActionEnded { action, outcome: ActionOutcome::Done } => write!(f, "{action}: done"),
            Self::ActionEnded { action, outcome: ActionOutcome::Failed(why) } => write!(f, "{action}: failed: {why}"),
            Self::ActionEnded { action, outcome: ActionOutcome::Cancelled } => write!(f, "{action}: cancelled"),
            Self::Trouble { source, text } | Self::Recovered { source, text } => write!(f, "{source}: {text}"),
            Self::Reconfigured { applied, needs_restart } => reconfigured(f, applied, needs_restart),
            Self::Stopped { reason } => write!(f, "stopped: {reason}"),
        }
    }
}

fn reconfigured(f: &mut fmt::Formatter<'_>, applied: &[&str], needs_restart: &[&str]) -> fmt::Result {
    write!(f, "the configuration was read again: ")?;
    match (applied.join(", "), needs_restart.join(", ")) {
        (now, later) if now.is_empty() && later.is_empty() => write!(f, "nothing differs"),
        (now, later) if later.is_empty() => write!(f, "{now} applied"),
        (now, later) if now.is_empty() => {
            write!(f, "nothing applied; {later} changes only when the agent is restarted")
        }
        (now, later) => write!(f, "{now} applied; {later} changes only when the agent is restarted"),
    }
}
