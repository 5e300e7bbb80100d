//! `pgdrill internal`: what the binary does inside a container of a run, started there by the lab. Not for people.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pgdrill_agent::config::{LogConfig, LogType};
use pgdrill_containers::inside::{clients, packet_delay, processes, steer, watchdog};

use super::{Failure, error};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum InternalCommand {
    /// The workload's clients
    Clients {
        /// What they do, as JSON
        plan: PathBuf,
    },
    /// Follows the processes of this container
    Processes,
    /// The dead-man process of a data directory; its agent is on standard input
    Deadman {
        /// PostgreSQL's data directory
        data_dir: PathBuf,
        /// What it says is a line of JSON, with these fields, an object, among its own
        #[arg(long)]
        json_fields: Option<String>,
    },
    /// Holds packets of an NFQUEUE, until SIGINT
    PacketDelay(PacketDelayArgs),
    /// Steers the fault shim, and prints what its file says then
    Steer {
        /// The steering file; it is made when there is none
        file: PathBuf,
        /// Steps the wall clock by so many nanoseconds
        #[arg(long, value_name = "NS", default_value_t = 0, allow_negative_numbers = true)]
        step_ns: i64,
        /// Makes every fsync so much slower, in nanoseconds
        #[arg(long, value_name = "NS")]
        fsync_ns: Option<u64>,
        /// Switches the watchdog device off
        #[arg(long)]
        watchdog_off: bool,
    },
    /// Says when the watchdog device goes off
    Watchdog {
        /// The steering file
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct PacketDelayArgs {
    /// Number of the NFQUEUE
    #[arg(long)]
    queue: u16,
    /// How long each packet is held, in microseconds
    #[arg(long)]
    delay_us: u64,
    /// And up to so much longer, in microseconds
    #[arg(long, default_value_t = 0)]
    jitter_us: u64,
    /// What passes per second
    #[arg(long)]
    bytes_per_second: Option<u64>,
    /// Where counts are written, as JSON
    #[arg(long)]
    counts: PathBuf,
}

/// Does it.
pub(crate) fn run(command: &InternalCommand) -> Result<ExitCode, Failure> {
    let done = match command {
        InternalCommand::Clients { plan } => fs::read(plan)
            .and_then(|text| serde_json::from_slice(&text).map_err(std::io::Error::other))
            .and_then(|plan| clients::run(&plan)),
        InternalCommand::Processes => processes::watch(),
        InternalCommand::Deadman { data_dir, json_fields } => {
            pgdrill_host::deadman::run(data_dir, json_fields.as_deref().map(json_log))
        }
        InternalCommand::PacketDelay(arguments) => packet_delay(arguments),
        InternalCommand::Steer { file, step_ns, fsync_ns, watchdog_off } => {
            steer(file, &steer::Change { step_ns: *step_ns, fsync_ns: *fsync_ns, watchdog_off: *watchdog_off })
        }
        InternalCommand::Watchdog { file } => watchdog::watch(file),
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => Err(Failure::Usage(vec![error(format_args!("{command:?}: {why}"))])),
    }
}

fn packet_delay(arguments: &PacketDelayArgs) -> io::Result<()> {
    let held = packet_delay::Held {
        queue: arguments.queue,
        delay: Duration::from_micros(arguments.delay_us),
        jitter: Duration::from_micros(arguments.jitter_us),
        bytes_per_second: arguments.bytes_per_second,
        counts: arguments.counts.clone(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    ctrlc::set_handler(move || told.store(true, Ordering::Relaxed)).map_err(io::Error::other)?;
    packet_delay::hold(&held, &stop)
}

fn steer(file: &Path, change: &steer::Change) -> io::Result<()> {
    let steering = steer::steer(file, change)?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&steering)?)
}

/// How the agent's log looks. Fields that cannot be read are left out: nothing may keep a dead-man process from starting.
fn json_log(fields: &str) -> LogConfig {
    let static_fields = serde_json::from_str(fields).unwrap_or_default();
    LogConfig { kind: LogType::Json, static_fields, ..LogConfig::default() }
}
