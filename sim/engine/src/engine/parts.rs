//! What the engine keeps of each host and process.

use std::{collections::BTreeMap, net::IpAddr};

use tokio::{
    runtime::{Runtime, RuntimeMetrics},
    task::JoinHandle,
};
use turmoil_net::Packet;

use crate::{
    clock::HostClock,
    id::{HostId, ProcessId},
    interpose::Entropy,
    network::InFlight,
    program::Main,
    random::Key,
};

pub(super) struct Host {
    pub(super) name: String,
    pub(super) key: Key,
    pub(super) stack_id: turmoil_net::HostId,
    pub(super) ip: IpAddr,
    pub(super) clock: HostClock,
    pub(super) processes: Vec<ProcessId>,
    pub(super) powered: bool,
    pub(super) frozen: bool,
    /// Packets that arrived while the host was frozen.
    pub(super) inbox: Vec<InFlight>,
    pub(super) touched: bool,
}

impl Host {
    pub(super) fn new(name: &str, key: Key, stack_id: turmoil_net::HostId, ip: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            key,
            stack_id,
            ip,
            clock: HostClock::new(),
            processes: Vec::new(),
            powered: true,
            frozen: false,
            inbox: Vec::new(),
            touched: false,
        }
    }
}

pub(super) struct Process {
    pub(super) name: String,
    pub(super) host: HostId,
    pub(super) main: Main,
    /// Of the process through all its starts.
    pub(super) key: Key,
    /// Of the present start.
    pub(super) life_key: Key,
    pub(super) entropy: Entropy,
    /// How often it has dialled each host and port since it started.
    pub(super) dialled: BTreeMap<(HostId, u16), u64>,
    pub(super) life: Option<Life>,
    /// Counts up whenever scheduled events of this process become meaningless.
    pub(super) generation: u64,
    pub(super) starts: u64,
    pub(super) due_ns: Option<u64>,
    pub(super) frozen: bool,
    /// How often it was given control, and in which second of simulated time.
    pub(super) steps: (u64, u32),
    /// Something happened that it must be stepped for.
    pub(super) ready: bool,
    /// Packets for its sockets: delivered inside its runtime, so that waking its tasks needs no system call.
    pub(super) mail: Vec<Packet>,
}

/// What exists only while a process runs.
pub(super) struct Life {
    pub(super) runtime: Runtime,
    pub(super) metrics: RuntimeMetrics,
    pub(super) root: JoinHandle<()>,
    /// The host's clock when the runtime was built: its timers count whole milliseconds from here.
    pub(super) began_elapsed_ns: u64,
}
