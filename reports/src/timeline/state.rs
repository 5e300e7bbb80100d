//! The state of every node as the events have shown it so far, one letter each.

use anstyle::Style;
use pgdrill_lab::event::{Event, ProcessState, What};

use super::lock::Lock;
use crate::{palette, text::natural};

/// What a node's PostgreSQL is doing, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Role {
    /// Nothing was seen of it yet.
    #[default]
    Unseen,
    /// Out of recovery.
    Primary,
    /// In recovery, its WAL receiver streaming.
    Streaming,
    /// In recovery without streaming.
    Standby,
    /// Its process runs (as far as is known) and does not answer.
    Silent,
    /// Its process does not run.
    Down,
    /// Its process is stopped from running.
    Frozen,
}

impl Role {
    /// The letter in the lanes.
    pub(crate) fn glyph(self) -> char {
        match self {
            Self::Unseen => ' ',
            Self::Primary => 'P',
            Self::Streaming => 'r',
            Self::Standby => 's',
            Self::Silent => '?',
            Self::Down => '.',
            Self::Frozen => 'F',
        }
    }

    /// Its colour.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Unseen => palette::QUIET,
            Self::Primary => palette::GOOD,
            Self::Streaming => palette::REPLICA,
            Self::Standby | Self::Silent => palette::DOUBTFUL,
            Self::Down | Self::Frozen => palette::BAD,
        }
    }
}

/// One node with a PostgreSQL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// The last answer to a SQL probe, kept while the process is down or frozen.
    answered: Role,
    postgres: Option<ProcessState>,
    agent: Option<ProcessState>,
    pub(crate) timeline: u32,
    pub(crate) streaming_from: Option<String>,
}

impl Node {
    /// What it is doing.
    pub(crate) fn role(&self) -> Role {
        match self.postgres {
            Some(ProcessState::Frozen) => Role::Frozen,
            Some(ProcessState::Killed | ProcessState::Exited) => Role::Down,
            _ => self.answered,
        }
    }

    /// Whether its agent was seen to end or to be frozen.
    pub(crate) fn agent_stopped(&self) -> bool {
        matches!(self.agent, Some(ProcessState::Frozen | ProcessState::Killed | ProcessState::Exited))
    }

    fn see(&mut self, what: &What) {
        match what {
            What::Process { process, state, .. } => {
                if process != "agent" {
                    self.postgres = Some(*state);
                    if matches!(state, ProcessState::Started) {
                        // Until it answers, nobody knows as what it came up.
                        self.answered = Role::Silent;
                    }
                }
                if process != "postgres" {
                    self.agent = Some(*state);
                }
            }
            What::Sql { state: Some(sql), .. } => {
                self.timeline = sql.timeline;
                self.streaming_from.clone_from(&sql.streaming_from);
                self.answered = match (sql.in_recovery, &sql.streaming_from) {
                    (false, _) => Role::Primary,
                    (true, Some(_)) => Role::Streaming,
                    (true, None) => Role::Standby,
                };
                // Whoever answers is up, whatever was heard of its process before.
                if !matches!(self.postgres, Some(ProcessState::Frozen)) {
                    self.postgres = Some(ProcessState::Started);
                }
            }
            What::Sql { state: None, .. } if self.answered != Role::Unseen => self.answered = Role::Silent,
            _ => {}
        }
    }
}

/// All nodes and the leader lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) lock: Lock,
}

impl Cluster {
    /// The nodes that the events speak of (those whose PostgreSQL or agent was seen), by name, with nothing seen yet.
    pub(crate) fn with_nodes_of(events: &[Event]) -> Self {
        let mut names: Vec<&str> = events.iter().filter(|e| shows_a_node(&e.what)).map(|e| e.node.as_str()).collect();
        names.sort_by_cached_key(|n| natural(n));
        names.dedup();
        let nodes = names.into_iter().map(|name| Node { name: name.to_owned(), ..Node::default() }).collect();
        Self { nodes, lock: Lock::default() }
    }

    /// The node of that name.
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// Takes an event into account, except for the lock, whose changes the caller wants to know.
    pub(crate) fn see(&mut self, event: &Event) {
        if let Some(node) = self.nodes.iter_mut().find(|n| n.name == event.node) {
            node.see(&event.what);
        }
    }
}

/// Whether only a node with PostgreSQL can be the subject of it.
fn shows_a_node(what: &What) -> bool {
    match what {
        What::Sql { .. } | What::Rest { .. } | What::Rows { .. } => true,
        What::Process { process, .. } => process == "postgres" || process == "agent",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use pgdrill_lab::event::{At, SqlState};

    use super::*;

    fn process(process: &str, state: ProcessState) -> What {
        What::Process { process: process.into(), state, detail: String::new() }
    }

    fn sql(in_recovery: bool, from: Option<&str>) -> What {
        let state = SqlState {
            in_recovery,
            timeline: 1,
            lsn: 0,
            replayed_lsn: None,
            streaming_from: from.map(Into::into),
            standbys: Vec::new(),
            synchronous_standby_names: String::new(),
            history: Vec::new(),
        };
        What::Sql { state: Some(state), asked_at: At(0), error: None }
    }

    #[test]
    fn the_letter_follows_what_was_seen() {
        let no_answer = || What::Sql { state: None, asked_at: At(0), error: Some("timeout".into()) };
        let table = [
            (no_answer(), ' '),
            (sql(true, None), 's'),
            (sql(true, Some("pg2")), 'r'),
            (sql(false, None), 'P'),
            (process("postgres", ProcessState::Frozen), 'F'),
            (no_answer(), 'F'),
            (process("postgres", ProcessState::Thawed), '?'),
            (sql(false, None), 'P'),
            (process("agent", ProcessState::Killed), 'P'),
            (process("postgres", ProcessState::Killed), '.'),
            (process("postgres", ProcessState::Started), '?'),
            (sql(true, None), 's'),
        ];
        let mut node = Node::default();
        for (step, (what, letter)) in table.into_iter().enumerate() {
            node.see(&what);
            assert_eq!(node.role().glyph(), letter, "step {step}");
        }
        assert!(node.agent_stopped());
    }
}
