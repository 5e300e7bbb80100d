//! The engine: hosts, processes, and the loop that takes time from event to event.

mod connections;
mod delivery;
mod dial;
mod exit;
mod faults;
mod keepalive;
mod links;
mod parts;
mod process;
mod receive;
mod schedule;
mod step;
mod watchdog;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use parts::{Host, Process};
use schedule::{Event, Schedule};
use turmoil_net::{EnterGuard, KernelConfig, Net, Packet};

use crate::{
    clock::HostClock,
    control::Control,
    id::{HostId, ProcessId},
    interpose::{self, Entropy},
    network::{Network, Trace},
    program::main_of,
    random::Key,
    status::{Exit, ExitListener, ProcessStatus},
    world::{self, Dns, HostEntry, ProcessEntry, World},
};

/// `tcp_rmem`'s maximum, 6 MiB.
const RECEIVE_BUFFER_BYTES: usize = 6 << 20;

/// No full backlog ever: the stack would drop the SYN and nobody would send it again.
const BACKLOG: usize = 1 << 20;

/// The books are tidied when there are more connections than this: few enough that a long simulation with many short ones stays small.
const CONNECTIONS_AT_LEAST: usize = 1_024;

/// What is done to the engine at an instant.
type Action = Box<dyn FnOnce(&mut Engine)>;

/// A simulation: hosts, links, processes, and simulated time. [`run_isolated`](crate::run_isolated) makes one.
///
/// Times are durations since the start of the simulation.
pub struct Engine {
    /// What all draws of this simulation are decided by.
    key: Key,
    /// Where the engine's own thread takes entropy from while a process runs: its place there.
    own_entropy: Option<Entropy>,
    now_ns: u64,
    schedule: Schedule,
    /// What [`Event::Call`]s do, by their number.
    actions: BTreeMap<u64, Action>,
    next_action: u64,
    hosts: Vec<Host>,
    processes: Vec<Process>,
    network: Network,
    exits: Vec<Exit>,
    exit_listeners: Vec<ExitListener>,
    /// Hosts that something happened to at this instant: the only ones where a task may have become ready.
    touched: Vec<HostId>,
    /// A delivery may have made a kernel emit packets.
    kernels_stirred: bool,
    outgoing: Vec<Packet>,
    heartbeat: watchdog::Heartbeat,
    steps: u64,
    /// The books are tidied when there are more connections than this.
    connections_limit: usize,
    last_stepped: Option<ProcessId>,
    wiring: Wiring,
}

/// The socket stack takes hosts only until it is entered.
enum Wiring {
    Open(Box<Net>),
    Entered(EnterGuard),
    /// Only while it changes from one to the other.
    Changing,
}

impl Engine {
    pub(crate) fn new(seed: u64) -> Self {
        // What an earlier simulation on this thread left behind; there is none on a fresh thread.
        world::with(|world| *world = World::default());
        let kernel = KernelConfig::default()
            .retx_threshold(u32::MAX)
            .recv_buf_cap(RECEIVE_BUFFER_BYTES)
            .default_backlog(BACKLOG);
        Self {
            key: Key::of_seed(seed),
            own_entropy: None,
            now_ns: 0,
            schedule: Schedule::default(),
            actions: BTreeMap::new(),
            next_action: 0,
            hosts: Vec::new(),
            processes: Vec::new(),
            network: Network::new(),
            exits: Vec::new(),
            exit_listeners: Vec::new(),
            touched: Vec::new(),
            kernels_stirred: false,
            outgoing: Vec::new(),
            heartbeat: watchdog::Heartbeat::start(seed),
            steps: 0,
            connections_limit: CONNECTIONS_AT_LEAST,
            last_stepped: None,
            wiring: Wiring::Open(Box::new(Net::with_config(kernel))),
        }
    }

    /// Adds a host with an address of its own; `name` resolves to it. Panics once the simulation has run, on a name that is
    /// taken and on one that is an address.
    pub fn add_host(&mut self, name: &str) -> HostId {
        let Wiring::Open(net) = &mut self.wiring else { panic!("{name}: hosts are added before the simulation runs") };
        assert!(self.hosts.iter().all(|host| host.name != name), "there are two hosts {name}");
        assert!(name != "localhost" && name.parse::<IpAddr>().is_err(), "{name} cannot be the name of a host");
        let id = HostId(self.hosts.len());
        let (stack_id, ip) = (net.add_host(name), net.lookup(name));
        assert_eq!(host_of(ip), Some(id), "the socket stack numbers its hosts from 192.168.0.1 on");
        let key = self.key.with_name(name);
        self.hosts.push(Host::new(name, key, stack_id, ip));
        self.network.add_host(key);
        world::with(|world| world.hosts.push(HostEntry { name: name.to_owned(), ip, dns: Dns::default() }));
        id
    }

