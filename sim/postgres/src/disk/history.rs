//! Timeline history files: which timeline a timeline was forked from, and where.

use serde::{Deserialize, Serialize};

use crate::Lsn;

/// One line of a history file: timeline `tli` was left at `switch` for a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The parent timeline.
    pub tli: u32,
    /// First position that no longer belongs to the parent.
    pub switch: Lsn,
    /// Free text, PostgreSQL writes "no recovery target specified".
    pub reason: String,
}

/// A timeline together with its ancestors, oldest first (the content of `<tli>.history`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The timeline this is the history of.
    pub tli: u32,
    /// Its ancestors, oldest first. Empty for timeline 1.
    pub ancestors: Vec<HistoryEntry>,
}

impl Timeline {
    /// The history of a timeline without ancestors.
    #[must_use]
    pub fn root(tli: u32) -> Self {
        Self { tli, ancestors: Vec::new() }
    }

    /// The child that a promotion at `switch` creates.
    #[must_use]
    pub fn fork(&self, tli: u32, switch: Lsn) -> Self {
        let mut ancestors = self.ancestors.clone();
        ancestors.push(HistoryEntry { tli: self.tli, switch, reason: "no recovery target specified".to_owned() });
        Self { tli, ancestors }
    }

    /// Where `tli` ends in this history: `None` when `tli` is not in it, `Some(None)` when it is the newest.
    #[must_use]
    pub fn end_of(&self, tli: u32) -> Option<Option<Lsn>> {
        if tli == self.tli {
            return Some(None);
        }
        self.ancestors.iter().find(|entry| entry.tli == tli).map(|entry| Some(entry.switch))
    }

    /// The timeline that the byte at `lsn` belongs to (`tliOfPointInHistory`).
    #[must_use]
    pub fn tli_at(&self, lsn: Lsn) -> u32 {
        self.ancestors.iter().find(|entry| lsn < entry.switch).map_or(self.tli, |entry| entry.tli)
    }

    /// The child of `tli` on the way to this timeline, with the position where it begins.
    #[must_use]
    pub fn child_of(&self, tli: u32) -> Option<(u32, Lsn)> {
        let at = self.ancestors.iter().position(|entry| entry.tli == tli)?;
        let child = self.ancestors.get(at + 1).map_or(self.tli, |entry| entry.tli);
        Some((child, self.ancestors[at].switch))
    }

    /// The last common point of two histories (`findCommonAncestorTimeline` of `pg_rewind`): the timeline and where the
    /// first of the two left it; `None` as position when both are still on it.
    #[must_use]
    pub fn common_ancestor(&self, other: &Self) -> Option<(u32, Option<Lsn>)> {
        let (mine, theirs) = (self.path(), other.path());
        let shared = mine.iter().zip(&theirs).take_while(|(a, b)| a.0 == b.0 && a.1 == b.1).count();
        let (a, b) = (mine.get(shared), theirs.get(shared));
        match (a, b) {
            // The same timeline, left at different positions: the earlier one is where they part.
            (Some(a), Some(b)) if a.0 == b.0 => Some((a.0, [a.1, b.1].into_iter().flatten().min())),
            _ => {
                let last = mine.get(shared.checked_sub(1)?)?;
                Some((last.0, last.1))
            }
        }
    }

    fn path(&self) -> Vec<(u32, Option<Lsn>)> {
        let ancestors = self.ancestors.iter().map(|entry| (entry.tli, Some(entry.switch)));
        ancestors.chain([(self.tli, None)]).collect()
    }

    /// The history file's text.
    #[must_use]
    pub fn to_file(&self) -> String {
        self.ancestors.iter().map(|entry| format!("{}\t{}\t{}\n", entry.tli, entry.switch, entry.reason)).collect()
    }

    /// Reads a history file's text.
    ///
    /// # Errors
    /// The line that is not `tli<TAB>lsn<TAB>reason`.
    pub fn from_file(tli: u32, text: &str) -> Result<Self, String> {
        let ancestors = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                let mut fields = line.splitn(3, '\t');
                let parent = fields.next().and_then(|field| field.trim().parse().ok());
                let switch = fields.next().and_then(|field| field.trim().parse().ok());
                let (Some(tli), Some(switch)) = (parent, switch) else {
                    return Err(format!("syntax error in history file: {line}"));
                };
                Ok(HistoryEntry { tli, switch, reason: fields.next().unwrap_or_default().to_owned() })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { tli, ancestors })
    }

    /// The history file's name.
    #[must_use]
    pub fn file_name(tli: u32) -> String {
        format!("{tli:08X}.history")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_forks() -> Timeline {
        Timeline::root(1).fork(2, Lsn(100)).fork(3, Lsn(200))
    }

    #[test]
    fn a_history_file_survives_writing_and_reading() {
        let line = two_forks();
        assert_eq!(line.to_file(), "1\t0/64\tno recovery target specified\n2\t0/C8\tno recovery target specified\n");
        assert_eq!(Timeline::from_file(3, &line.to_file()), Ok(line));
        assert!(Timeline::from_file(3, "nonsense").is_err());
    }

    #[test]
    fn a_position_belongs_to_the_timeline_that_wrote_it() {
        let line = two_forks();
        for (lsn, tli) in [(0, 1), (99, 1), (100, 2), (199, 2), (200, 3), (9999, 3)] {
            assert_eq!(line.tli_at(Lsn(lsn)), tli, "{lsn}");
        }
        assert_eq!(line.end_of(1), Some(Some(Lsn(100))));
        assert_eq!(line.end_of(3), Some(None));
        assert_eq!(line.end_of(4), None);
        assert_eq!(line.child_of(1), Some((2, Lsn(100))));
        assert_eq!(line.child_of(2), Some((3, Lsn(200))));
        assert_eq!(line.child_of(3), None);
    }

    #[test]
    fn histories_part_at_the_last_common_position() {
        let root = Timeline::root(1);
        let (early, late) = (root.fork(2, Lsn(100)), root.fork(3, Lsn(150)));
        assert_eq!(root.common_ancestor(&early), Some((1, Some(Lsn(100)))));
        assert_eq!(early.common_ancestor(&root), Some((1, Some(Lsn(100)))));
        assert_eq!(early.common_ancestor(&late), Some((1, Some(Lsn(100)))));
        assert_eq!(two_forks().common_ancestor(&early), Some((2, Some(Lsn(200)))));
        assert_eq!(early.common_ancestor(&early), Some((2, None)));
        assert_eq!(Timeline::root(1).common_ancestor(&Timeline::root(2)), None);
    }
}
