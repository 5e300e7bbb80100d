//! Faults of hosts and processes: power, freezing, clocks, DNS.

use std::time::Duration;

use super::Engine;
use crate::{
    id::{HostId, ProcessId},
    network::FlowKey,
    status::ExitReason,
    world::{self, Dns},
};

impl Engine {
    /// SIGSTOP: nothing of the process runs, its packets queue, its timers fire late.
    pub fn freeze(&mut self, process: ProcessId) {
        self.processes[process.0].frozen = true;
    }

    /// SIGCONT; whether it was frozen.
    pub fn thaw(&mut self, process: ProcessId) -> bool {
        let was_frozen = std::mem::replace(&mut self.processes[process.0].frozen, false);
        if was_frozen {
            self.wake(process);
        }
        was_frozen
    }

    /// Freezes a whole host, its kernel included, as pausing a virtual machine does: nothing is acknowledged, packets
    /// queue. Its clocks go on.
    pub fn freeze_host(&mut self, host: HostId) {
        self.hosts[host.0].frozen = true;
        self.arm_probes_of(host);
    }

    /// Ends [`Self::freeze_host`]; whether it was frozen.
    pub fn thaw_host(&mut self, host: HostId) -> bool {
        if !std::mem::replace(&mut self.hosts[host.0].frozen, false) {
            return false;
        }
        for packet in std::mem::take(&mut self.hosts[host.0].inbox) {
            self.arrive(packet);
        }
        for index in 0..self.hosts[host.0].processes.len() {
            self.wake(self.hosts[host.0].processes[index]);
        }
        true
    }

    /// Power loss: nothing leaves the host any more, its processes end, its kernel forgets every connection. What it had
    /// sent before is on its way; what is sent to it is sent again and again.
    pub fn power_off(&mut self, host: HostId) {
        // What the kernels had sent up to now has left.
        self.collect_outgoing();
        if !std::mem::replace(&mut self.hosts[host.0].powered, false) {
            return;
        }
        self.hosts[host.0].frozen = false;
        for index in 0..self.hosts[host.0].processes.len() {
            self.end(self.hosts[host.0].processes[index], ExitReason::PowerLost);
        }
        self.hosts[host.0].inbox.clear();
        self.forget_connections(host);
        self.arm_probes_of(host);
    }

    /// Power is back: the host answers again. Its processes stay ended until [`Self::start`].
    pub fn power_on(&mut self, host: HostId) {
        if std::mem::replace(&mut self.hosts[host.0].powered, true) {
            return;
        }
        self.release_where(|key| key.to() == host);
    }

    /// Moves the host's wall clock by `step_ns` nanoseconds (negative: back). Timers do not notice.
    pub fn step_clock(&mut self, host: HostId, step_ns: i64) {
        self.clock_mut(host).step_wall(step_ns);
    }

    /// Lets all clocks of the host run `ppm` parts per million too fast (negative: too slow) from now on.
    pub fn drift_clock(&mut self, host: HostId, ppm: i64) {
        let now_ns = self.now_ns;
        self.clock_mut(host).set_drift(now_ns, ppm);
        // Every timer that is set is due at another time now.
        for index in 0..self.hosts[host.0].processes.len() {
            self.wake(self.hosts[host.0].processes[index]);
        }
    }

    /// What the host's wall clock shows beyond a perfect one.
    #[must_use]
    pub fn clock_error_ns(&self, host: HostId) -> i64 {
        self.hosts[host.0].clock.wall(self.now_ns) - crate::clock::HostClock::new().wall(self.now_ns)
    }

    /// How name resolution works on a host from now on.
    pub fn set_dns(&mut self, host: HostId, dns: Dns) {
        world::with(|world| world.hosts[host.0].dns = dns);
    }

    /// Whether the host has power.
    #[must_use]
    pub fn is_powered(&self, host: HostId) -> bool {
        self.hosts[host.0].powered
    }

    /// How long the process will sleep if nothing happens: for reports about a stuck simulation.
    #[must_use]
    pub fn next_timer(&self, process: ProcessId) -> Option<Duration> {
        self.processes[process.0].due_ns.map(Duration::from_nanos)
    }

    fn forget_connections(&mut self, host: HostId) {
        let gone = |key: &FlowKey| key.from() == host;
        let listeners = world::with(|world| {
            world.sockets.retain(|key, _| !gone(key));
            world.narrow_windows.retain(|key| !gone(key));
            // Taken out while the world is borrowed, closed afterwards.
            let ports: Vec<u16> = world.listeners.keys().filter(|(of, _)| *of == host).map(|(_, port)| *port).collect();
            ports.into_iter().filter_map(|port| world.listeners.remove(&(host, port))).collect::<Vec<_>>()
        });
        for (key, flow) in self.network.flows.iter_mut().filter(|(key, _)| key.touches(host)) {
            if key.to() == host {
                flow.half_open = false;
            }
            if gone(key) {
                // Nobody sends these again.
                flow.held.clear();
                flow.release = None;
                flow.unacknowledged_since_ns = None;
            }
        }
        let stack_id = self.hosts[host.0].stack_id;
        self.stack().set_current(stack_id);
        drop(listeners);
        self.wipe_kernel(host);
    }

    /// What lingers in the kernel (FIN_WAIT and the like) is removed by resets that nobody has sent.
    fn wipe_kernel(&mut self, host: HostId) {
        let ip = self.hosts[host.0].ip;
        for socket in turmoil_net::netstat(ip).entries {
            if let Some(peer) = socket.peer {
                let reset = turmoil_net::TcpFlags { rst: true, ..turmoil_net::TcpFlags::default() };
                self.stack().deliver(crate::network::forged(peer, socket.local, reset, 0, 0));
            }
        }
        self.kernels_stirred = true;
        self.collect_outgoing();
    }

    /// Lets held packets of matching flows go.
    pub(super) fn release_where(&mut self, matching: impl Fn(FlowKey) -> bool) {
        let flows = self.network.flows.iter();
        let keys: Vec<FlowKey> =
            flows.filter(|(key, flow)| !flow.held.is_empty() && matching(**key)).map(|(key, _)| *key).collect();
        for key in keys {
            self.schedule_release(key);
        }
    }
}
