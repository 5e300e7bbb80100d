//! How a process begins and ends.

use std::{collections::BTreeMap, sync::Arc};

use tokio::runtime::{Builder, RngSeed};

use super::{
    Engine,
    parts::{Life, Process},
    schedule::Event,
};
use crate::{
    id::{HostId, ProcessId},
    interpose::{self, Entropy},
    panics,
    program::Main,
    random::Purpose,
    status::{Exit, ExitReason, ProcessStatus},
    world,
};

impl Engine {
    /// Books a process whose entry in the world exists, and starts it.
    pub(super) fn register(&mut self, id: ProcessId, main: Main) {
        assert_eq!(id.0, self.processes.len(), "processes are registered in the order of their ids");
        let (name, host) = world::with(|world| {
            let entry = &world.processes[id.0];
            (entry.name.clone(), entry.host)
        });
        self.heartbeat.name(format!("{}/{name}", self.hosts[host.0].name));
        let siblings = self.hosts[host.0].processes.iter().filter(|other| self.processes[other.0].name == name).count();
        let key = self.hosts[host.0].key.with_name(&name).with(siblings as u64);
        self.processes.push(Process {
            name,
            host,
            main,
            key,
            life_key: key,
            entropy: Entropy::new(key),
            dialled: BTreeMap::new(),
            life: None,
            generation: 0,
            starts: 0,
            due_ns: None,
            frozen: false,
            steps: (0, 0),
            ready: false,
            mail: Vec::new(),
        });
        self.hosts[host.0].processes.push(id);
        self.start(id);
    }

    /// Starts an ended process again, from its `main`. Nothing happens to one that runs. Panics on a host without power.
    pub fn start(&mut self, process: ProcessId) {
        let this = &mut self.processes[process.0];
        if this.life.is_some() {
            return;
        }
        assert!(self.hosts[this.host.0].powered, "{}: its host has no power", self.hosts[this.host.0].name);
        this.generation += 1;
        this.frozen = false;
        let event = Event::Start(process, this.generation);
        self.schedule.push(self.now_ns, event);
        self.set_status(process, ProcessStatus::Running);
    }

    /// For requests from inside, which may be overtaken by a power loss.
    pub(super) fn start_if_powered(&mut self, process: ProcessId) {
        if self.hosts[self.processes[process.0].host.0].powered {
            self.start(process);
        } else {
            self.set_status(process, ProcessStatus::Exited(ExitReason::PowerLost));
        }
    }

    /// SIGKILL: nothing of it runs any more; the host's kernel closes its sockets (FIN, or RST where bytes were unread).
    pub fn kill(&mut self, process: ProcessId) {
        self.end(process, ExitReason::Killed);
    }

    pub(super) fn begin(&mut self, id: ProcessId) {
        let this = &mut self.processes[id.0];
        this.starts += 1;
        this.life_key = this.key.with(this.starts);
        this.entropy = Entropy::new(this.life_key);
        this.dialled.clear();
        let seed = this.life_key.draw(Purpose::Scheduler, 0).bits();
        self.enter(id);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .build()
            .expect("a runtime needs a few file descriptors: is the limit (ulimit -n) too low?");
        let this = &mut self.processes[id.0];
        this.ready = true;
        let main = Arc::clone(&this.main);
        // Called inside the task, so that a panic before the first await is the process's too.
        let root = runtime.spawn(async move { main().await });
        let began_elapsed_ns = self.hosts[this.host.0].clock.elapsed(self.now_ns);
        this.life = Some(Life { metrics: runtime.metrics(), runtime, root, began_elapsed_ns });
        let host = this.host;
        self.leave(id);
        self.touch(host);
    }

    /// Ends a process, if it runs, and tells everybody.
    pub(super) fn end(&mut self, id: ProcessId, reason: ExitReason) {
        let pending_start = self.processes[id.0].life.is_none() && self.is_running(id);
        if self.processes[id.0].life.is_none() && !pending_start {
            return;
        }
        // What it has written has left before it ends.
        self.collect_outgoing();
        self.unload(id);
        // A destructor that panics is as much a fault of the program as any other panic.
        let reason = panics::take_panic().map_or(reason, ExitReason::Panicked);
        let exit = Exit { at: self.now(), process: id, reason: reason.clone() };
        self.set_status(id, ProcessStatus::Exited(reason));
        for listener in &mut self.exit_listeners {
            listener(&exit);
        }
        self.exits.push(exit);
        let host = self.processes[id.0].host;
        self.touch(host);
        self.kernels_stirred = true;
        self.apply_requests();
    }

    fn set_status(&self, id: ProcessId, status: ProcessStatus) {
        // The world is let go of first: this wakes tasks, which may drop what they hold.
        let sender = world::with(|world| world.processes[id.0].status.clone());
        sender.send_replace(status);
    }

    /// Drops a process's runtime, which closes its sockets.
    pub(super) fn unload(&mut self, id: ProcessId) {
        let mail = std::mem::take(&mut self.processes[id.0].mail);
        let this = &mut self.processes[id.0];
        this.generation += 1;
        this.due_ns = None;
        this.ready = false;
        let Some(life) = this.life.take() else { return };
        self.enter(id);
        for packet in mail {
            self.stack().deliver(packet);
        }
        drop(life);
        self.leave(id);
    }

    /// Makes `id` the process whose host's sockets and clock, and whose entropy, the code that runs next uses.
    pub(super) fn enter(&mut self, id: ProcessId) {
        let host = self.processes[id.0].host;
        let (stack_id, clock) = (self.hosts[host.0].stack_id, self.hosts[host.0].clock);
        self.stack().set_current(stack_id);
        interpose::set_host_clock(clock);
        world::with(|world| world.current = Some(id));
        self.own_entropy = interpose::replace_entropy(Some(self.processes[id.0].entropy));
    }

    /// Ends what [`Self::enter`] began.
    pub(super) fn leave(&mut self, id: ProcessId) {
        world::with(|world| world.current = None);
        if let Some(drawn) = interpose::replace_entropy(self.own_entropy) {
            self.processes[id.0].entropy = drawn;
        }
    }

    /// Something happened to this host at this instant.
    pub(super) fn touch(&mut self, host: HostId) {
        if !std::mem::replace(&mut self.hosts[host.0].touched, true) {
            self.touched.push(host);
        }
    }
}
