//! Reads what a line of the timeline does.

use super::{
    At, Reader, Value,
    link::{link, links, selector},
    one_of, positive, span, words,
};
use crate::scenario::{
    cluster::Process,
    patroni,
    quantity::{ClockRate, Shift, Span, Throughput},
    selector::Selector,
    timeline::{
        Action, BandwidthSpec, ClusterWord, DelaySpec, EtcdWord, FreezeSpec, HealSpec, LossSpec, OnProcess, StartSpec,
        SwitchoverSpec,
    },
};

/// Every action, as [`Action::keyword`] names it.
pub(in crate::scenario) const KEYWORDS: [&str; 28] = [
    "cut",
    "heal",
    "delay",
    "loss",
    "bandwidth",
    "kill",
    "stop",
    "start",
    "power_off",
    "power_on",
    "freeze",
    "thaw",
    "clock_step",
    "clock_drift",
    "disk_full",
    "disk_free",
    "slow_fsync",
    "replay_pause",
    "replay_resume",
    "dns_fail",
    "compact",
    "switchover",
    "failover",
    "restart",
    "reinitialize",
    "pause",
    "resume",
    "edit_config",
];

pub(in crate::scenario) const PROCESSES: [(&str, Process); 5] = [
    ("agent", Process::Agent),
    ("postgres", Process::Postgres),
    ("etcd", Process::Etcd),
    ("haproxy", Process::Haproxy),
    ("deadman", Process::Deadman),
];

/// A dead-man process is nobody's to start but its agent's.
pub(in crate::scenario) const STARTABLE: &[(&str, Process)] = PROCESSES.split_at(4).0;

/// Reads the action behind its keyword.
pub(super) fn action(reader: &mut Reader<'_>, keyword: &str, at: &At<'_>) -> Option<Action> {
    Some(match keyword {
        "cut" => Action::Cut(links(reader, at)?),
        "delay" | "loss" | "bandwidth" => return network(reader, keyword, at),
        "heal" => Action::Heal(heal(reader, at)?),
        "kill" => Action::Kill(on_process(reader, at, keyword)?),
        "stop" => Action::Stop(on_process(reader, at, keyword)?),
        "start" => Action::Start(start(reader, at)?),
        "power_off" => Action::PowerOff(on_or_bare(reader, at)?),
        "power_on" => Action::PowerOn(on_or_bare(reader, at)?),
        "freeze" => Action::Freeze(freeze(reader, at)?),
        "thaw" => Action::Thaw(freeze(reader, at)?),
        "disk_full" => Action::DiskFull { on: on_or_bare(reader, at)? },
        "disk_free" => Action::DiskFree { on: on_or_bare(reader, at)? },
        "replay_pause" => Action::ReplayPause { on: on_or_bare(reader, at)? },
        "replay_resume" => Action::ReplayResume { on: on_or_bare(reader, at)? },
        "dns_fail" => Action::DnsFail { on: on_or_bare(reader, at)? },
        "restart" => Action::Restart { on: on_or_bare(reader, at)? },
        "reinitialize" => Action::Reinitialize { on: on_or_bare(reader, at)? },
        "clock_step" | "clock_drift" | "slow_fsync" => return measured(reader, keyword, at),
        "compact" => Action::Compact(whole(reader, at, "etcd", EtcdWord::Etcd)?),
        "pause" => Action::Pause(whole(reader, at, "cluster", ClusterWord::Cluster)?),
        "resume" => Action::Resume(whole(reader, at, "cluster", ClusterWord::Cluster)?),
        "switchover" => Action::Switchover(switchover(reader, at)?),
        "failover" => Action::Failover { candidate: bare_or(reader, at, "candidate", "the node that is to lead")? },
        "edit_config" => Action::EditConfig(patroni::patch(reader, at)?),
        _ => unreachable!("only KEYWORDS are asked for"),
    })
}

