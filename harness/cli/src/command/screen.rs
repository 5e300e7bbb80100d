//! Where a command prints: standard output, with colours only on a terminal, going on silently when the reader leaves; standard
//! error where a document goes to standard output.

use std::{
    io::{self, IsTerminal, Write},
    process::exit,
};

use pgdrill_lab::verdict::ExitCode;

/// Lines are this long where there is no terminal to ask.
const WIDTH: usize = 80;

/// Where people read.
pub(crate) struct Screen {
    out: Out,
    /// `pgdrill run | head`: the reader has what it wanted. The runs go on, for the exit code and the files.
    closed: bool,
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
        Self { out: Out::Standard(anstream::AutoStream::auto(stdout)), closed: false, width }
    }

    /// The same on standard error: standard output belongs to a document, and nothing else may stand there.
    pub(crate) fn beside_a_document(self) -> Self {
        let stderr = io::stderr();
        let width = match terminal_size::terminal_size_of(&stderr) {
            Some((width, _)) if stderr.is_terminal() => usize::from(width.0),
            _ => WIDTH,
        };
        Self { out: Out::Error(anstream::AutoStream::auto(stderr)), closed: false, width }
    }

    /// How many columns a line may have.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Prints text as it is.
    pub(crate) fn print(&mut self, text: &str) {
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
