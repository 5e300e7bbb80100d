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
    /// Where they are, and what the scenario alone has there; nothing: it has none.
    alone: Vec<(Vec<String>, Option<Value>)>,
    /// The watchdog and the dead-man process belong to the cluster.
    of_cluster: bool,
}

impl Difference {
    /// The scenario that is played with the file, but with these settings as it has them alone.
    ///
    /// # Panics
    /// Never: settings that were written are read.
    #[must_use]
    pub fn taken_back(&self, with_file: &Scenario, alone: &Scenario) -> Scenario {
        let mut it = with_file.clone();
        if self.of_cluster {
            it.cluster.fencing = alone.cluster.fencing;
            it.cluster.watchdog.clone_from(&alone.cluster.watchdog);
            it.cluster.patroni.watchdog = alone.cluster.patroni.watchdog;
            return it;
        }
        let mut settings = json(&it.cluster.patroni);
        for (path, value) in &self.alone {
            set(&mut settings, path, value.clone());
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
    let gone = without.iter().map(|(path, _)| path).filter(|path| !paths.contains(path)).collect::<Vec<_>>();
    paths.extend(gone);
    let of = |all: &[(Vec<String>, Value)], path: &Vec<String>| {
        all.iter().find(|(known, _)| known == path).map(|(_, value)| value.clone())
    };
    let mut times = Difference { words: String::new(), alone: vec![], of_cluster: false };
    let mut found: Vec<Difference> = Vec::new();
    for path in paths {
        let (its, own) = (of(&with, path), of(&without, path));
        if its == own || !counts(path) {
            continue;
        }
        let words = format!("{} {} instead of {}", path.join("."), word(its.as_ref()), word(own.as_ref()));
        let at = (path.clone(), own);
        if path.len() == 1 && TIMES.contains(&path[0].as_str()) {
            times.words += &format!("{}{words}", if times.alone.is_empty() { "" } else { ", " });
            times.alone.push(at);
        } else {
            found.push(Difference { words, alone: vec![at], of_cluster: false });
        }
    }
    if !times.alone.is_empty() {
        found.insert(0, times);
    }
    found.extend(of_cluster(with_file, alone));
    found
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
    (!words.is_empty()).then(|| Difference { words: words.join(", "), alone: vec![], of_cluster: true })
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
