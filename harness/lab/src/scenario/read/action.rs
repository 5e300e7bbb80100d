//! Reads what a line of the timeline does.

use super::{
    At, Reader, Value,
    link::{link, selector},
    positive, span,
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
pub(super) const KEYWORDS: [&str; 28] = [
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

const PROCESSES: [(&str, Process); 5] = [
    ("agent", Process::Agent),
    ("postgres", Process::Postgres),
    ("etcd", Process::Etcd),
    ("haproxy", Process::Haproxy),
    ("deadman", Process::Deadman),
];

/// Reads the action behind its keyword.
pub(super) fn action(reader: &mut Reader<'_>, keyword: &str, at: &At<'_>) -> Option<Action> {
    Some(match keyword {
        "cut" | "delay" | "loss" | "bandwidth" => return network(reader, keyword, at),
        "heal" => Action::Heal(heal(reader, at)?),
        "kill" => Action::Kill(on_process(reader, at)?),
        "stop" => Action::Stop(on_process(reader, at)?),
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
        "compact" => Action::Compact(reader.word(at, &[("etcd", EtcdWord::Etcd)])?),
        "pause" => Action::Pause(reader.word(at, &[("cluster", ClusterWord::Cluster)])?),
        "resume" => Action::Resume(reader.word(at, &[("cluster", ClusterWord::Cluster)])?),
        "switchover" => Action::Switchover(switchover(reader, at)),
        "failover" => {
            let mut fields = reader.fields(at);
            let candidate = fields.require(reader, "candidate", "the node that is to lead");
            let candidate = candidate.and_then(|at| selector(reader, &at));
            fields.finish(reader);
            Action::Failover { candidate: candidate? }
        }
        "edit_config" => Action::EditConfig(patroni::patch(reader, at)?),
        _ => unreachable!("only KEYWORDS are asked for"),
    })
}

fn network(reader: &mut Reader<'_>, keyword: &str, at: &At<'_>) -> Option<Action> {
    let mut fields = reader.fields(at);
    let action = match keyword {
        "cut" => link(reader, &mut fields).map(Action::Cut),
        "delay" => {
            let add = fields.require(reader, "add", super::TIME).and_then(|at| positive(reader, &at));
            let jitter = fields.take("jitter").and_then(|at| span(reader, &at)).unwrap_or(Span::ZERO);
            let link = link(reader, &mut fields);
            link.zip(add).map(|(link, add)| Action::Delay(DelaySpec { link, add, jitter }))
        }
        "bandwidth" => {
            let expected = "how much passes in a second: 1MiB/s, 100kB/s";
            let rate = fields.require(reader, "rate", expected);
            let rate = rate.and_then(|at| reader.parsed::<Throughput>(&at, expected));
            let link = link(reader, &mut fields);
            link.zip(rate).map(|(link, rate)| Action::Bandwidth(BandwidthSpec { link, rate }))
        }
        _ => {
            let probability = fields.require(reader, "probability", "a share of the packets, such as 0.1");
            let probability = probability.and_then(|at| probability_of(reader, &at));
            let link = link(reader, &mut fields);
            link.zip(probability).map(|(link, probability)| Action::Loss(LossSpec { link, probability }))
        }
    };
    fields.finish(reader);
    action
}

fn probability_of(reader: &mut Reader<'_>, at: &At<'_>) -> Option<f64> {
    let found = match &at.node.value {
        Value::Number(number) => number.as_f64().filter(|p| *p > 0.0 && *p <= 1.0),
        _ => None,
    };
    if found.is_none() {
        reader.wrong(at, "a share of the packets: more than 0, at most 1");
    }
    found
}

fn heal(reader: &mut Reader<'_>, at: &At<'_>) -> Option<HealSpec> {
    match &at.node.value {
        Value::Map(_) => {
            let mut fields = reader.fields(at);
            let link = link(reader, &mut fields);
            fields.finish(reader);
            link.map(HealSpec::Links)
        }
        _ => reader.text(at, "all, a label, or links such as { between: [leader, etcd] }").map(HealSpec::Named),
    }
}

fn on_process(reader: &mut Reader<'_>, at: &At<'_>) -> Option<OnProcess> {
    let StartSpec { process, on, .. } = process_of(reader, at, &PROCESSES, false)?;
    Some(OnProcess { process, on })
}

/// A dead-man process is nobody's to start but its agent's.
fn start(reader: &mut Reader<'_>, at: &At<'_>) -> Option<StartSpec> {
    process_of(reader, at, &PROCESSES[..4], true)
}

fn process_of(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    processes: &[(&str, Process)],
    may_wipe: bool,
) -> Option<StartSpec> {
    let mut fields = reader.fields(at);
    let process = fields.require(reader, "process", "agent, postgres, etcd or haproxy");
    let process = process.and_then(|at| reader.word(&at, processes));
    let on = fields.require(reader, "on", "whose: a selector").and_then(|at| selector(reader, &at));
    let wipe = may_wipe && fields.take("wipe").and_then(|at| reader.boolean(&at)).unwrap_or(false);
    fields.finish(reader);
    Some(StartSpec { process: process?, on: on?, wipe })
}

/// `freeze: leader` is short for `freeze: { on: leader }`.
fn freeze(reader: &mut Reader<'_>, at: &At<'_>) -> Option<FreezeSpec> {
    if matches!(at.node.value, Value::Text(_)) {
        return selector(reader, at).map(|on| FreezeSpec { process: None, on });
    }
    let mut fields = reader.fields(at);
    let process = fields.take("process").map(|at| reader.word(&at, &PROCESSES));
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
    if matches!(at.node.value, Value::Text(_)) {
        return selector(reader, at);
    }
    let mut fields = reader.fields(at);
    let on = fields.require(reader, "on", "whose: a selector").and_then(|at| selector(reader, &at));
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

fn switchover(reader: &mut Reader<'_>, at: &At<'_>) -> SwitchoverSpec {
    let mut fields = reader.fields(at);
    let spec = SwitchoverSpec {
        leader: fields.take("leader").and_then(|at| selector(reader, &at)),
        candidate: fields.take("candidate").and_then(|at| selector(reader, &at)),
        after: fields.take("after").and_then(|at| positive(reader, &at)),
    };
    fields.finish(reader);
    spec
}
