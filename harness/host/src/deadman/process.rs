//! The process itself. Its loop allocates nothing, reads no file outside `/proc`, and waits for two things: the agent, and
//! the clock.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use pgdrill_agent::config::LogConfig;

use super::{
    clock::{Timer, boottime},
    guard::{Ended, Guard},
    wire::{Answer, ORDER_BYTES, Order},
};
use crate::logging;

/// Runs the dead-man process of a data directory on the connection that is its standard input, until the agent is gone and
/// there is nothing to hold. `log`: how the agent's log looks, where it is JSON.
///
/// # Errors
/// When it cannot get ready: standard input is no socket, `/proc` cannot be read, the kernel gives no timer.
pub fn run(data_dir: &Path, log: Option<LogConfig>) -> io::Result<()> {
    get_out_of_harms_way();
    let guard = Guard::new(data_dir)?;
    // SAFETY: standard input is open for as long as the process lives, and nothing else here uses it.
    let agent = unsafe { UnixStream::from_raw_fd(libc::STDIN_FILENO) };
    agent.set_nonblocking(true)?;
    // Not a socket: started by hand.
    agent.peer_addr()?;
    let timer = Timer::new()?;
    // All memory that will ever be needed is there by now. Where it may not be locked, the kernel may have to read the
    // program anew when it matters; each order goes through most of it, so that it is not the first to be dropped.
    // SAFETY: no pointers.
    unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) };
    DeadMan { agent: Some(agent), timer, guard, log, held: None, order: [0; ORDER_BYTES], read: 0 }.hold_out()
}

/// What stops agents must not stop this: the terminal, a hang-up, the lack of memory or of processor time. Each where it is
/// permitted; SIGTERM still ends it, so that the shutdown of a machine does not wait for it.
fn get_out_of_harms_way() {
    // SAFETY: plain system calls without pointers.
    unsafe {
        libc::setsid();
        for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let realtime = libc::sched_param { sched_priority: 1 };
        if libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const realtime) != 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, -20);
        }
    }
    // Not permitted to everybody, and no loss of function then.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = std::env::set_current_dir("/");
}

struct DeadMan {
    /// `None`: the agent is gone.
    agent: Option<UnixStream>,
    timer: Timer,
    guard: Guard,
    log: Option<LogConfig>,
    /// On `CLOCK_BOOTTIME`.
    held: Option<Duration>,
    /// An order as far as it has been read.
    order: [u8; ORDER_BYTES],
    read: usize,
}

impl DeadMan {
    fn hold_out(mut self) -> io::Result<()> {
        while self.agent.is_some() || self.held.is_some() {
            self.wait()?;
            // Orders first: if this process was itself held up, a deadline that has passed may have been replaced since.
            while let Some(order) = self.next_order() {
                self.obey(order)?;
            }
            if self.held.is_some_and(|deadline| boottime() >= deadline) {
                self.fire()?;
            }
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // A negative descriptor is passed over.
        let agent = self.agent.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let mut both = [poll(agent), poll(self.timer.fd())];
        // SAFETY: the array has two entries.
        match unsafe { libc::poll(both.as_mut_ptr(), 2, -1) } {
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error),
            },
            _ => Ok(()),
        }
    }

    fn next_order(&mut self) -> Option<Order> {
        loop {
            match self.agent.as_mut()?.read(&mut self.order[self.read..]) {
                Ok(length @ 1..) => self.read += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Closed or broken: from now on only the clock counts.
                Ok(_) | Err(_) => self.agent = None,
            }
            if self.read == ORDER_BYTES {
                self.read = 0;
                return Some(Order::decode(&self.order));
            }
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        // Nothing can be promised of a directory that cannot be found.
        let possible = self.guard.rehearse() || order.hold.is_none();
        if possible {
            self.held = order.hold;
            self.timer.set(self.held)?;
        }
        let answer = if possible { Answer::Obeyed(order.number) } else { Answer::Refused(order.number) };
        self.answer(answer);
        Ok(())
    }

    fn fire(&mut self) -> io::Result<()> {
        let ended = self.guard.stop();
        self.held = None;
        self.timer.set(None)?;
        self.answer(Answer::Fired);
        let text = match ended {
            Ended::Nothing => "dead-man: the leadership has ended unrenewed; no PostgreSQL was running",
            Ended::Quit => "dead-man: the leadership has ended unrenewed; PostgreSQL was stopped",
            Ended::Killed => "dead-man: the leadership has ended unrenewed; PostgreSQL was killed",
            Ended::Stuck => "dead-man: the leadership has ended unrenewed; PostgreSQL was killed and does not end",
        };
        // Last: what this takes, memory among it, must not keep anything from being stopped, and whoever reads it may stand
        // still, and then so does this process.
        let line = self.log.as_ref().map_or_else(|| text.to_owned(), |log| logging::line(log, "WARNING", text));
        let _ = io::stderr().write(format!("{line}\n").as_bytes());
        Ok(())
    }

    /// An agent that does not read learns nothing; it is not waited for.
    fn answer(&mut self, answer: Answer) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.write(&answer.encode());
        }
    }
}
