//! `watchdog`, `log` and `pgdrill`: what keeps the agent itself in order.

use std::time::Duration;

use pgdrill_agent::{
    AgentConfig,
    config::{FencingConfig, FencingMode, LogConfig, LogLevel, LogType, WatchdogConfig, WatchdogMode},
};
use pgdrill_ha::config::resolve;
use pgdrill_settings::value::watchdog_mode;
use pgdrill_yaml::{At, Node, Reader, patroni as warts};

use super::value::{path, settings, switch, whole};

/// `watchdog`.
pub(super) fn watchdog(reader: &mut Reader<'_>, at: &At<'_>) -> WatchdogConfig {
    let mut it = WatchdogConfig::default();
    let mut fields = reader.fields(at);
    let modes =
        [("off", WatchdogMode::Off), ("automatic", WatchdogMode::Automatic), ("required", WatchdogMode::Required)];
    if let Some(at) = fields.take_set("mode") {
        let known = watchdog_mode(&at.node.to_json());
        let known = known.and_then(|known| modes.iter().find(|(word, _)| *word == known));
        it.mode = known.map(|(_, mode)| *mode).or_else(|| reader.word(&at, &modes)).unwrap_or_default();
    }
    if let Some(device) = fields.take_set("device").and_then(|at| path(reader, &at)) {
        it.device = device;
    }
    let margin = fields.take_set("safety_margin");
    if let Some(margin) = margin.and_then(|at| whole::<i64>(reader, &at, -1..=86_400, "seconds; -1: half the ttl")) {
        it.safety_margin = u64::try_from(margin).ok().map(Duration::from_secs);
    }
    warts::finish(reader, &fields);
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
        if let Some(seconds) = margin.and_then(|at| whole::<u32>(reader, &at, 0..=86_400, "seconds")) {
            it.safety_margin = Duration::from_secs(seconds.into());
        }
        warts::finish(reader, &fencing);
    }
    warts::finish(reader, &fields);
    it
}

/// `pgdrill.fencing.safety_margin` against the timings. With more than they leave, the dead-man process stops a primary whose
/// renewal is still on its way.
pub(super) fn margin(reader: &mut Reader<'_>, root: &Node, config: &AgentConfig) {
    const FIELD: &str = "pgdrill.fencing.safety_margin";
    let none = serde_json::json!({});
    let dcs = config.bootstrap.as_ref().map(|bootstrap| &bootstrap.dcs);
    let told = dcs.is_some_and(|dcs| ["ttl", "loop_wait", "retry_timeout"].iter().any(|name| dcs.get(name).is_some()));
    let timing = resolve(dcs.unwrap_or(&none), &none, &Default::default());
    let needed = timing.loop_wait + timing.retry_timeout * 2;
    let (margin, spare) = (config.fencing.safety_margin, timing.ttl.saturating_sub(needed));
    if config.fencing.mode == FencingMode::Off || margin <= spare {
        return;
    }
    let [spare, ttl, wait, retry, raised] =
        [spare, timing.ttl, timing.loop_wait, timing.retry_timeout, needed + margin].map(|time| time.as_secs());
    let expected = format!(
        "at most {spare}: what ttl ({ttl}) leaves after loop_wait ({wait}) + 2 * retry_timeout ({retry}), in seconds"
    );
    let help = format!("PostgreSQL would be stopped while its lock is still being renewed; raise ttl to {raised}, or");
    let place = root.locate(FIELD).place;
    let found = margin.as_secs().to_string();
    if told {
        reader.problem(place, FIELD, found, expected).help = format!("{help} lower the margin");
    } else {
        // The timings of a cluster that is already there are in the DCS.
        reader.warning(|reader| {
            reader.problem(place, FIELD, found, expected).help =
                format!("{help} the agent lowers the margin to what the cluster's timings leave");
        });
    }
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
    it.mode = fields.take_set("mode").and_then(|at| whole(reader, &at, 0..=0o777, "permissions, such as 0644"));
    if let Some(n) = fields.take_set("file_num").and_then(|at| whole(reader, &at, 0..=10_000, "files")) {
        it.file_num = n;
    }
    if let Some(n) = fields.take_set("file_size").and_then(|at| whole(reader, &at, 1024..=1 << 40, "bytes")) {
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
    warts::finish(reader, &fields);
    it
}
