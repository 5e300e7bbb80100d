//! The dead-man process of a simulated node: a process of its own on the node's host, so that what stops the agent does not
//! stop it, and what stops the host does.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pgdrill_agent::ports::{Fence, FenceError};
use pgdrill_lab::event::What;
use pgdrill_probe::Journal;
use pgdrill_sim_engine::{Control, ProcessId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::Machine;
use crate::cluster::{Roster, started};

/// All dead-man processes that one node has had. Clones are the same.
#[derive(Clone)]
pub(crate) struct DeadMen {
    node: String,
    control: Control,
    machine: Machine,
    journal: Journal,
    roster: Roster,
    /// In the order of their starts; most have ended.
    all: Arc<Mutex<Vec<ProcessId>>>,
}

impl DeadMen {
    pub(crate) fn new(node: &str, control: Control, machine: Machine, journal: Journal, roster: Roster) -> Self {
        Self { node: node.to_owned(), control, machine, journal, roster, all: Arc::default() }
    }

    /// The one that was started last; `None` before the first start.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        self.all().last().copied()
    }

    /// What one life of the agent holds of it. Dropped with that life, as its end of a pipe would be closed.
    pub(crate) fn for_one_agent(&self) -> DeadMan {
        DeadMan { men: self.clone(), mine: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, Vec<ProcessId>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, orders: mpsc::UnboundedReceiver<Order>) -> ProcessId {
        let (men, orders) = (self.clone(), Arc::new(Mutex::new(Some(orders))));
        let process = self.control.spawn("deadman", move || {
            let (men, orders) = (men.clone(), orders.clone());
            async move {
                let orders = orders.lock().unwrap_or_else(PoisonError::into_inner).take();
                men.journal.record(&men.node, started("deadman"));
                men.hold_out(orders.expect("it is started once")).await;
            }
        });
        self.roster.enter(process, &self.node, "deadman");
        self.all().push(process);
        process
    }

    /// The process: orders first, then the clock. Ends when the agent is gone and there is nothing to hold.
    async fn hold_out(&self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut held: Option<Instant> = None;
        let mut agent_lives = true;
        while agent_lives || held.is_some() {
            let deadline = async {
                match held {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                order = orders.recv(), if agent_lives => match order {
                    Some(order) => {
                        held = order.hold;
                        // An agent that no longer waits has given up on this one and ends it.
                        let _ = order.answer.send(());
                    }
                    None => agent_lives = false,
                },
                () = deadline => {
                    held = None;
                    self.fire().await;
                }
            }
        }
    }

    async fn fire(&self) {
        let text = "the dead-man process fires: the leadership has ended unrenewed".to_owned();
        self.journal.record(&self.node, What::Note { text });
        self.machine.stop_at_once().await;
    }
}

struct Order {
    hold: Option<Instant>,
    answer: oneshot::Sender<()>,
}

/// The dead-man process as one life of the agent sees it.
pub(crate) struct DeadMan {
    men: DeadMen,
    mine: Mutex<Option<Mine>>,
}

#[derive(Clone)]
struct Mine {
    process: ProcessId,
    orders: mpsc::UnboundedSender<Order>,
}

impl DeadMan {
    fn mine(&self) -> Option<Mine> {
        let mine = self.mine.lock().unwrap_or_else(PoisonError::into_inner).clone();
        mine.filter(|mine| self.men.control.is_running(mine.process))
    }

    async fn order(&self, hold: Option<Instant>) -> Result<(), FenceError> {
        let gone = || FenceError::Unavailable("it has ended".into());
        let mine = self.mine().ok_or_else(gone)?;
        let (answer, answered) = oneshot::channel();
        mine.orders.send(Order { hold, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl Fence for DeadMan {
    async fn start(&self) -> Result<(), FenceError> {
        if let Some(mine) = self.mine() {
            self.men.control.kill(mine.process);
            self.men.control.exited(mine.process).await;
        }
        let (orders, receiver) = mpsc::unbounded_channel();
        let process = self.men.spawn(receiver);
        *self.mine.lock().unwrap_or_else(PoisonError::into_inner) = Some(Mine { process, orders });
        Ok(())
    }

    fn is_running(&self) -> bool {
        self.mine().is_some()
    }

    async fn exited(&self) {
        match self.mine() {
            Some(mine) => drop(self.men.control.exited(mine.process).await),
            None => pending().await,
        }
    }

    async fn hold(&self, deadline: Instant) -> Result<(), FenceError> {
        self.order(Some(deadline)).await
    }

    async fn release(&self) -> Result<(), FenceError> {
        self.order(None).await
    }

    async fn retire_others(&self) -> Result<(), FenceError> {
        let mine = self.mine().map(|mine| mine.process);
        let others: Vec<ProcessId> = self.men.all().iter().copied().filter(|other| Some(*other) != mine).collect();
        for other in others.into_iter().filter(|other| self.men.control.is_running(*other)) {
            self.men.control.kill(other);
        }
        Ok(())
    }
}
