//! Everything a decision looks at: what the DCS said, what this node sees of itself, and what this cycle's rounds
//! brought back.

mod cluster;
mod local;
mod postgres;
mod round;
mod ssn;

pub use cluster::{Cluster, ClusterView, Leader, Versioned};
pub use local::{FailsafePing, FenceView, LocalView, TaskKind, TaskProgress, TaskView, WatchdogView};
pub use postgres::{
    AwaitedPosition, ControlData, DataDir, DbState, Follows, PostgresRole, PostgresView, Process, SlotView,
    StandbyView, SyncState,
};
pub use round::{
    FailedAction, FailsafeAnswer, LeaderInspection, LockOutcome, PeerAnswer, PeerStatus, Round, WriteOutcome,
};
pub use ssn::SynchronousStandbyNames;
