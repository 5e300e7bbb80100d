//! `watchdog`, `log` and `pgdrill`: what keeps the agent itself in order.

use std::time::Duration;

use pgdrill_agent::config::{FencingConfig, FencingMode, LogConfig, LogLevel, LogType, WatchdogConfig, WatchdogMode};
use pgdrill_yaml::{At, Reader};

use super::value::{path, settings, switch};

/// `watchdog`.
pub(super) fn watchdog(reader: &mut Reader<'_>, at: &At<'_>) -> WatchdogConfig {
    let mut it = WatchdogConfig::default();
    let mut fields = reader.fields(at);
    let modes =
        [("off", WatchdogMode::Off), ("automatic", WatchdogMode::Automatic), ("required", WatchdogMode::Required)];
    if let Some(mode) = fields.take_set("mode").and_then(|at| reader.word(&at, &modes)) {
        it.mode = mode;
    }
    if let Some(device) = fields.take_set("device").and_then(|at| path(reader, &at)) {
        it.device = device;
    }
    let margin = fields.take_set("safety_margin");
    if let Some(margin) = margin.and_then(|at| reader.integer::<i64>(&at, -1..=86_400, "seconds; -1: half the ttl")) {
        it.safety_margin = u64::try_from(margin).ok().map(Duration::from_secs);
    }
    fields.finish(reader);
    it
}

/// `pgdrill`: what Patroni does not know.
pub(super) fn pgdrill(reader: &mut Reader<'_>, at: &At<'_>) -> FencingConfig {
    let mut it = FencingConfig::default();
    let mut fields = reader.fields(at);
    if let Some(at) = fields.take_set("fencing") {
        let mut fencing = reader.fields(&at);
        let modes =
            [("off", FencingMode::Off), ("automatic", FencingMode::Automatic), ("required", FencingMode::Required)];
        if let Some(mode) = fencing.take_set("mode").and_then(|at| reader.word(&at, &modes)) {
            it.mode = mode;
        }
        let margin = fencing.take_set("safety_margin");
        if let Some(seconds) = margin.and_then(|at| reader.integer::<u32>(&at, 0..=86_400, "seconds")) {
            it.safety_margin = Duration::from_secs(seconds.into());
        }
        fencing.finish(reader);
    }
    fields.finish(reader);
    it
}

const LEVELS: [(&str, LogLevel); 7] = [
    ("DEBUG", LogLevel::Debug),
    ("INFO", LogLevel::Info),
    ("WARNING", LogLevel::Warning),
    ("WARN", LogLevel::Warning),
    ("ERROR", LogLevel::Error),
    ("CRITICAL", LogLevel::Critical),
    ("FATAL", LogLevel::Critical),
];

/// `log`.
pub(super) fn log(reader: &mut Reader<'_>, at: &At<'_>) -> LogConfig {
    let mut it = LogConfig::default();
    let mut fields = reader.fields(at);
    let types = [("plain", LogType::Plain), ("json", LogType::Json)];
    it.kind = fields.take_set("type").and_then(|at| reader.word(&at, &types)).unwrap_or_default();
    it.level = fields.take_set("level").and_then(|at| reader.word(&at, &LEVELS)).unwrap_or_default();
    if let Some(at) = fields.take_set("loggers") {
        for (key, node) in reader.fields(&at).rest() {
            let level = reader.word(&At { node, path: at.field(&key.name) }, &LEVELS);
            it.loggers.extend(level.map(|level| (key.name.clone(), level)));
        }
    }
    it.static_fields = fields.take_set("static_fields").map(|at| settings(reader, &at)).unwrap_or_default();
    it.dir = fields.take_set("dir").and_then(|at| path(reader, &at));
    it.mode = fields.take_set("mode").and_then(|at| reader.integer(&at, 0..=0o777, "permissions, such as 0644"));
    if let Some(n) = fields.take_set("file_num").and_then(|at| reader.integer(&at, 0..=10_000, "files")) {
        it.file_num = n;
    }
    if let Some(n) = fields.take_set("file_size").and_then(|at| reader.integer(&at, 1024..=1 << 40, "bytes")) {
        it.file_size = n;
    }
    let deduplicate = fields.take_set("deduplicate_heartbeat_logs").and_then(|at| switch(reader, &at));
    it.deduplicate_heartbeat_logs = deduplicate.unwrap_or(false);
    for name in ["format", "dateformat"] {
        if let Some(at) = fields.take_set(name) {
            reader.warning(|reader| {
                let found = format!("the field {name}");
                reader.problem(at.node.place, &at.path, found, "log.type: plain or json").help =
                    "Python's format strings are passed over: a line is time, level, message and fields".into();
            });
        }
    }
    for without_effect in ["traceback_level", "max_queue_size"] {
        // Python's tracebacks and the queue in front of its log files.
        fields.take(without_effect);
    }
    fields.finish(reader);
    it
}
