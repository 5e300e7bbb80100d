//! `pgdrill ctl`: what an operator does to a cluster, with the commands, options and tables of `patronictl`, without Python.
//!
//! | file | commands |
//! |---|---|
//! | `listing` | `list`, `topology` |
//! | `history` | `history` |
//! | `configuration` | `show-config`, `edit-config` |
//! | `pause` | `pause`, `resume` |
//! | `switchover` | `switchover`, `failover` |
//! | `members` | `restart`, `reload`, `reinit`, `flush` |
//! | `sql` | `dsn`, `query` |
//! | `standby_cluster` | `demote-cluster`, `promote-cluster` |
//! | `about` | `version`, `remove` |
//!
//! Underneath: `session` (configuration file, etcd, members' REST API), `login` (PostgreSQL), `output` (formats), `typed` (values
//! of answers), `table`, `ask` (questions).

mod about;
mod ask;
mod configuration;
mod edit;
mod history;
mod listing;
mod login;
mod members;
mod output;
mod pause;
mod session;
mod sql;
mod standby_cluster;
mod switchover;
mod table;
mod typed;
mod yaml;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use pgdrill_yaml::{Problem, first_of_each};

use self::{output::Format, session::Session};
use super::{Failure, Screen, error};
use crate::input::draw;

const EXAMPLES: &str = "\
Examples:
  pgdrill ctl -c /etc/patroni/patroni.yml list
  pgdrill ctl -d etcd3://10.0.0.5:2379/service list demo -o json
  pgdrill ctl -c patroni.yml switchover --candidate pg2 --force
  pgdrill ctl -c patroni.yml edit-config -s ttl=20 -p max_connections=200 --force
  pgdrill ctl -c patroni.yml pause --wait
  pgdrill ctl -c patroni.yml demote-cluster --host 10.1.0.1 --port 5432

Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration.";

/// List and change a running cluster, as patronictl does
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CtlArgs {
    /// Configuration file: a patroni.yml or patronictl.yaml with scope, etcd3, ctl, restapi [env: PATRONICTL_CONFIG_FILE]
    #[arg(short = 'c', long, value_name = "FILE")]
    config_file: Option<std::path::PathBuf>,
    /// Where etcd is: HOST:PORT, or etcd3://HOST:PORT/NAMESPACE [env: DCS_URL]
    #[arg(short = 'd', long = "dcs-url", visible_alias = "dcs", value_name = "URL")]
    dcs_url: Option<String>,
    /// Do not check certificates of the members' REST API
    #[arg(short = 'k', long)]
    insecure: bool,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// List the members of a cluster
    List(listing::ListArgs),
    /// Show who replicates from whom
    Topology(listing::TopologyArgs),
    /// Show the history of failovers and switchovers
    History(history::HistoryArgs),
    /// Show the dynamic configuration
    ShowConfig(ClusterArg),
    /// Change the dynamic configuration
    EditConfig(configuration::EditArgs),
    /// Stop automatic failover (maintenance mode)
    Pause(pause::PauseArgs),
    /// Resume automatic failover
    Resume(pause::PauseArgs),
    /// Hand leadership over to a replica, now or later
    Switchover(switchover::SwitchoverArgs),
    /// Make a given replica the leader, also without a leader
    Failover(switchover::FailoverArgs),
    /// Restart PostgreSQL of members
    Restart(members::RestartArgs),
    /// Have members read their configuration again
    Reload(members::ReloadArgs),
    /// Throw replicas' data away and copy it anew
    Reinit(members::ReinitArgs),
    /// Take back scheduled restarts or a scheduled switchover
    Flush(members::FlushArgs),
    /// Demote cluster to a standby cluster
    DemoteCluster(standby_cluster::DemoteClusterArgs),
    /// Promote cluster, make it run standalone
    PromoteCluster(standby_cluster::PromoteClusterArgs),
    /// Print a connection string
    Dsn(sql::DsnArgs),
    /// Send SQL to a member
    Query(sql::QueryArgs),
    /// Print the version of pgdrill and of members
    Version(about::VersionArgs),
    /// Remove a cluster from etcd
    Remove(about::RemoveArgs),
}

/// The cluster that most commands take; the configuration file's `scope` if it is not given.
#[derive(Clone, Debug, Args)]
struct ClusterArg {
    /// Name of the cluster (scope); from the configuration file if it is not given
    #[arg(value_name = "CLUSTER_NAME")]
    cluster_name: Option<String>,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, Args)]
struct FormatArg {
    /// Output format
    #[arg(
        short = 'o',
        short_alias = 'f',
        long = "output",
        visible_alias = "format",
        value_enum,
        default_value = "pretty"
    )]
    format: Format,
}

