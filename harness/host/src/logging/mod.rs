//! The agent's log, as Patroni's `log` section says: level, plain or JSON, standard error or files that are rotated.

mod line;
mod observer;
mod outage;
mod rotate;

use std::{io, panic, sync::OnceLock};

use pgdrill_agent::config::{LogConfig, LogLevel, LogType};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt::writer::BoxMakeWriter, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use self::{line::Line, rotate::Files};
pub use observer::LogObserver;

/// The log's file in `log.dir`.
pub const FILE: &str = "pgdrill.log";

/// A line as the log has it, without a line feed, for what is said while there is no log: before it is started, and by the
/// dead-man process. `level` is one of Python's names.
#[must_use]
pub fn line(config: &LogConfig, level: &str, text: &str) -> String {
    Line::new(config).now(level, text)
}

/// Starts logging, once in a process. Where lines are JSON, a panic is one, too.
///
/// # Errors
/// `log.dir` cannot be written.
pub fn start(config: &LogConfig) -> io::Result<()> {
    let writer = match &config.dir {
        None => BoxMakeWriter::new(io::stderr),
        Some(dir) => BoxMakeWriter::new(Files::open(dir.join(FILE), config.mode, config.file_size, config.file_num)?),
    };
    let layer = tracing_subscriber::fmt::layer().event_format(Line::new(config)).with_ansi(false).with_writer(writer);
    let (filter, handle) = reload::Layer::new(levels(config));
    // Only a second start can fail, and the first one's log serves as well.
    if tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().is_ok() {
        let _ = LEVELS.set(handle);
        if config.kind == LogType::Json {
            panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
        }
    }
    Ok(())
}

/// The levels of the log that was started.
static LEVELS: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Applies changed levels to the log that was started, if one was.
pub fn set_levels(config: &LogConfig) {
    if let Some(Err(error)) = LEVELS.get().map(|handle| handle.reload(levels(config))) {
        tracing::warn!("log.level: {error}");
    }
}

/// Our own modules at `log.level`. What libraries say is only of interest when something is wrong, or when they are asked.
fn levels(config: &LogConfig) -> Targets {
    let libraries = if config.level == LogLevel::Debug { LogLevel::Info } else { config.level.max(LogLevel::Warning) };
    let mut targets = Targets::new().with_default(filter(libraries)).with_target("pgdrill", filter(config.level));
    for (module, level) in &config.loggers {
        targets = targets.with_target(module.replace('.', "::"), filter(*level));
    }
    targets
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Critical => LevelFilter::ERROR,
    }
}
