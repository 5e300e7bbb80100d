//! Slow links in user space, where the kernel has no `netem`: a rule sends the packets of a link to an NFQUEUE; each is held
//! here until its time has come, then accepted.
//!
//! Packets of one flow stay in order, as on a link and as in the simulator: a reordered TCP segment would look like a lost
//! one, and the delay would turn into retransmissions. Kernel and queue count what passes through; [`Counts`] says what was
//! done to it, so that the lab has evidence.

mod schedule;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nfq::{Message, Queue, Verdict};
use schedule::Schedule;
use serde::{Deserialize, Serialize};

/// How often the queue is looked at while nothing is due: the delay's accuracy, and its cost.
const TICK: Duration = Duration::from_micros(500);

/// How often [`Counts`] are written.
const SAVE: Duration = Duration::from_millis(200);

/// Of a packet only its headers are needed: addresses and ports. The packet itself stays in the kernel.
const HEADERS: u16 = 96;

/// What a link does to its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The number of the NFQUEUE.
    pub queue: u16,
    /// How long each packet is held.
    pub delay: Duration,
    /// And up to so much longer, drawn evenly for each packet.
    pub jitter: Duration,
    /// Bytes per second that pass; the others wait for their turn.
    pub bytes_per_second: Option<u64>,
    /// Where [`Counts`] are written, as JSON.
    pub counts: PathBuf,
}

/// What was done to packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Packets that were held and let go.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that had to wait for their turn because of the bandwidth.
    pub waited: u64,
    /// Packets that found the line too long and were dropped, as a full router does.
    pub dropped: u64,
    /// How long all of them together were held, in microseconds.
    pub held_us: u64,
    /// The most by which a packet was let go too late, in microseconds.
    pub latest_us: u64,
}

impl Counts {
    /// How long a packet was held on average.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.held_us.checked_div(self.packets).unwrap_or(0))
    }
}

/// A packet that waits.
struct Waiting {
    message: Message,
    since: Instant,
}

/// Holds packets until `stop` is set; then everything that is still held goes out at once.
///
/// # Errors
/// When the queue cannot be opened (`CAP_NET_ADMIN` is needed) or breaks, or the counts cannot be written.
pub fn hold(held: &Held, stop: &Arc<AtomicBool>) -> io::Result<()> {
    let mut queue = open(held.queue)?;
    let mut schedule = Schedule::new(held, Instant::now());
    let mut waiting: BTreeMap<(Instant, u64), Waiting> = BTreeMap::new();
    let (mut counts, mut ordinal) = (Counts::default(), 0);
    let mut saved = Instant::now();
    save(&held.counts, &counts)?;
    while !stop.load(Ordering::Relaxed) {
        while let Some(mut message) = receive(&mut queue)? {
            let since = Instant::now();
            match schedule.due(since, message.get_payload(), message.get_original_len(), &mut counts) {
                Some(due) => {
                    ordinal += 1;
                    waiting.insert((due, ordinal), Waiting { message, since });
                }
                None => {
                    message.set_verdict(Verdict::Drop);
                    queue.verdict(message)?;
                }
            }
        }
        release(&mut queue, &mut waiting, Instant::now(), &mut counts)?;
        if saved.elapsed() > SAVE {
            save(&held.counts, &counts)?;
            saved = Instant::now();
        }
        let next = waiting.first_key_value().map(|((due, _), _)| due.saturating_duration_since(Instant::now()));
        std::thread::sleep(next.map_or(TICK, |wait| wait.min(TICK)));
    }
    while let Some(((due, _), _)) = waiting.last_key_value() {
        let due = *due;
        release(&mut queue, &mut waiting, due, &mut counts)?;
    }
    save(&held.counts, &counts)
}

fn open(number: u16) -> io::Result<Queue> {
    let mut queue = Queue::open()?;
    queue.bind(number)?;
    queue.set_copy_range(number, HEADERS)?;
    // Segments that the network card would cut up stay whole: cutting them here would cost most of the time.
    queue.set_recv_gso(number, true)?;
    queue.set_queue_max_len(number, 65_536)?;
    // When this program cannot keep up, packets pass undelayed rather than get lost.
    queue.set_fail_open(number, true)?;
    queue.set_nonblocking(true);
    Ok(queue)
}

fn receive(queue: &mut Queue) -> io::Result<Option<Message>> {
    match queue.recv() {
        Ok(message) => Ok(Some(message)),
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Lets everything go that is due at `until`.
fn release(
    queue: &mut Queue,
    waiting: &mut BTreeMap<(Instant, u64), Waiting>,
    until: Instant,
    counts: &mut Counts,
) -> io::Result<()> {
    while waiting.first_key_value().is_some_and(|((due, _), _)| *due <= until) {
        let Some(((due, _), mut packet)) = waiting.pop_first() else { break };
        let now = Instant::now();
        counts.packets += 1;
        counts.bytes += packet.message.get_original_len() as u64;
        counts.held_us += micros(now.saturating_duration_since(packet.since));
        counts.latest_us = counts.latest_us.max(micros(now.saturating_duration_since(due)));
        packet.message.set_verdict(Verdict::Accept);
        queue.verdict(packet.message)?;
    }
    Ok(())
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A reader never finds half of it.
fn save(to: &Path, counts: &Counts) -> io::Result<()> {
    let draft = to.with_extension("draft");
    fs::write(&draft, serde_json::to_vec(counts)?)?;
    fs::rename(draft, to)
}
