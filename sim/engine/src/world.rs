//! What the engine and the code inside processes share: a thread-local, because a simulation is one thread.
//!
//! Code inside a process cannot reach the engine, which is busy running it. It reads this and leaves [`Request`]s, which
//! the engine applies right after the step, at the same simulated time.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use pgdrill_net::SocketOptions;
use tokio::sync::watch;
use turmoil_net::shim::tokio::net::{TcpListener, TcpStream};

use crate::{
    id::{HostId, ProcessId},
    network::FlowKey,
    program::Main,
    status::ProcessStatus,
};

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// Runs `f` on this thread's world.
pub(crate) fn with<R>(f: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(f)
}

/// As [`with`], where there may be no world to look at: on other threads, while it is borrowed, during teardown.
pub(crate) fn try_with<R>(f: impl FnOnce(&World) -> Option<R>) -> Option<R> {
    WORLD.try_with(|world| world.try_borrow().ok().and_then(|world| f(&world))).ok().flatten()
}

/// Hosts, processes and sockets as the code inside sees them.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) hosts: Vec<HostEntry>,
    pub(crate) processes: Vec<ProcessEntry>,
    /// The process that is being stepped.
    pub(crate) current: Option<ProcessId>,
    /// Connected sockets and what is left of closed ones, by their outgoing flow.
    pub(crate) sockets: BTreeMap<FlowKey, SocketEntry>,
    pub(crate) listeners: BTreeMap<(HostId, u16), ListenerEntry>,
    /// Flows whose receiver last advertised a nearly closed window; see `SimStream::poll_read`.
    pub(crate) narrow_windows: BTreeSet<FlowKey>,
    pub(crate) requests: Vec<Request>,
    /// Connections that processes are about to open; the SYN of each leaves when outgoing packets are collected next.
    pub(crate) dials: Vec<Dial>,
    /// Sockets that were written to and closed in one step: closing them waits until the written bytes have left.
    pub(crate) closing: Vec<(HostId, SharedStream)>,
    /// How often outgoing packets were collected.
    pub(crate) collections: u64,
    /// A socket was used since the engine last collected outgoing packets.
    pub(crate) sockets_used: bool,
}

/// How name resolution works on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dns {
    /// Names of hosts resolve at once, other names are unknown.
    #[default]
    Answers,
    /// The servers do not answer: a lookup fails after ten seconds, as with resolv.conf's defaults.
    Silent,
    /// The servers answer that they cannot answer: a lookup fails at once (`EAI_AGAIN`).
    Fails,
}

pub(crate) struct HostEntry {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
    pub(crate) dns: Dns,
}

pub(crate) struct ProcessEntry {
    pub(crate) name: String,
    pub(crate) host: HostId,
    pub(crate) status: watch::Sender<ProcessStatus>,
}

impl ProcessEntry {
    pub(crate) fn new(name: &str, host: HostId) -> Self {
        Self { name: name.to_owned(), host, status: watch::Sender::new(ProcessStatus::Running) }
    }
}

/// A socket that SimNet handed out.
pub(crate) struct SocketEntry {
    pub(crate) owner: ProcessId,
    pub(crate) options: Option<SocketOptions>,
    /// Why the engine broke the connection; turns the kernel's reset into the error Linux would report.
    pub(crate) error: Option<io::ErrorKind>,
    /// The peer's FIN has arrived: a later reset means EPIPE to a writer.
    pub(crate) peer_finished: bool,
    /// The process has closed it, the kernel may still be sending.
    pub(crate) orphan: bool,
    /// The kernel's socket, while the process has it open.
    pub(crate) stream: Option<SharedStream>,
    /// What had arrived before a reset: the socket stack discards it, Linux lets the process read it first.
    pub(crate) saved: Vec<u8>,
}

/// The kernel's half of a socket: the process uses it, and the engine before a reset arrives.
pub(crate) type SharedStream = Arc<Mutex<TcpStream>>;

impl SocketEntry {
    pub(crate) fn new(owner: ProcessId, options: Option<SocketOptions>, stream: SharedStream) -> Self {
        Self {
            owner,
            options,
            error: None,
            peer_finished: false,
            orphan: false,
            stream: Some(stream),
            saved: Vec::new(),
        }
    }

    /// Takes over what has been received and not been read.
    pub(crate) fn save_unread(&mut self) {
        let Some(stream) = &self.stream else { return };
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.try_read(&mut piece) {
            self.saved.extend_from_slice(&piece[..count]);
        }
    }
}

/// A port that somebody listens on, or has listened on.
pub(crate) struct ListenerEntry {
    pub(crate) ip: IpAddr,
    pub(crate) owner: ProcessId,
    /// The kernel's listener of a port that is closed at present. It is kept because the socket stack refuses to bind a
    /// port as long as any connection accepted there lingers; Linux, with `SO_REUSEADDR`, does not.
    pub(crate) parked: Option<TcpListener>,
}

/// A process is about to open a connection to another host.
pub(crate) struct Dial {
    pub(crate) process: ProcessId,
    pub(crate) from: HostId,
    pub(crate) to: (IpAddr, u16),
}

/// What code inside a process asks of the engine.
pub(crate) enum Request {
    Spawn(ProcessId, Main),
    Start(ProcessId),
    Kill(ProcessId),
    Freeze(ProcessId),
    Thaw(ProcessId),
    /// A connection exists: look after its keepalive.
    Connected(FlowKey),
    /// A listener was dropped: its waiting connections must be reset.
    PortClosed(HostId, u16),
    /// Something was written to a closed socket of the same host.
    WroteToOrphan(FlowKey),
    /// The reader caught up: tell the sender that the window is open again.
    WindowOpened(FlowKey),
}

impl World {
    /// The host of the process that runs.
    pub(crate) fn current_host(&self) -> HostId {
        let current = self.current.expect("simulated sockets are used inside a simulated process only");
        self.processes[current.0].host
    }

    /// The process that runs is about to connect to this address.
    pub(crate) fn dial(&mut self, ip: IpAddr, port: u16) {
        let process = self.current.expect("sockets are opened inside a process");
        self.dials.push(Dial { process, from: self.current_host(), to: (ip, port) });
    }

    /// The process whose SYN this is.
    pub(crate) fn dialler(&mut self, from: HostId, ip: IpAddr, port: u16) -> Option<ProcessId> {
        let place = self.dials.iter().position(|dial| dial.from == from && dial.to == (ip, port))?;
        Some(self.dials.remove(place).process)
    }

    /// Whether the process that runs would connect to a port of its own host that nobody listens on any more.
    pub(crate) fn is_own_closed_port(&self, ip: IpAddr, port: u16) -> bool {
        let here = self.current_host();
        let own = ip.is_loopback() || self.hosts[here.0].ip == ip;
        own && self.listeners.get(&(here, port)).is_some_and(|entry| entry.parked.is_some())
    }

    pub(crate) fn host_by_name(&self, name: &str) -> Option<HostId> {
        self.hosts.iter().position(|host| host.name == name).map(HostId)
    }

    /// The host with the address `ip`, seen from `from`.
    pub(crate) fn host_by_ip(&self, ip: IpAddr, from: HostId) -> Option<HostId> {
        if ip.is_loopback() {
            return Some(from);
        }
        self.hosts.iter().position(|host| host.ip == ip).map(HostId)
    }
}
