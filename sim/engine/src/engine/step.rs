//! The loop: to the next event, then everything that can run at that instant.

use std::time::Duration;

use super::{Engine, nanos, schedule::Event};
use crate::{
    id::{HostId, ProcessId},
    interpose::{self, LIVELOCK_PARKS, Parked, run_until_parked},
    panics,
    status::ExitReason,
    world::{self, Request},
};

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// A process that is given control more often than this within one second of simulated time gets nowhere: a busy PostgreSQL
/// needs some hundreds. Without a bound a run could take for ever although time passes.
const MOST_STEPS: u32 = 250_000;

impl Engine {
    /// Runs the simulation up to and including `time`.
    pub fn run_until(&mut self, time: Duration) {
        let end_ns = nanos(time);
        // Whatever was done to the engine from outside since it last ran takes effect first.
        self.settle();
        while let Some(next_ns) = self.schedule.next_ns().filter(|&next_ns| next_ns <= end_ns) {
            self.set_now(next_ns.max(self.now_ns));
            while let Some(event) = self.schedule.pop_due(self.now_ns) {
                self.handle(event);
            }
            self.settle();
        }
        self.set_now(end_ns.max(self.now_ns));
    }

    fn set_now(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        interpose::set_now_ns(now_ns);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Packet(packet) => self.arrive(*packet),
            Event::Release(key) => self.release(key),
            Event::GiveUp(key) => self.check_give_up(key),
            Event::Probe(key) => self.probe(key),
            Event::Timer(id, generation) => {
                let process = &mut self.processes[id.0];
                if process.generation == generation {
                    process.due_ns = None;
                    self.wake(id);
                }
            }
            Event::Start(id, generation) => {
                if self.processes[id.0].generation == generation {
                    self.begin(id);
                }
            }
            Event::Call(number) => {
                let Some(action) = self.actions.remove(&number) else { return };
                action(self);
                // It may have touched channels of any process.
                for host in 0..self.hosts.len() {
                    self.touch(HostId(host));
                }
            }
        }
    }

    /// The process is to be stepped at this instant.
    pub(super) fn wake(&mut self, id: ProcessId) {
        self.processes[id.0].ready = true;
        let host = self.processes[id.0].host;
        self.touch(host);
    }

    /// Runs processes and kernels until nothing more can happen at this instant.
    fn settle(&mut self) {
        let mut rounds = 0;
        loop {
            self.collect_outgoing();
            let Some(host) = self.touched.pop() else { break };
            self.hosts[host.0].touched = false;
            for index in 0..self.hosts[host.0].processes.len() {
                let id = self.hosts[host.0].processes[index];
                if self.must_run(id) {
                    self.step(id);
                    rounds += 1;
                    if rounds > LIVELOCK_PARKS {
                        // Two processes keep waking each other.
                        self.end(id, ExitReason::Livelocked);
                    }
                }
            }
        }
        self.forget_ended_connections();
    }

    fn must_run(&self, id: ProcessId) -> bool {
        let process = &self.processes[id.0];
        let frozen = process.frozen || self.hosts[process.host.0].frozen;
        // Tasks woken from outside (a packet over loopback, a channel of another process) wait in the runtime's inbox.
        process.life.as_ref().is_some_and(|life| !frozen && (process.ready || life.metrics.global_queue_depth() > 0))
    }

    fn step(&mut self, id: ProcessId) {
        self.enter(id);
        self.steps += 1;
        self.last_stepped = Some(id);
        let second = self.now_ns / SECOND_NS;
        let process = &mut self.processes[id.0];
        process.steps = if process.steps.0 == second { (second, process.steps.1 + 1) } else { (second, 1) };
        process.ready = false;
        let mut mail = std::mem::take(&mut process.mail);
        let host = process.host;
        self.kernels_stirred |= !mail.is_empty();
        // Afterwards its neighbours may be ready too.
        self.touch(host);
        self.heartbeat.step_begins(id.0);
        let super::Wiring::Entered(stack) = &self.wiring else { unreachable!("processes begin on an entered stack") };
        let life = self.processes[id.0].life.as_ref().expect("only living processes are stepped");
        let parked = run_until_parked(&life.runtime, || mail.drain(..).for_each(|packet| stack.deliver(packet)));
        // Empty now, and its room serves again.
        self.processes[id.0].mail = mail;
        self.heartbeat.step_ends();
        self.leave(id);
        let due_ns = self.due(id, parked);
        self.network.trace.step(self.now_ns, id, due_ns);
        self.apply_requests();
        match self.fault_or_end(id, parked) {
            Some(reason) => self.end(id, reason),
            None => self.set_timer(id, due_ns),
        }
    }

    /// The true time at which the runtime wants to be woken.
    fn due(&self, id: ProcessId, parked: Parked) -> Option<u64> {
        let Parked::For(sleep_ms) = parked else { return None };
        let process = &self.processes[id.0];
        let clock = self.hosts[process.host.0].clock;
        let began_ns = process.life.as_ref()?.began_elapsed_ns;
        // tokio's timer wheel turns in whole milliseconds since the runtime was built.
        let tick = (clock.elapsed(self.now_ns) - began_ns) / MILLISECOND_NS + sleep_ms;
        Some(clock.true_time_of(began_ns + tick * MILLISECOND_NS).max(self.now_ns + 1))
    }

    fn set_timer(&mut self, id: ProcessId, due_ns: Option<u64>) {
        let process = &mut self.processes[id.0];
        if process.life.is_none() || process.due_ns == due_ns {
            return;
        }
        process.generation += 1;
        process.due_ns = due_ns;
        if let Some(due_ns) = due_ns {
            self.schedule.push(due_ns, Event::Timer(id, process.generation));
        }
    }

    fn fault_or_end(&mut self, id: ProcessId, parked: Parked) -> Option<ExitReason> {
        if let Some(message) = panics::take_panic() {
            return Some(ExitReason::Panicked(message));
        }
        let life = self.processes[id.0].life.as_ref()?;
        if life.metrics.num_blocking_threads() > 0 {
            return Some(ExitReason::UsedThreads);
        }
        if parked == Parked::Livelocked {
            return Some(ExitReason::Livelocked);
        }
        if life.root.is_finished() {
            return Some(ExitReason::Finished);
        }
        (self.processes[id.0].steps.1 > MOST_STEPS).then_some(ExitReason::Restless)
    }

    /// Does what the code inside processes has asked for.
    pub(super) fn apply_requests(&mut self) {
        loop {
            let requests = world::with(|world| std::mem::take(&mut world.requests));
            if requests.is_empty() {
                return;
            }
            for request in requests {
                match request {
                    Request::Spawn(id, main) => self.register(id, main),
                    Request::Start(id) => self.start_if_powered(id),
                    Request::Kill(id) => self.kill(id),
                    Request::Freeze(id) => self.freeze(id),
                    Request::Thaw(id) => _ = self.thaw(id),
                    Request::Connected(key) => self.watch_new_connection(key),
                    Request::PortClosed(host, port) => self.reset_unaccepted(host, port),
                    Request::WroteToOrphan(key) => {
                        self.discard_orphan(key.reversed());
                        self.reset_locally(key);
                    }
                    Request::WindowOpened(key) => self.announce_window(key),
                }
            }
        }
    }
}