fn network(reader: &mut Reader<'_>, keyword: &str, at: &At<'_>) -> Option<Action> {
    let mut fields = reader.fields(at);
    let action = match keyword {
        "delay" => {
            let add = fields.require(reader, "add", super::TIME).and_then(|at| positive(reader, &at));
            let jitter = fields.take("jitter").and_then(|at| span(reader, &at)).unwrap_or(Span::ZERO);
            let link = link(reader, &mut fields);
            link.zip(add).map(|(link, add)| Action::Delay(DelaySpec { link, add, jitter }))
        }
        "bandwidth" => {
            let expected = "how much passes in a second: 1MiB/s, 100kB/s, 10Mbit/s";
            let rate = fields.require(reader, "rate", expected);
            let rate = rate.and_then(|at| reader.parsed::<Throughput>(&at, expected));
            let link = link(reader, &mut fields);
            link.zip(rate).map(|(link, rate)| Action::Bandwidth(BandwidthSpec { link, rate }))
        }
        _ => {
            let probability = fields.require(reader, "probability", SHARE);
            let probability = probability.and_then(|at| probability_of(reader, &at));
            let link = link(reader, &mut fields);
            link.zip(probability).map(|(link, probability)| Action::Loss(LossSpec { link, probability }))
        }
    };
    fields.finish(reader);
    action
}

const SHARE: &str = "a share of the packets, more than 0 and at most all: 0.3 or 30%";

fn probability_of(reader: &mut Reader<'_>, at: &At<'_>) -> Option<f64> {
    let found = match &at.node.value {
        Value::Number(number) => number.as_f64(),
        Value::Text(text) => text.strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok()).map(|n| n / 100.0),
        _ => None,
    };
    let share = found.filter(|p| *p > 0.0 && *p <= 1.0);
    if share.is_none() {
        let percent = found.filter(|p| *p > 1.0 && *p <= 100.0 && matches!(at.node.value, Value::Number(_)));
        let help = percent.map_or_else(String::new, |n| format!("percent are written with their sign: {n}%"));
        reader.wrong(at, SHARE).help = help;
    }
    share
}

/// The word that says that an action is about all of something, or `true`.
fn whole<T: Copy>(reader: &mut Reader<'_>, at: &At<'_>, word: &'static str, value: T) -> Option<T> {
    if at.node.value == Value::Bool(true) {
        return Some(value);
    }
    reader.word(at, &[(word, value)])
}

fn heal(reader: &mut Reader<'_>, at: &At<'_>) -> Option<HealSpec> {
    match &at.node.value {
        Value::Bool(true) => Some(HealSpec::Named("all".into())),
        Value::Map(_) => {
            let mut fields = reader.fields(at);
            let link = link(reader, &mut fields);
            fields.finish(reader);
            link.map(HealSpec::Links)
        }
        _ => reader.text(at, "all, a label, or links such as { between: [leader, etcd] }").map(HealSpec::Named),
    }
}

fn on_process(reader: &mut Reader<'_>, at: &At<'_>, keyword: &str) -> Option<OnProcess> {
    let StartSpec { process, on, .. } = process_of(reader, at, &PROCESSES, keyword)?;
    Some(OnProcess { process, on })
}

fn start(reader: &mut Reader<'_>, at: &At<'_>) -> Option<StartSpec> {
    process_of(reader, at, STARTABLE, "start")
}

fn process_of(reader: &mut Reader<'_>, at: &At<'_>, processes: &[(&str, Process)], keyword: &str) -> Option<StartSpec> {
    if let Value::Text(text) = &at.node.value {
        return its_only_process(reader, at, text, keyword);
    }
    let mut fields = reader.fields(at);
    let process = fields.require(reader, "process", "agent, postgres, etcd or haproxy");
    let process = process.and_then(|at| process_word(reader, &at, processes));
    let on = fields.require(reader, "on", "whose: a selector").and_then(|at| selector(reader, &at));
    let wipe = keyword == "start" && fields.take("wipe").and_then(|at| reader.boolean(&at)).unwrap_or(false);
    fields.finish(reader);
    Some(StartSpec { process: process?, on: on?, wipe })
}

fn process_word(reader: &mut Reader<'_>, at: &At<'_>, processes: &[(&str, Process)]) -> Option<Process> {
    let before = reader.problems.len();
    let found = reader.word(at, processes);
    if let (Some(problem), Value::Text(text)) = (reader.problems.get_mut(before), &at.node.value)
        && let Some(right) = words::process(text)
    {
        problem.help = right;
    }
    found
}

