//! `/history`: on which position each timeline ended, and why.

use serde_json::Value;

use crate::Lsn;

/// One ended timeline: `[tl, lsn, reason, iso_ts?, new_leader?]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// The timeline that ended.
    pub timeline: u32,
    /// Its last position: where the next one branched off.
    pub switchpoint: Lsn,
    /// PostgreSQL's reason, such as `no recovery target specified`.
    pub reason: String,
    /// When, as Patroni wrote it (ISO 8601); never computed with.
    pub timestamp: Option<String>,
    /// Who was promoted.
    pub new_leader: Option<String>,
}

/// The content of `/history`, oldest line first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryRecord {
    /// The ended timelines.
    pub lines: Vec<HistoryLine>,
}

impl HistoryRecord {
    /// Parses the key's value. Lines that are not `[number, number, text, ...]` are left out.
    pub fn parse(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        HistoryRecord { lines: value.as_array().into_iter().flatten().filter_map(HistoryLine::parse).collect() }
    }

    /// The JSON Patroni writes; `[]` means that the cluster is still on timeline 1.
    pub fn to_json(&self) -> String {
        Value::Array(self.lines.iter().map(HistoryLine::to_value).collect()).to_string()
    }

    /// The cluster's timeline: the last entry's plus one, 1 for `[]` (`Cluster.timeline`).
    pub fn timeline(&self) -> u32 {
        self.lines.last().map_or(1, |line| line.timeline.saturating_add(1))
    }

    /// Keeps the last `max` lines; 0 keeps all (`max_timelines_history`).
    pub fn truncated(mut self, max: usize) -> Self {
        if max > 0 && self.lines.len() > max {
            self.lines.drain(..self.lines.len() - max);
        }
        self
    }
}

impl HistoryLine {
    fn parse(value: &Value) -> Option<Self> {
        let field = |index: usize| value.get(index);
        let text = |index: usize| field(index).and_then(Value::as_str).map(str::to_owned);
        Some(HistoryLine {
            timeline: field(0)?.as_u64()?.try_into().ok()?,
            switchpoint: Lsn(field(1)?.as_u64()?),
            reason: text(2)?,
            timestamp: text(3),
            new_leader: text(4),
        })
    }

    fn to_value(&self) -> Value {
        let mut line = vec![Value::from(self.timeline), Value::from(self.switchpoint.0), Value::from(&*self.reason)];
        // The new leader can only be the fifth element: without a time it cannot be said.
        if let Some(timestamp) = &self.timestamp {
            line.push(Value::from(&**timestamp));
            line.extend(self.new_leader.as_deref().map(Value::from));
        }
        Value::Array(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_lengths_of_a_line_round_trip() {
        let text =
            r#"[[1,100,"a"],[2,200,"b","2026-01-01T00:00:00+00:00"],[3,300,"c","2026-01-02T00:00:00+00:00","pg2"]]"#;
        let record = HistoryRecord::parse(text);
        assert_eq!(record.to_json(), text);
        assert_eq!(record.timeline(), 4);
        assert_eq!(record.truncated(1).lines[0].timeline, 3);
    }

    #[test]
    fn an_empty_history_is_timeline_one() {
        assert_eq!(HistoryRecord::parse("[]").timeline(), 1);
        assert_eq!(HistoryRecord::default().to_json(), "[]");
    }

    #[test]
    fn a_broken_line_is_left_out() {
        assert_eq!(HistoryRecord::parse(r#"[["x"],[1,2,"r"]]"#).lines.len(), 1);
    }
}
