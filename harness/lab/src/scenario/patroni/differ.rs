//! In which settings a scenario with a user's own `patroni.yml` differs from the scenario alone, and how it would be with one of them as
//! the scenario has it. Whoever looks for the setting that makes a run fail asks these one after the other.

use serde_json::{Map, Value, json};

use super::{Fate, Patroni, account::fate_of_parameter};
use crate::scenario::Scenario;

/// `loop_wait + 2 * retry_timeout <= ttl` ties these together: one of them alone might break it.
const TIMES: [&str; 3] = ["ttl", "loop_wait", "retry_timeout"];

/// What changes no run: names, and the file itself.
const NAMES: [&str; 3] = ["file", "scope", "namespace"];

/// Settings that a file brought, and that say the same together.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Each setting with its value in the file, and with that of the scenario alone: `ttl 60 instead of 30`.
    pub words: String,
    /// Where they are; none: the watchdog and the dead-man process, which belong to the cluster.
    paths: Vec<Vec<String>>,
}

impl Difference {
    /// A scenario with these settings as another one has them.
    ///
    /// # Panics
    /// Never: settings that were written are read.
    #[must_use]
    pub fn moved(&self, scenario: &Scenario, from: &Scenario) -> Scenario {
        let mut it = scenario.clone();
        if self.paths.is_empty() {
            it.cluster.fencing = from.cluster.fencing;
            it.cluster.watchdog.clone_from(&from.cluster.watchdog);
            it.cluster.patroni.watchdog = from.cluster.patroni.watchdog;
            return it;
        }
        let (mut settings, theirs) = (json(&it.cluster.patroni), leaves(&json(&from.cluster.patroni)));
        for path in &self.paths {
            set(&mut settings, path, value_at(&theirs, path).cloned());
        }
        let said = std::mem::take(&mut it.cluster.patroni.said);
        let read = serde_json::from_value(settings).expect("settings that were written are read");
        it.cluster.patroni = Patroni { said, ..read };
        it
    }
}

/// In what they differ, in the order of the settings. What the simulator does not act upon is left out.
#[must_use]
pub fn differences(with_file: &Scenario, alone: &Scenario) -> Vec<Difference> {
    let fields = |scenario: &Scenario| leaves(&json(&scenario.cluster.patroni));
    let (with, without) = (fields(with_file), fields(alone));
    let mut paths: Vec<&Vec<String>> = with.iter().map(|(path, _)| path).collect();
    paths.extend(without.iter().map(|(path, _)| path).filter(|path| value_at(&with, path).is_none()));
    let (mut times, mut found): (Vec<Difference>, Vec<Difference>) = (Vec::new(), Vec::new());
    for path in paths {
        let (its, own) = (value_at(&with, path), value_at(&without, path));
        if its == own || !counts(path) {
            continue;
        }
        let words = format!("{} {} instead of {}", path.join("."), word(its), word(own));
        let tied = path.len() == 1 && TIMES.contains(&path[0].as_str());
        let list = if tied { &mut times } else { &mut found };
        list.push(Difference { words, paths: vec![path.clone()] });
    }
    if !times.is_empty() {
        let words: Vec<String> = times.iter().map(|time| time.words.clone()).collect();
        let paths = times.into_iter().flat_map(|time| time.paths).collect();
        found.insert(0, Difference { words: words.join(", "), paths });
    }
    found.extend(of_cluster(with_file, alone));
    found
}

fn value_at<'v>(settings: &'v [(Vec<String>, Value)], path: &[String]) -> Option<&'v Value> {
    settings.iter().find(|(known, _)| known == path).map(|(_, value)| value)
}

/// The watchdog and the dead-man process.
fn of_cluster(with_file: &Scenario, alone: &Scenario) -> Option<Difference> {
    let of = |scenario: &Scenario| {
        let (cluster, settings) = (&scenario.cluster, scenario.cluster.patroni.watchdog);
        (json!(cluster.watchdog_mode()), settings.safety_margin, json!(cluster.fencing_mode()))
    };
    let (its, own) = (of(with_file), of(alone));
    let one = |name: &str, its: &Value, own: &Value| {
        (its != own).then(|| format!("{name} {} instead of {}", word(Some(its)), word(Some(own))))
    };
    let words = [
        one("watchdog.mode", &its.0, &own.0),
        one("watchdog.safety_margin", &json!(its.1), &json!(own.1)),
        one("pgdrill.fencing.mode", &its.2, &own.2),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| Difference { words: words.join(", "), paths: vec![] })
}

