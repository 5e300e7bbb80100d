//! The watchdog devices of the nodes, and when each goes off. The device counts in its container ([`crate::inside::watchdog`]
//! tells); the lab is the hardware.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use futures::StreamExt;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    cluster::{Cluster, Kind},
    docker::{Command, Line},
    inside::watchdog::Told,
    machine::State,
    shim::STEERING_PATH,
};

/// The devices are looked at this often.
const GLANCE: Duration = Duration::from_millis(100);

/// Who watches the devices of the nodes that have one. They stop when this is dropped.
pub(super) struct Watchdogs {
    following: JoinSet<String>,
    armed: Rc<RefCell<BTreeMap<String, Instant>>>,
    /// How long a machine takes to boot after a reset, before its services are started. A container is there in a second, which
    /// no machine is.
    pub(super) boot: Duration,
}

impl Watchdogs {
    /// Starts to look; a machine that is reset takes so long to boot.
    pub(super) fn start(cluster: &Cluster, boot: Duration) -> Self {
        let mut this = Self { following: JoinSet::new(), armed: Rc::default(), boot };
        for node in cluster.names(Kind::Node) {
            if cluster.scenario.cluster.has_watchdog_device(&node) {
                let (cluster, armed) = (cluster.clone(), this.armed.clone());
                this.following.spawn_local(async move { follow(&cluster, &node, &armed).await });
            }
        }
        this
    }

    /// Waits until a moment, or until devices go off; the nodes whose did.
    ///
    /// # Errors
    /// When a device is no longer told of.
    pub(super) async fn until(&mut self, end: Instant) -> Result<Vec<String>, String> {
        while !self.following.is_empty() && Instant::now() + GLANCE < end {
            sleep(GLANCE).await;
            match self.following.try_join_next() {
                None => {}
                Some(Ok(why)) => return Err(why),
                Some(Err(why)) => return Err(format!("who follows a watchdog device has ended: {why}")),
            }
            let expired = self.expired();
            if !expired.is_empty() {
                return Ok(expired);
            }
        }
        tokio::time::sleep_until(end).await;
        Ok(vec![])
    }

    /// The devices that have gone off, which are off from now on.
    fn expired(&self) -> Vec<String> {
        let now = Instant::now();
        let mut armed = self.armed.borrow_mut();
        let expired: Vec<String> = armed.iter().filter(|(_, at)| **at <= now).map(|(node, _)| node.clone()).collect();
        armed.retain(|node, _| !expired.contains(node));
        expired
    }
}

/// Follows the device of a node, whatever becomes of its container. Comes back only with what went wrong.
async fn follow(cluster: &Cluster, node: &str, armed: &RefCell<BTreeMap<String, Instant>>) -> String {
    let container = &cluster.host(node).container;
    let machine = cluster.host(node).machine(&cluster.docker);
    loop {
        let command = Command::new(["pgdrill", "internal", "watchdog", STEERING_PATH]);
        if let Ok(lines) = command.lines(&cluster.docker, container).await {
            let mut lines = Box::pin(lines);
            while let Some(line) = lines.next().await {
                match line {
                    Line::Out(line) => match serde_json::from_str::<Told>(&line) {
                        Ok(told) => note(told, node, armed),
                        // What the daemon says of a container that goes down comes in the place of the output.
                        Err(_) if cluster.goes_down(node).await => break,
                        Err(why) => return format!("{node}: its watchdog device is told as {line:?}: {why}"),
                    },
                    // A device that nobody hears would never go off, and the run would be another one than asked for.
                    Line::Complaint(said) => return format!("{node}: its watchdog device cannot be followed: {said}"),
                    Line::Broken(_) => break,
                }
            }
        }
        // A machine without power has a device without power; one that runs is asked again.
        if machine.state().await == Ok(State::Stopped) {
            armed.borrow_mut().remove(node);
        }
        sleep(GLANCE).await;
    }
}

fn note(told: Told, node: &str, armed: &RefCell<BTreeMap<String, Instant>>) {
    match told.goes_off_in_ms {
        Some(left) => drop(armed.borrow_mut().insert(node.to_owned(), Instant::now() + Duration::from_millis(left))),
        None => drop(armed.borrow_mut().remove(node)),
    }
}
