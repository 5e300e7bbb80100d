//! Events as JSON Lines: a line that says what they are, then one event a line, in order.

use std::io::{self, BufRead, Write};

use pgdrill_lab::event::Event;
use serde::{Deserialize, Serialize};

use crate::{compare::SIMULATOR, run::Run};

/// What the first line of a file of events says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsHeader {
    /// `pgdrill-events-1`. Fields are added, never renamed or removed, within one format.
    pub format: String,
    /// The version of pgdrill that wrote it.
    pub version: String,
    /// The unit of all times (`at`, `asked_at`): `ns`, nanoseconds since the start of the scenario.
    pub unit: String,
    /// The scenario's name with its theme.
    pub scenario: String,
    /// The world it was played in.
    pub world: String,
    /// The seed.
    pub seed: u64,
    /// How it ended, in a word: a verdict, or `not played`, `not reproducible`, `crash`.
    pub ending: String,
}

/// The format that is written, and the only one that is read.
const FORMAT: &str = "pgdrill-events-1";

impl EventsHeader {
    /// Of a run, by this version of pgdrill.
    #[must_use]
    pub fn of(run: &Run, version: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: version.to_owned(),
            unit: "ns".to_owned(),
            scenario: run.scenario.clone(),
            world: run.reproduce.world.clone().unwrap_or_else(|| SIMULATOR.to_owned()),
            seed: run.seed,
            ending: run.word(),
        }
    }
}

/// Writes the header, then the events.
///
/// # Errors
/// When the stream cannot be written.
pub fn write_events(mut to: impl Write, header: &EventsHeader, events: &[Event]) -> io::Result<()> {
    serde_json::to_writer(&mut to, header)?;
    to.write_all(b"\n")?;
    for event in events {
        serde_json::to_writer(&mut to, event)?;
        to.write_all(b"\n")?;
    }
    to.flush()
}

/// Reads header and events back. Files without a header, as earlier versions wrote them, are read, too.
///
/// # Errors
/// When the stream cannot be read, a line is no event, or the format is another one; the message names the line.
pub fn read_events(from: impl BufRead) -> io::Result<(Option<EventsHeader>, Vec<Event>)> {
    let (mut header, mut events) = (None, Vec::new());
    for (i, line) in from.lines().enumerate() {
        let line = line?;
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {why}", i + 1));
        if i == 0
            && let Ok(found) = serde_json::from_str::<EventsHeader>(&line)
        {
            if found.format != FORMAT {
                return Err(wrong(format!("found the format {:?}, expected {FORMAT:?}", found.format)));
            }
            header = Some(found);
            continue;
        }
        events.push(serde_json::from_str(&line).map_err(|why| wrong(why.to_string()))?);
    }
    Ok((header, events))
}
