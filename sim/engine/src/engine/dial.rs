//! What a connection's draws are decided by: who dialled whom, and for which time.

use super::Engine;
use crate::{network::FlowKey, world};

impl Engine {
    /// The SYN of a new connection leaves: from now on both directions draw by the connection's own key.
    ///
    /// Ports will not do: the kernel hands them out one after the other, and one connection more of any process of the host
    /// would give all later ones of that host other draws.
    pub(super) fn open(&mut self, key: FlowKey) {
        let (ip, port) = (self.hosts[key.to().0].ip, key.target_port());
        let Some(id) = world::with(|world| world.dialler(key.from(), ip, port)) else { return };
        let process = &mut self.processes[id.0];
        let count = process.dialled.entry((key.to(), port)).or_default();
        *count += 1;
        let target = process.life_key.with_key(self.hosts[key.to().0].key).with(u64::from(port));
        self.network.open(key, target.with(*count));
    }
}
