//! The agent's side: [`DeadMan`] starts the process, hands it deadlines, and waits for its word.

use std::{
    ffi::OsStr,
    fs,
    future::pending,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pgdrill_agent::{
    config::{LogConfig, LogType},
    ports::{Fence, FenceError},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};
use tracing::{error, info, warn};

use super::{
    clock::{monotonic, suspended},
    wire::{ANSWER_BYTES, Answer, Order},
};

/// How long a new process has to say that it is there: it is a whole program that is loaded, on a machine that may be busy.
const THERE_WITHIN: Duration = Duration::from_secs(5);
/// The arguments by which one is known.
const ARGUMENTS: [&str; 2] = ["internal", "deadman"];

/// The dead-man process of one data directory. Dropping it closes the connection: a process that holds a deadline goes on.
pub struct DeadMan {
    program: PathBuf,
    data_dir: PathBuf,
    /// Static fields of the log, where it is JSON.
    json_fields: Option<String>,
    mine: Mutex<Option<Mine>>,
    numbers: AtomicU64,
    /// For how long the machine had been suspended when it was last looked at. A request for the lock that was sent after
    /// that has a deadline at least this much later on `CLOCK_BOOTTIME` than on `CLOCK_MONOTONIC`: a suspend since then
    /// must not be given to the deadline.
    suspended: Mutex<Duration>,
}

#[derive(Clone)]
struct Mine {
    pid: u32,
    orders: mpsc::UnboundedSender<Sent>,
    lives: watch::Receiver<bool>,
}

enum Sent {
    Order(Order, oneshot::Sender<bool>),
    Kill,
}

impl DeadMan {
    /// None is started yet. `program` is this program, or another that has `internal deadman DATA_DIR`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            data_dir: data_dir.into(),
            json_fields: None,
            mine: Mutex::default(),
            numbers: AtomicU64::new(1),
            suspended: Mutex::new(suspended()),
        }
    }

    /// What it says looks like the agent's log.
    #[must_use]
    pub fn logging_as(mut self, log: &LogConfig) -> Self {
        let fields = || Value::Object(log.static_fields.clone()).to_string();
        self.json_fields = (log.kind == LogType::Json).then(fields);
        self
    }

    /// The process id of the one that runs; for tests and for whoever injects faults.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.mine().map(|mine| mine.pid)
    }

    fn mine(&self) -> Option<Mine> {
        lock(&self.mine).clone().filter(|mine| *mine.lives.borrow())
    }

    fn spawn(&self) -> io::Result<Mine> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        let mut command = Command::new(&self.program);
        // An empty environment: passwords may be in ours.
        command.args(ARGUMENTS).arg(&self.data_dir).env_clear();
        if let Some(fields) = &self.json_fields {
            command.arg("--json-fields").arg(fields);
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        let child = command.spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        let (orders, receiver) = mpsc::unbounded_channel();
        let (tell, lives) = watch::channel(true);
        tokio::spawn(async move {
            keep(child, ours, receiver).await;
            tell.send_replace(false);
        });
        Ok(Mine { pid, orders, lives })
    }

    async fn order(&self, hold: Option<Duration>) -> Result<(), FenceError> {
        let gone = || FenceError::Unavailable("it has ended".into());
        let mine = self.mine().ok_or_else(gone)?;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        mine.orders.send(Sent::Order(Order { number, hold }, answer)).map_err(|_| gone())?;
        match answered.await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let text = format!("it cannot find the data directory {}", self.data_dir.display());
                Err(FenceError::Unavailable(text))
            }
            Err(_) => Err(gone()),
        }
    }
}