/// Printing again and again.
#[derive(Clone, Copy, Debug, Args)]
struct WatchArgs {
    /// Print again every 2 seconds
    #[arg(short = 'W')]
    every_two: bool,
    /// Print again every so many seconds
    #[arg(short = 'w', long, value_name = "SECONDS", value_parser = seconds)]
    watch: Option<f64>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if seconds > 0.0 && seconds < 1e6 { Ok(seconds) } else { Err("expected a number of seconds above 0".into()) }
}

impl WatchArgs {
    fn interval(self) -> Option<std::time::Duration> {
        self.watch.or(self.every_two.then_some(2.0)).map(std::time::Duration::from_secs_f64)
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
enum Stop {
    /// Wrong usage or configuration: exit code 2.
    Usage(String),
    /// A file that cannot be used: exit code 2.
    Invalid(Vec<Problem>),
    /// Refused, impossible, or not answered: exit code 1.
    Failed(String),
}

type Done = Result<(), Stop>;

fn failed(text: impl Into<String>) -> Stop {
    Stop::Failed(text.into())
}

fn invalid(problems: Vec<Problem>) -> Stop {
    Stop::Invalid(first_of_each(problems))
}

fn usage(text: impl Into<String>) -> Stop {
    Stop::Usage(text.into())
}

/// Runs one command.
pub(crate) fn run(arguments: CtlArgs, screen: Screen) -> Result<ExitCode, Failure> {
    let mut screen = screen.plain();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::Usage(vec![error(format_args!("cannot start: {why}"))]))?;
    let done = runtime.block_on(carry_out(arguments, &mut screen));
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Stop::Usage(text)) => Err(Failure::Usage(vec![error(text)])),
        Err(Stop::Invalid(problems)) => Err(Failure::Usage(problems.iter().map(draw).collect())),
        Err(Stop::Failed(text)) => {
            // Nobody to tell when standard error is gone: the exit code is all that is left.
            let _ = writeln!(anstream::stderr().lock(), "{}", error(text));
            Ok(ExitCode::from(1))
        }
    }
}

async fn carry_out(arguments: CtlArgs, screen: &mut Screen) -> Done {
    let settings = session::read(arguments.config_file.as_deref(), arguments.dcs_url.as_deref(), arguments.insecure)?;
    let session = Session::new(settings);
    match arguments.command {
        CtlCommand::List(args) => listing::list(&session, screen, &args).await,
        CtlCommand::Topology(args) => listing::topology(&session, screen, &args).await,
        CtlCommand::History(args) => history::history(&session, screen, &args).await,
        CtlCommand::ShowConfig(args) => configuration::show(&session, screen, &args).await,
        CtlCommand::EditConfig(args) => configuration::edit(&session, screen, &args).await,
        CtlCommand::Pause(args) => pause::toggle(&session, screen, &args, true).await,
        CtlCommand::Resume(args) => pause::toggle(&session, screen, &args, false).await,
        CtlCommand::Switchover(args) => switchover::switchover(&session, screen, args).await,
        CtlCommand::Failover(args) => switchover::failover(&session, screen, args).await,
        CtlCommand::Restart(args) => members::restart(&session, screen, &args).await,
        CtlCommand::Reload(args) => members::reload(&session, screen, &args).await,
        CtlCommand::Reinit(args) => members::reinit(&session, screen, &args).await,
        CtlCommand::Flush(args) => members::flush(&session, screen, &args).await,
        CtlCommand::DemoteCluster(args) => standby_cluster::demote(&session, screen, &args).await,
        CtlCommand::PromoteCluster(args) => standby_cluster::promote(&session, screen, &args).await,
        CtlCommand::Dsn(args) => sql::dsn(&session, screen, &args).await,
        CtlCommand::Query(args) => sql::query(&session, screen, &args).await,
        CtlCommand::Version(args) => about::version(&session, screen, &args).await,
        CtlCommand::Remove(args) => about::remove(&session, screen, &args).await,
    }
}

/// Does something once, or again and again until interrupted, on a cleared screen.
async fn watching(
    screen: &mut Screen,
    watch: WatchArgs,
    clear: bool,
    mut once: impl AsyncFnMut() -> Result<String, Stop>,
) -> Done {
    let clear = clear && watch.interval().is_some() && std::io::stdout().is_terminal();
    loop {
        let began = tokio::time::Instant::now();
        let text = once().await?;
        if clear {
            screen.clear();
        }
        screen.print(&text);
        let Some(interval) = watch.interval() else { return Ok(()) };
        tokio::time::sleep_until(began + interval).await;
    }
}
