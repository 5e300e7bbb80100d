//! Actions as people read them in a timeline: `cut leader <-> etcd`.

use std::fmt;

use super::{Action, Direction, HealSpec, Link, Step};
use crate::scenario::quantity::Span;

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between { between: [a, b] } => write!(f, "{a} <-> {b}"),
            Self::OneWay { from, to } => write!(f, "{from} -> {to}"),
            Self::Isolate { isolate, only: None } => write!(f, "{isolate} <-> others"),
            Self::Isolate { isolate, only: Some(Direction::Inbound) } => write!(f, "others -> {isolate}"),
            Self::Isolate { isolate, only: Some(Direction::Outbound) } => write!(f, "{isolate} -> others"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.keyword().replace('_', " ");
        match self {
            Self::Cut(link) | Self::Heal(HealSpec::Links(link)) => write!(f, "{verb} {link}"),
            Self::Heal(HealSpec::Named(name)) => write!(f, "heal {name}"),
            Self::Delay(delay) if delay.jitter == Span::ZERO => write!(f, "delay {} by {}", delay.link, delay.add),
            Self::Delay(delay) => {
                write!(f, "delay {} by {} to {}", delay.link, delay.add, Span(delay.add.0 + delay.jitter.0))
            }
            Self::Loss(loss) => write!(f, "lose {}% of {}", loss.probability * 100.0, loss.link),
            Self::Bandwidth(narrow) => write!(f, "narrow {} to {}", narrow.link, narrow.rate),
            Self::Kill(spec) | Self::Stop(spec) => write!(f, "{verb} {} of {}", spec.process, spec.on),
            Self::Start(spec) => {
                write!(f, "start {} of {}{}", spec.process, spec.on, if spec.wipe { " on an empty disk" } else { "" })
            }
            Self::Freeze(spec) | Self::Thaw(spec) => match spec.process {
                Some(process) => write!(f, "{verb} {process} of {}", spec.on),
                None => write!(f, "{verb} {}", spec.on),
            },
            Self::ClockStep { on, by } => write!(f, "step clock of {on} by {by}"),
            Self::ClockDrift { on, rate } => write!(f, "run clock of {on} at {rate}"),
            Self::SlowFsync { on, delay } => write!(f, "slow fsync on {on} by {delay}"),
            Self::Switchover(spec) => {
                f.write_str("switchover")?;
                if let Some(leader) = &spec.leader {
                    write!(f, " from {leader}")?;
                }
                if let Some(candidate) = &spec.candidate {
                    write!(f, " to {candidate}")?;
                }
                spec.after.map_or(Ok(()), |after| write!(f, " in {after}"))
            }
            Self::Failover { candidate } => write!(f, "failover to {candidate}"),
            Self::EditConfig(patch) => write!(f, "edit config {}", serde_json::Value::Object(patch.clone())),
            Self::Compact(_) => f.write_str("compact etcd"),
            Self::Pause(_) | Self::Resume(_) => write!(f, "{verb} cluster"),
            // What is left has one target and no more to say.
            other => match other.target() {
                Some(target) => write!(f, "{verb} {target}"),
                None => f.write_str(&verb),
            },
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.action)?;
        if let Some(duration) = self.duration {
            write!(f, " for {duration}")?;
        }
        if let Some(repeat) = self.repeat {
            write!(f, ", {} times every {}", repeat.times, repeat.every)?;
        }
        Ok(())
    }
}
