//! Events as JSON Lines: one event a line, in order, nothing else.

use std::io::{self, BufRead, Write};

use pgdrill_lab::event::Event;

/// Writes the events.
///
/// # Errors
/// When the stream cannot be written.
pub fn write_events(mut to: impl Write, events: &[Event]) -> io::Result<()> {
    for event in events {
        serde_json::to_writer(&mut to, event)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}

/// Reads events back.
///
/// # Errors
/// When the stream cannot be read or a line is no event; the message names the line.
pub fn read_events(from: impl BufRead) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for (i, line) in from.lines().enumerate() {
        let event = serde_json::from_str(&line?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", i + 1)))?;
        events.push(event);
    }
    Ok(events)
}
