//! One line of the log: `2026-11-24 15:00:00,123 INFO: text`, or the same as JSON with Patroni's names for the fields.

use std::fmt::{self, Write};

use jiff::Zoned;
use pgdrill_agent::config::{LogConfig, LogType};
use pgdrill_yaml::visible;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// How lines look.
pub(super) struct Line {
    json: bool,
    static_fields: Map<String, Value>,
}

impl Line {
    pub(super) fn new(config: &LogConfig) -> Self {
        Self { json: config.kind == LogType::Json, static_fields: config.static_fields.clone() }
    }

    /// A line of this moment.
    pub(super) fn now(&self, level: &str, text: &str) -> String {
        self.render(&Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string(), level, text)
    }

    fn render(&self, time: &str, level: &str, text: &str) -> String {
        if !self.json {
            // A log is read on terminals, and part of it is what others have said.
            return format!("{time} {level}: {}", visible(text));
        }
        let mut line = Map::new();
        line.insert("asctime".into(), time.into());
        line.insert("levelname".into(), level.into());
        line.insert("message".into(), text.into());
        line.extend(self.static_fields.clone());
        Value::Object(line).to_string()
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = Text::default();
        event.record(&mut text);
        writeln!(writer, "{}", self.now(level(*event.metadata().level()), &text.0))
    }
}

/// Python's names.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// An event's message, followed by its other fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            self.0.insert_str(0, &format!("{value:?}"));
            Ok(())
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_what_patroni_writes() {
        let mut config = LogConfig::default();
        let line = Line::new(&config).render("2026-11-24 15:00:00,123", "INFO", "no action");
        assert_eq!(line, "2026-11-24 15:00:00,123 INFO: no action");
        let line = Line::new(&config).render("t", "INFO", "PostgreSQL says \u{1b}[2J\r");
        assert_eq!(line, "t INFO: PostgreSQL says \u{241b}[2J\u{240d}");
        config.kind = LogType::Json;
        config.static_fields = json!({"app": "patroni"}).as_object().expect("an object").clone();
        let line = Line::new(&config).render("t", "WARNING", "a \"b\"\nc");
        assert_eq!(line, r#"{"asctime":"t","levelname":"WARNING","message":"a \"b\"\nc","app":"patroni"}"#);
    }
}
