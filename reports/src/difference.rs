//! Where two event streams of what should have been the same run part.

use std::fmt;

use pgdrill_lab::event::Event;

/// The first place at which two streams differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Position in both streams.
    pub position: usize,
    /// The first stream's event there; `None` when it has ended.
    pub first: Option<Event>,
    /// The second stream's.
    pub second: Option<Event>,
}

/// Compares two streams event for event.
#[must_use]
pub fn first_difference(first: &[Event], second: &[Event]) -> Option<Difference> {
    let position = (0..first.len().max(second.len())).find(|&i| first.get(i) != second.get(i))?;
    Some(Difference { position, first: first.get(position).cloned(), second: second.get(position).cloned() })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As they are in an events file: what differs may be a field that the words leave out.
        let line = |event: &Option<Event>| match event {
            Some(event) => serde_json::to_string(event).unwrap_or_else(|_| format!("{event:?}")),
            None => "(the stream has ended)".to_owned(),
        };
        writeln!(f, "the first difference is event {}:", self.position)?;
        writeln!(f, "  first time:  {}", line(&self.first))?;
        write!(f, "  second time: {}", line(&self.second))
    }
}

#[cfg(test)]
mod tests {
    use pgdrill_lab::event::{At, What};

    use super::*;

    fn notes(texts: &[&str]) -> Vec<Event> {
        let note = |(i, text): (usize, &&str)| Event {
            at: At(i as u64),
            ordinal: i as u64,
            node: "lab".into(),
            what: What::Note { text: (*text).to_owned() },
        };
        texts.iter().enumerate().map(note).collect()
    }

    #[test]
    fn the_first_difference_is_found_even_where_one_stream_is_shorter() {
        assert_eq!(first_difference(&notes(&["a", "b"]), &notes(&["a", "b"])), None);
        let changed = first_difference(&notes(&["a", "b", "c"]), &notes(&["a", "x", "y"])).expect("they differ");
        assert_eq!(changed.position, 1);
        let shorter = first_difference(&notes(&["a"]), &notes(&["a", "b"])).expect("they differ");
        assert_eq!((shorter.position, shorter.first.is_none(), shorter.second.is_some()), (1, true, true));
        assert!(shorter.to_string().contains("(the stream has ended)"), "{shorter}");
    }
}
