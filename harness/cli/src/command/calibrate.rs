//! `pgdrill calibrate`: measures on real PostgreSQL what the simulator's model cannot know.

use std::{collections::BTreeMap, net::TcpListener, num::NonZeroU8, path::PathBuf, process::ExitCode};

use pgdrill_host::calibrate::{Durations, Plan, measure};
use pgdrill_lab::verdict;
use pgdrill_sim::Calibration;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Failure, Screen, error, unless_interrupted};
use crate::{output::Outputs, playing::INTERRUPTED};

const EXAMPLES: &str = "\
Examples:
  pgdrill calibrate --bin-dir /usr/lib/postgresql/16/bin --dir /var/lib/postgresql --output ours.json
  pgdrill run my-outage.yaml --seeds 0..50 --calibration ours.json
  pgdrill compare my-outage.yaml --calibration ours.json

It makes PostgreSQL servers of its own in a new folder below --dir, on two free ports of 127.0.0.1, and removes them. It
takes about a minute. PostgreSQL does not run as root: run it as the user that your servers run as.";

/// Measure how long PostgreSQL takes here, for the simulator
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CalibrateArgs {
    /// The folder with PostgreSQL's programs [default: those in PATH]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// A folder on the file system that your data directories are on
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// How often each figure is taken; the median counts
    #[arg(long, value_name = "N", default_value = "5")]
    tries: NonZeroU8,
    /// Where it was measured, in words, for whoever reads the file
    #[arg(long, value_name = "TEXT")]
    place: Option<String>,
    /// Write the file here [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(arguments: &CalibrateArgs, mut screen: Screen) -> Result<ExitCode, Failure> {
    let usage = |why: &dyn std::fmt::Display| Failure::Usage(vec![error(why)]);
    let ports = free_ports().map_err(|why| usage(&why))?;
    let plan = Plan {
        bin_dir: arguments.bin_dir.clone(),
        dir: arguments.dir.clone(),
        ports,
        tries: usize::from(arguments.tries.get()),
    };
    let mut outputs = Outputs::default();
    let output = outputs.open("--output", arguments.output.as_deref());
    outputs.opened().map_err(|problems| Failure::Usage(problems.iter().map(error).collect()))?;
    // Interrupted, the bench is dropped, which ends its servers and removes its folder.
    let measured = unless_interrupted(measure(&plan, |what| eprintln!("measuring: {what}")))?;
    let Some(measured) = measured else { return Ok(ExitCode::from(INTERRUPTED)) };
    let calibration = calibration(&measured, arguments).map_err(|why| usage(&why))?;
    let mut document = serde_json::to_string_pretty(&calibration).map_err(|why| usage(&why))?;
    document.push('\n');
    match output {
        Some(output) => output.write(document.as_bytes()).map_err(|why| usage(&why))?,
        None => screen.print(&document),
    }
    Ok(verdict::ExitCode::Pass.into())
}

/// Two ports that nobody listens on. Somebody may take one before PostgreSQL does; then its start says so.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let (one, two) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([one.local_addr()?.port(), two.local_addr()?.port()])
}

/// What was measured, over what is only assumed.
fn calibration(measured: &Durations, arguments: &CalibrateArgs) -> serde_json::Result<Calibration> {
    let mut calibration = Calibration::shipped();
    let place = arguments.place.clone().unwrap_or_else(|| arguments.dir.display().to_string());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    calibration.measured = format!(
        "{} on {}, {place}, {cores} cores, medians of {} tries; boot_s and checkpoint_timeout_s are assumed",
        measured.server,
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        arguments.tries,
    );
    calibration.postgresql = overlaid(&calibration.postgresql, measured)?;
    Ok(calibration)
}

/// What was measured takes the place of what is assumed; in both a figure has the same name, and one that the simulator does not
/// know is an error.
fn overlaid<T: Serialize + DeserializeOwned>(assumed: &T, measured: &Durations) -> serde_json::Result<T> {
    let mut figures: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(assumed)?)?;
    let measured: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(measured)?)?;
    figures.extend(measured);
    serde_json::from_value(serde_json::to_value(figures)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(of: &impl Serialize) -> BTreeMap<String, Value> {
        serde_json::from_value(serde_json::to_value(of).expect("it is JSON")).expect("it is an object")
    }

    #[test]
    fn every_measured_figure_takes_the_place_of_the_assumed_one_and_no_other_does() {
        let measured = Durations {
            server: "PostgreSQL 16.14".to_owned(),
            initdb_s: 1.5,
            start_s: 2.5,
            basebackup_s: 3.5,
            basebackup_bytes_per_s: 4.5,
            empty_cluster_bytes: 5,
            rewind_s: 6.5,
            replay_bytes_per_s: 7.5,
            promote_s: 8.5,
            checkpoint_s: 9.5,
            connect_s: 10.5,
            single_user_s: 11.5,
            fsync_s: 12.5,
            checkpoint_after_promote_s: 13.5,
        };
        let shipped = Calibration::shipped().postgresql;
        let mut expected = figures(&shipped);
        expected.extend(figures(&measured));
        let found = figures(&overlaid(&shipped, &measured).expect("the simulator knows every figure"));
        assert_eq!(found, expected);
        assert_eq!(found["checkpoint_timeout_s"], figures(&shipped)["checkpoint_timeout_s"]);
    }
}
