//! A queue in which packets wait, held by the kernel or by `pgdrill internal packet-delay` in the container.

use pgdrill_lab::player::Lateness;

use super::netem::{self, Mechanism};
use crate::{
    inside::packet_delay::Counts,
    machine::{Machine, State, Trouble},
};

/// Where queues keep their counts and the numbers of their processes, in the container.
const FOLDER: &str = "/run/pgdrill-queues";

/// A queue of one host.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) number: u16,
    /// The host whose packets wait in it.
    pub(super) at: String,
    /// How long they wait there.
    pub(super) late: Lateness,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) by: Mechanism,
}

impl Queue {
    /// The commands that open it; when they are done, packets can be sent to it.
    pub(super) fn open(&self) -> String {
        if self.by == Mechanism::Netem {
            return netem::open(self.number, self.late.add, self.late.jitter);
        }
        let (number, delay, jitter) = (self.number, self.late.add.as_micros(), self.late.jitter.as_micros());
        let rate = self.bytes_per_second.map_or_else(String::new, |rate| format!(" --bytes-per-second {rate}"));
        let file = format!("{FOLDER}/{number}");
        // The counts are written as soon as the queue is bound; a program that ends before has said why in its log.
        format!(
            "mkdir -p {FOLDER} && rm -f {file}.json && \
             {{ setsid pgdrill internal packet-delay --queue {number} --delay-us {delay} --jitter-us {jitter}{rate} \
             --counts {file}.json </dev/null >{file}.log 2>&1 & echo $! >{file}.pid; }} && \
             for i in $(seq 250); do [ -e {file}.json ] && break; sleep 0.02; done && \
             {{ [ -e {file}.json ] || {{ cat {file}.log >&2; false; }}; }}"
        )
    }

    /// The commands that close it; its rules must be gone. What still waits goes out.
    pub(super) fn close(&self) -> String {
        if self.by == Mechanism::Netem {
            return "true".to_owned();
        }
        let file = format!("{FOLDER}/{}", self.number);
        // A process that is gone already has nothing to be ended.
        format!("{{ kill -INT $(cat {file}.pid) 2>/dev/null || true; }}")
    }

    /// What was done to its packets so far; nothing while its container stands still, or when only the kernel knows.
    pub(super) async fn counts(&self, machine: &Machine) -> Result<Counts, Trouble> {
        if self.by == Mechanism::Netem || machine.state().await? != State::Running {
            return Ok(Counts::default());
        }
        let text = machine.script(&format!("cat {FOLDER}/{}.json", self.number)).await?;
        serde_json::from_str(&text).map_err(|e| machine.trouble(format!("the counts of a queue: {e}: {text}")))
    }
}
