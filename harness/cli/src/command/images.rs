//! `pgdrill images`: the images of the real worlds, built, listed and removed.

use std::{
    io::{IsTerminal, stderr},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use pgdrill_containers::images::{self, Engine, Images, Listed, Source, Step, Wanted};
use pgdrill_lab::verdict;
use pgdrill_yaml::visible;

use super::{Failure, Screen, unless_interrupted};
use crate::playing::INTERRUPTED;

const BUILD_EXAMPLES: &str = "\
Examples:
  pgdrill images build
  pgdrill images build --from debian
  pgdrill images build --binary target/images/release/pgdrill

Behind a proxy: HTTP_PROXY, HTTPS_PROXY and NO_PROXY are given to what fetches Debian packages and Python packages, here and
in builds. Images are pulled by the Docker daemon, whose proxy is set where it is started (`systemctl edit docker`).";

#[derive(Debug, Subcommand)]
pub(crate) enum ImagesCommand {
    /// Build the images of etcd, PostgreSQL, Patroni and HAProxy, or find them built
    #[command(after_help = BUILD_EXAMPLES)]
    Build {
        /// What to build from: upstream's images, or Debian packages and PyPI without any registry
        #[arg(long, value_enum, default_value = "auto")]
        from: From,
        /// The pgdrill to put into the images [default: the running one]
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// Do not tell what is being done
        #[arg(long, short)]
        quiet: bool,
    },
    /// List the images that are built
    List,
    /// Remove the images that are built
    Remove {
        /// Also what a later build would start from
        #[arg(long)]
        all: bool,
    },
}

/// A source, or whichever works.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum From {
    /// What is there, then what can be pulled, then Debian packages
    Auto,
    /// Upstream's images
    Registry,
    /// Debian packages and PyPI
    Debian,
}

/// Does it.
pub(crate) fn run(command: ImagesCommand, mut screen: Screen) -> Result<ExitCode, Failure> {
    match command {
        ImagesCommand::Build { from, binary, quiet } => {
            let source = match from {
                From::Auto => None,
                From::Registry => Some(Source::Registry),
                From::Debian => Some(Source::Debian),
            };
            let began = Instant::now();
            let teller = Teller::new(quiet);
            let wanted = Wanted { source, binary };
            let built = unless_interrupted(async {
                let engine = Engine::connect().await?;
                images::build(&engine, &wanted, &|step| teller.tell(step)).await
            });
            teller.bar.finish_and_clear();
            let Some(built) = built? else { return Ok(ExitCode::from(INTERRUPTED)) };
            screen.print(&told(&built, began.elapsed()));
        }
        ImagesCommand::List => {
            let listed = unless_interrupted(async { images::list(&Engine::connect().await?).await });
            let Some(listed) = listed? else { return Ok(ExitCode::from(INTERRUPTED)) };
            screen.print(&table(&listed));
        }
        ImagesCommand::Remove { all } => {
            let removed = unless_interrupted(async { images::remove(&Engine::connect().await?, all).await });
            let Some(removed) = removed? else { return Ok(ExitCode::from(INTERRUPTED)) };
            let plural = if removed.len() == 1 { "name" } else { "names" };
            screen.print(&format!("{} image {plural} removed\n", removed.len()));
        }
    }
    Ok(verdict::ExitCode::Pass.into())
}

/// Tells steps on standard error: one line that changes on a terminal, one line for each step elsewhere.
struct Teller {
    bar: ProgressBar,
    began: Instant,
    lines: bool,
}

impl Teller {
    fn new(quiet: bool) -> Self {
        let terminal = stderr().is_terminal();
        let bar = if terminal && !quiet { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, began: Instant::now(), lines: !quiet }
    }

    fn tell(&self, step: Step<'_>) {
        let text = format!("{}: {}", step.what, step.says);
        if step.begins && self.lines {
            let line = format!("{:5.1} s  {text}", self.began.elapsed().as_secs_f64());
            self.bar.suspend(|| anstream::eprintln!("{}", visible(&line)));
        }
        self.bar.set_message(visible(&text).into_owned());
    }
}

fn told(built: &Images, took: Duration) -> String {
    let widest = built.images.iter().map(|ready| ready.reference.len()).max().unwrap_or(0);
    let mut text = String::new();
    for ready in &built.images {
        let state = if ready.cached { "found" } else { "built" };
        text.push_str(&format!("{state}  {:widest$}  {}\n", ready.reference, ready.versions));
    }
    text.push_str(&format!("from {} in {:.1} s\n", built.source.name(), took.as_secs_f64()));
    text
}

fn table(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "no images are built: pgdrill images build\n".to_owned();
    }
    let widest = listed.iter().map(|one| one.reference.len()).max().unwrap_or(0);
    let row = |one: &Listed| {
        let mib = one.size_bytes >> 20;
        format!("{:widest$}  {:8}  {mib:4} MiB  {}\n", one.reference, one.source, one.versions)
    };
    listed.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_each_image_holds() {
        let one = Listed {
            reference: "pgdrill/node:latest".into(),
            source: "debian".into(),
            versions: "PostgreSQL 16.14".into(),
            size_bytes: 300 << 20,
            created_s: 0,
        };
        assert_eq!(table(&[one]), "pgdrill/node:latest  debian     300 MiB  PostgreSQL 16.14\n");
        assert!(table(&[]).contains("pgdrill images build"));
    }
}
