//! What an operating system (and `pg_ctl`) can tell a postmaster. SIGKILL is not here: it is the end of the process.

use tokio::sync::mpsc;

/// A signal to the postmaster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: wait for the clients to leave (`pg_ctl stop -m smart`).
    SmartShutdown,
    /// SIGINT: send the clients away, make a shutdown checkpoint (`pg_ctl stop -m fast`).
    FastShutdown,
    /// SIGQUIT: stop at once, without a checkpoint (`pg_ctl stop -m immediate`).
    ImmediateShutdown,
    /// SIGHUP: read the configuration again (`pg_ctl reload`).
    Reload,
    /// `promote` file and SIGUSR1 (`pg_ctl promote`). Ignored by a primary.
    Promote,
}

/// The receiving end, given to the postmaster.
#[derive(Debug)]
pub struct Signals(pub(crate) mpsc::UnboundedReceiver<Signal>);

/// The sending end: a process id one may send signals to.
#[derive(Clone, Debug)]
pub struct SignalSender(mpsc::UnboundedSender<Signal>);

impl SignalSender {
    /// Delivers `signal`. Returns whether the process still exists.
    pub fn send(&self, signal: Signal) -> bool {
        self.0.send(signal).is_ok()
    }
}

/// A postmaster's signals and the handle to send them with.
#[must_use]
pub fn signals() -> (SignalSender, Signals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (SignalSender(sender), Signals(receiver))
}
