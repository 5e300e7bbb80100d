//! The agent's log, as Patroni's `log` section says: level, plain or JSON, standard error or files that are rotated.

mod line;
mod observer;
mod rotate;

use std::io;

use pgdrill_agent::config::{LogConfig, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt::writer::BoxMakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

use self::{line::Line, rotate::Files};
pub use observer::LogObserver;

/// The log's file in `log.dir`.
pub const FILE: &str = "pgdrill.log";

/// Starts logging, once in a process.
///
/// # Errors
/// `log.dir` cannot be written.
pub fn start(config: &LogConfig) -> io::Result<()> {
    let writer = match &config.dir {
        None => BoxMakeWriter::new(io::stderr),
        Some(dir) => BoxMakeWriter::new(Files::open(dir.join(FILE), config.mode, config.file_size, config.file_num)?),
    };
    let layer = tracing_subscriber::fmt::layer().event_format(Line::new(config)).with_ansi(false).with_writer(writer);
    // Only a second start can fail, and the first one's log serves as well.
    let _ = tracing_subscriber::registry().with(layer.with_filter(levels(config))).try_init();
    Ok(())
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
