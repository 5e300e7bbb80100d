//! Where a command prints: standard output, with colours only on a terminal, going on silently when the reader leaves; standard
//! error where a document goes to standard output.

use std::{
    io::{self, IsTerminal, Write},
    process::exit,
};

use pgdrill_lab::verdict::ExitCode;
use pgdrill_yaml::visible;

/// Lines are this long where there is no terminal to ask.
const WIDTH: usize = 80;

/// Where people read.
pub(crate) struct Screen {
    out: Out,
    /// `pgdrill run | head`: the reader has what it wanted. The runs go on, for the exit code and the files.
    closed: bool,
    /// Nothing of what is printed has a style: whatever looks like one is somebody else's.
    plain: bool,
    width: usize,
}

enum Out {
    Standard(anstream::AutoStream<io::Stdout>),
    Error(anstream::AutoStream<io::Stderr>),
}

impl Screen {
    /// The process's own.
    pub(crate) fn of_the_process() -> Self {
        let stdout = io::stdout();
        let width = if stdout.is_terminal() {
            terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0))
        } else {
            WIDTH
        };
        Self { out: Out::Standard(anstream::AutoStream::auto(stdout)), closed: false, plain: false, width }
    }

    /// The same on standard error: standard output belongs to a document, and nothing else may stand there.
    pub(crate) fn beside_a_document(self) -> Self {
        let stderr = io::stderr();
        let width = match terminal_size::terminal_size_of(&stderr) {
            Some((width, _)) if stderr.is_terminal() => usize::from(width.0),
            _ => WIDTH,
        };
        Self { out: Out::Error(anstream::AutoStream::auto(stderr)), closed: false, plain: self.plain, width }
    }

    /// How many columns a line may have.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// For a command whose output has no styles.
    pub(crate) fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    /// Clears the terminal.
    pub(crate) fn clear(&mut self) {
        self.write("\x1b[2J\x1b[H");
    }

    /// Prints text: of what a terminal would obey only the styles of reports, and everything else as it is. Names, errors and settings of
    /// others are in it.
    pub(crate) fn print(&mut self, text: &str) {
        if self.plain { self.write(&visible(text)) } else { self.write(&with_styles(text)) }
    }

    fn write(&mut self, text: &str) {
        if self.closed {
            return;
        }
        let printed = match &mut self.out {
            Out::Standard(out) => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
            Out::Error(out) => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
        };
        match printed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => {
                // A full disk behind `> file`: half a report must not look like a whole one.
                let _ = writeln!(io::stderr(), "pgdrill: cannot write to standard output: {error}");
                exit(i32::from(ExitCode::Usage.number()));
            }
        }
    }
}

/// The text with a visible sign for everything that a terminal would act upon, but for the sequences that set a style (SGR, `ESC[1m`).
fn with_styles(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let mut shown = visible(pieces.next().unwrap_or_default()).into_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(piece.len());
        let is_style = piece[end..].starts_with('m');
        shown.push_str(if is_style { "\x1b[" } else { "\u{241b}[" });
        shown.push_str(&visible(piece));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_terminal_obeys_only_styles_reach_it() {
        for (text, expected) in [
            ("\x1b[1mbold\x1b[0m \x1b[38;5;9mred\x1b[m", "\x1b[1mbold\x1b[0m \x1b[38;5;9mred\x1b[m"),
            ("\x1b[2Jx\x1b[1;1H\x1b]0;t\x07\x1bc", "\u{241b}[2Jx\u{241b}[1;1H\u{241b}]0;t\u{2407}\u{241b}c"),
            ("passed\rfailed \u{9b}2J", "passed\u{240d}failed \u{fffd}2J"),
            ("\x1b[", "\u{241b}["),
        ] {
            assert_eq!(with_styles(text), expected, "{text:?}");
        }
    }
}