impl Fence for DeadMan {
    async fn start(&self) -> Result<(), FenceError> {
        if let Some(mut mine) = self.mine() {
            let _ = mine.orders.send(Sent::Kill);
            // It may be stopped: SIGKILL ends it all the same.
            let _ = timeout(THERE_WITHIN, mine.lives.wait_for(|lives| !lives)).await;
        }
        let program = self.program.display();
        let mine = self.spawn().map_err(|error| FenceError::Unavailable(format!("{program}: {error}")))?;
        info!("the dead-man process is {}", mine.pid);
        *lock(&self.mine) = Some(mine);
        timeout(THERE_WITHIN, self.order(None)).await.unwrap_or(Err(FenceError::Unanswered(THERE_WITHIN)))
    }

    fn is_running(&self) -> bool {
        *lock(&self.suspended) = suspended();
        self.mine().is_some()
    }

    async fn exited(&self) {
        match self.mine() {
            Some(mut mine) => drop(mine.lives.wait_for(|lives| !lives).await),
            None => pending().await,
        }
    }

    async fn hold(&self, deadline: Instant) -> Result<(), FenceError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let suspended = *lock(&self.suspended);
        self.order(Some(monotonic() + left + suspended)).await
    }

    async fn release(&self) -> Result<(), FenceError> {
        self.order(None).await
    }

    async fn retire_others(&self) -> Result<(), FenceError> {
        for pid in others(&self.data_dir, self.pid()).map_err(|error| FenceError::Unavailable(error.to_string()))? {
            // It has nothing to tidy up, and may be stopped.
            // SAFETY: no pointers. The arguments were read a moment ago, and a new process with this number and these
            // arguments would be another agent's dead-man on our data directory.
            if unsafe { libc::kill(pid, libc::SIGKILL) } == 0 {
                info!("the dead-man process {pid} of an earlier agent was ended");
            }
        }
        Ok(())
    }
}

/// Keeps one process company until it ends, or until its agent does.
async fn keep(mut child: Child, mut stream: UnixStream, mut orders: mpsc::UnboundedReceiver<Sent>) {
    let (mut bytes, mut read) = ([0; ANSWER_BYTES], 0);
    let mut waiting: Option<(u64, oneshot::Sender<bool>)> = None;
    loop {
        tokio::select! {
            sent = orders.recv() => match sent {
                Some(Sent::Order(order, answer)) => {
                    waiting = Some((order.number, answer));
                    // A connection that is broken is seen below, by its end.
                    let _ = stream.write_all(&order.encode()).await;
                }
                Some(Sent::Kill) => drop(child.start_kill()),
                None => return,
            },
            received = stream.read(&mut bytes[read..]) => match received {
                Ok(length @ 1..) => {
                    read += length;
                    if read == ANSWER_BYTES {
                        read = 0;
                        take(Answer::decode(&bytes), &mut waiting);
                    }
                }
                Ok(_) | Err(_) => {
                    let status = child.wait().await;
                    warn!("the dead-man process has ended: {status:?}");
                    return;
                }
            },
        }
    }
}

fn take(answer: Answer, waiting: &mut Option<(u64, oneshot::Sender<bool>)>) {
    let (number, obeyed) = match answer {
        Answer::Obeyed(number) => (number, true),
        Answer::Refused(number) => (number, false),
        Answer::Fired => return error!("the dead-man process has stopped PostgreSQL: the leadership ended unrenewed"),
    };
    // An answer to an order that nobody waits for any more is of no use.
    if let Some((_, sender)) = waiting.take_if(|(asked, _)| *asked == number) {
        let _ = sender.send(obeyed);
    }
}

/// Dead-man processes of a data directory other than ours.
fn others(data_dir: &Path, mine: Option<u32>) -> io::Result<Vec<i32>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |pid: &u32| {
        // A process that has ended since has no arguments.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<&OsStr> = line.split(|byte| *byte == 0).map(OsStr::from_bytes).collect();
        matches!(arguments[..], [_, first, second, dir, ..]
            if [first, second] == ARGUMENTS.map(OsStr::new) && dir == data_dir.as_os_str())
    };
    let found = pids.filter(|pid| Some(*pid) != mine && is_one(pid));
    Ok(found.filter_map(|pid| i32::try_from(pid).ok()).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