fn counts(path: &[String]) -> bool {
    match path {
        [name] => !NAMES.contains(&name.as_str()) && name != "watchdog",
        [section, group, name] if section == "postgresql" && group == "parameters" => {
            fate_of_parameter(name) == Fate::Played
        }
        _ => true,
    }
}

fn json(settings: &Patroni) -> Value {
    serde_json::to_value(settings).expect("settings are plain data with names as keys")
}

/// Every setting: those of `postgresql` and its parameters each for itself.
fn leaves(settings: &Value) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    let mut below = vec![(Vec::new(), settings.clone())];
    while let Some((path, value)) = below.pop() {
        let name = path.join(".");
        match value {
            Value::Object(fields) if ["", "postgresql", "postgresql.parameters"].contains(&name.as_str()) => {
                let inner = fields.into_iter().map(|(field, value)| {
                    let mut path: Vec<String> = path.clone();
                    path.push(field);
                    (path, value)
                });
                // Taken from the end, so that they come in their order.
                below.extend(inner.collect::<Vec<_>>().into_iter().rev());
            }
            value => found.push((path, value)),
        }
    }
    found
}

fn set(settings: &mut Value, path: &[String], value: Option<Value>) {
    let Value::Object(fields) = settings else { return };
    match (path, value) {
        ([], _) => {}
        ([name], Some(value)) => _ = fields.insert(name.clone(), value),
        ([name], None) => _ = fields.shift_remove(name),
        ([name, rest @ ..], value) => {
            set(fields.entry(name.clone()).or_insert_with(|| Map::new().into()), rest, value);
        }
    }
}

/// A value as people say it.
fn word(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(Value::Bool(flag)) => if *flag { "on" } else { "off" }.into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(_) | Value::Object(_)) => "as in the file".into(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::{load_text, use_patroni_file};

    #[test]
    fn what_a_file_changes_is_told_and_can_be_moved_either_way() {
        let text =
            "name: drill\nabout: It differs.\ncluster: { patroni: { maximum_lag_on_failover: 4KiB } }\nduration: 10s\n";
        let alone = load_text(Path::new("drill.yaml"), text).expect("right").scenario;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("patroni.yml");
        let dcs = "{ ttl: 60, loop_wait: 15, maximum_lag_on_failover: 7, synchronous_mode: quorum, postgresql: { use_pg_rewind: true, \
                   parameters: { wal_keep_size: 1GB, work_mem: 64MB } } }";
        let own = format!("scope: shop\nbootstrap: {{ dcs: {dcs} }}\nwatchdog: {{ mode: required }}\n");
        std::fs::write(&file, own).expect("written");
        let mut with = alone.clone();
        use_patroni_file(&mut with, &file).expect("warnings only");
        let found = differences(&with, &alone);
        let words: Vec<&str> = found.iter().map(|difference| difference.words.as_str()).collect();
        insta::assert_snapshot!(words.join("\n"), @r"
        ttl 60 instead of 30, loop_wait 15 instead of 10
        synchronous_mode quorum instead of off
        postgresql.parameters.wal_keep_size 1GB instead of none
        data_checksums off instead of on
        watchdog.mode required instead of automatic
        ");
        let all = |scenario: &Scenario, from: &Scenario| {
            found.iter().fold(scenario.clone(), |it, difference| difference.moved(&it, from))
        };
        assert!(differences(&all(&with, &alone), &alone).is_empty(), "everything was taken back");
        assert!(differences(&with, &all(&alone, &with)).is_empty(), "everything was taken over");
        let times = found[0].moved(&with, &alone).cluster;
        assert_eq!((times.patroni.ttl, times.patroni.loop_wait), (30, 10));
        assert_eq!(times.patroni.synchronous_mode, with.cluster.patroni.synchronous_mode, "nothing else");
    }
}