    /// Starts a process now. `main` is called for every start; when its future ends, so does the process.
    pub fn spawn<F, R>(&mut self, host: HostId, name: &str, main: F) -> ProcessId
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let id = ProcessId(self.processes.len());
        world::with(|world| world.processes.push(ProcessEntry::new(name, host)));
        self.register(id, main_of(main));
        id
    }

    /// Calls `action` at `time`, or now if that has passed, before any process runs at that instant.
    pub fn at(&mut self, time: Duration, action: impl FnOnce(&mut Self) + 'static) {
        let at_ns = nanos(time).max(self.now_ns);
        self.actions.insert(self.next_action, Box::new(action));
        self.schedule.push(at_ns, Event::Call(self.next_action));
        self.next_action += 1;
    }

    /// Simulated time since the start.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns)
    }

    /// The host with this name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<HostId> {
        self.hosts.iter().position(|host| host.name == name).map(HostId)
    }

    /// A host's name.
    #[must_use]
    pub fn host_name(&self, host: HostId) -> &str {
        &self.hosts[host.0].name
    }

    /// A host's address.
    #[must_use]
    pub fn ip(&self, host: HostId) -> IpAddr {
        self.hosts[host.0].ip
    }

    /// The processes of a host in the order in which they were spawned, ended ones included.
    #[must_use]
    pub fn processes_of(&self, host: HostId) -> &[ProcessId] {
        &self.hosts[host.0].processes
    }

    /// A process's name, with its host's: `pg1/postgres`.
    #[must_use]
    pub fn process_name(&self, process: ProcessId) -> String {
        let process = &self.processes[process.0];
        format!("{}/{}", self.hosts[process.host.0].name, process.name)
    }

    /// Whether a process runs; frozen ones do.
    #[must_use]
    pub fn is_running(&self, process: ProcessId) -> bool {
        let status = world::with(|world| world.processes[process.0].status.borrow().clone());
        status == ProcessStatus::Running
    }

    /// The control that processes of `host` use; for handing it to a process before it runs.
    #[must_use]
    pub const fn control(&self, host: HostId) -> Control {
        Control::of(host)
    }

    /// Everything sent and run so far, as a hash and, if asked for, as lines.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.network.trace
    }

    /// Records a line for every packet and step from now on: slow, and large.
    pub fn record_trace_lines(&mut self) {
        self.network.trace.record_lines();
    }

    /// How often a process was given control.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// How often a process has asked for entropy since it was last started.
    #[must_use]
    pub fn entropy_calls(&self, process: ProcessId) -> u64 {
        self.processes[process.0].entropy.calls()
    }

    /// How long, in real time, one step of a process may take before the program is aborted with the process's name.
    /// 30 seconds unless set.
    pub fn set_watchdog(&mut self, limit: Duration) {
        self.heartbeat.set_limit(limit);
    }

    fn stack(&mut self) -> &EnterGuard {
        if let Wiring::Open(_) = self.wiring {
            let Wiring::Open(net) = std::mem::replace(&mut self.wiring, Wiring::Changing) else { unreachable!() };
            self.wiring = Wiring::Entered(net.enter());
        }
        let Wiring::Entered(guard) = &self.wiring else { unreachable!("it was just entered") };
        guard
    }

    fn clock_mut(&mut self, host: HostId) -> &mut HostClock {
        &mut self.hosts[host.0].clock
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Sockets must be closed while the socket stack is still there: processes first, then kept listeners.
        for id in 0..self.processes.len() {
            self.unload(ProcessId(id));
        }
        self.processes.clear();
        self.schedule = Schedule::default();
        self.actions.clear();
        let left = world::with(std::mem::take);
        drop(left);
        interpose::set_host_clock(HostClock::new());
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("simulated times fit into 584 years")
}

/// The socket stack gives the n-th host the address 192.168.0.0 + n.
fn host_of(ip: IpAddr) -> Option<HostId> {
    match ip {
        IpAddr::V4(v4) => match v4.octets() {
            [192, 168, high, low] => (usize::from(high) << 8 | usize::from(low)).checked_sub(1).map(HostId),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}
