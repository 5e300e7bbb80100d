//! The colours of everything that is printed. One meaning, one style: red is what went wrong, green what works.
//!
//! Reports always carry their styles; whoever writes them to a stream that is no terminal strips them (`anstream`).

use anstyle::{AnsiColor, Style};

/// A primary; a run that passed.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// A violation, an outage, a process that is down.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is neither good nor bad yet: unknown outcomes, nodes that do not answer.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// What the scenario does to the cluster.
pub(crate) const FAULT: Style = AnsiColor::Magenta.on_default();
/// A replica at work.
pub(crate) const REPLICA: Style = AnsiColor::Cyan.on_default();
/// The leader lock.
pub(crate) const LOCK: Style = AnsiColor::Blue.on_default().bold();
/// What may be skipped when reading.
pub(crate) const QUIET: Style = Style::new().dimmed();
/// Headings.
pub(crate) const HEADING: Style = Style::new().bold();

/// The text in the style.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