/// `kill: etcd leader` is short for `kill: { process: etcd, on: etcd leader }`: of hosts that are named as etcd's or the router's
/// there is no doubt which process is meant. Of any others there is.
fn its_only_process(reader: &mut Reader<'_>, at: &At<'_>, text: &str, keyword: &str) -> Option<StartSpec> {
    let expected = format!("which process, and whose: {keyword}: {{ process: postgres, on: leader }}");
    if let Some((name, _)) = PROCESSES.iter().find(|(name, _)| *name == text && !["etcd", "haproxy"].contains(name)) {
        reader.wrong(at, expected).help = format!("whose {name}? {keyword}: {{ process: {name}, on: leader }}");
        return None;
    }
    let on = selector(reader, at)?;
    let of = |part: &Selector| match part {
        Selector::Etcd | Selector::EtcdLeader | Selector::EtcdFollowers => Some(Process::Etcd),
        Selector::Majority | Selector::Minority => Some(Process::Etcd),
        Selector::Host(name) if name.starts_with("etcd") => Some(Process::Etcd),
        Selector::Haproxy => Some(Process::Haproxy),
        _ => None,
    };
    let process = of(&on.parts()[0]).filter(|process| on.parts().iter().all(|part| of(part) == Some(*process)));
    if process.is_none() {
        let host = if keyword == "start" { "power_on" } else { "power_off" };
        reader.wrong(at, expected).help = format!(
            "several processes run on a node: {}; for the whole host there is {host}: {text}",
            one_of(&["agent", "postgres"])
        );
    }
    Some(StartSpec { process: process?, on, wipe: false })
}

/// `freeze: leader` is short for `freeze: { on: leader }`.
fn freeze(reader: &mut Reader<'_>, at: &At<'_>) -> Option<FreezeSpec> {
    if matches!(at.node.value, Value::Text(_)) {
        return selector(reader, at).map(|on| FreezeSpec { process: None, on });
    }
    let mut fields = reader.fields(at);
    let process = fields.take("process").map(|at| process_word(reader, &at, &PROCESSES));
    let on = fields.require(reader, "on", "whose: a selector").and_then(|at| selector(reader, &at));
    fields.finish(reader);
    // A process that could not be read must not turn into a freeze of the whole host.
    match process {
        Some(None) => None,
        process => Some(FreezeSpec { process: process.flatten(), on: on? }),
    }
}

/// `disk_full: leader` and `disk_full: { on: leader }` are the same.
fn on_or_bare(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Selector> {
    bare_or(reader, at, "on", "whose: a selector")
}

/// A selector, or a group with it as its only field.
fn bare_or(reader: &mut Reader<'_>, at: &At<'_>, field: &'static str, expected: &str) -> Option<Selector> {
    if matches!(at.node.value, Value::Text(_)) {
        return selector(reader, at);
    }
    let mut fields = reader.fields(at);
    let on = fields.require(reader, field, expected).and_then(|at| selector(reader, &at));
    fields.finish(reader);
    on
}

fn measured(reader: &mut Reader<'_>, keyword: &str, at: &At<'_>) -> Option<Action> {
    let mut fields = reader.fields(at);
    let on = fields.require(reader, "on", "whose: a selector").and_then(|at| selector(reader, &at));
    let action = match keyword {
        "clock_step" => {
            let expected = "how far: -5m is back, +30s is forward";
            let by = fields.require(reader, "by", expected).and_then(|at| reader.parsed::<Shift>(&at, expected));
            on.zip(by).map(|(on, by)| Action::ClockStep { on, by })
        }
        "clock_drift" => {
            let expected = "how fast, from 0.5 to 2: a factor such as 1.05, or a deviation such as 500ppm";
            let rate =
                fields.require(reader, "rate", expected).and_then(|at| reader.parsed::<ClockRate>(&at, expected));
            on.zip(rate).map(|(on, rate)| Action::ClockDrift { on, rate })
        }
        _ => {
            let delay = fields.require(reader, "delay", super::TIME).and_then(|at| positive(reader, &at));
            on.zip(delay).map(|(on, delay)| Action::SlowFsync { on, delay })
        }
    };
    fields.finish(reader);
    action
}

/// `switchover: true` leaves the choice to Patroni, as `switchover: {}` does.
fn switchover(reader: &mut Reader<'_>, at: &At<'_>) -> Option<SwitchoverSpec> {
    match &at.node.value {
        Value::Bool(true) => return Some(SwitchoverSpec::default()),
        Value::Text(text) => {
            let to =
                format!("{{ candidate: {text} }} for a switchover to it, {{ leader: {text} }} for one away from it");
            reader.wrong(at, "fields: leader, candidate, after; {} leaves the choice to Patroni").help = to;
            return None;
        }
        _ => {}
    }
    let mut fields = reader.fields(at);
    let spec = SwitchoverSpec {
        leader: fields.take("leader").and_then(|at| selector(reader, &at)),
        candidate: fields.take("candidate").and_then(|at| selector(reader, &at)),
        after: fields.take("after").and_then(|at| positive(reader, &at)),
    };
    fields.finish(reader);
    Some(spec)
}
