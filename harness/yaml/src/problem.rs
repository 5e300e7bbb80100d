//! What is wrong with a file: a value that names the place, what was found and what would be right.

use std::{fmt, path::PathBuf};

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, Severity as Level, SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;

/// Whether the file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it does not do what its author may think.
    Warning,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 when it is about the file as a whole.
    pub column: usize,
    /// The field: `timeline[2].cut.between[0]`; empty when it is about the file as a whole.
    pub field: String,
    /// What was found.
    pub found: String,
    /// What would be right.
    pub expected: String,
    /// What to do about it, or why it matters; may be empty.
    pub help: String,
    /// How bad it is.
    pub severity: Severity,
    /// The text of the line, for showing the place.
    #[serde(skip)]
    pub excerpt: String,
    /// How many characters of the line it is about.
    #[serde(skip)]
    pub width: usize,
}

impl Problem {
    /// About the file as a whole.
    #[must_use]
    pub fn of_file(file: PathBuf, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            file,
            line: 0,
            column: 0,
            field: String::new(),
            found: found.into(),
            expected: expected.into(),
            help: String::new(),
            severity: Severity::Error,
            excerpt: String::new(),
            width: 0,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// As miette draws it: the line, a mark under the place, and the help.
    #[must_use]
    pub fn report(&self) -> miette::Report {
        miette::Report::new(Drawn {
            source: OneLine {
                file: self.file.display().to_string(),
                text: self.excerpt.clone(),
                line: self.line,
                column: self.column,
            },
            problem: self.clone(),
        })
    }
}

impl fmt::Display for Problem {
    /// One line: `leader.yaml:4:3: workload.rate: found "5", expected ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.sentence())?;
        if self.help.is_empty() { Ok(()) } else { write!(f, " ({})", self.help) }
    }
}

impl Problem {
    fn sentence(&self) -> String {
        format!("found {}, expected {}", self.found, self.expected)
    }
}

/// A problem with its source, for miette.
#[derive(Debug)]
struct Drawn {
    source: OneLine,
    problem: Problem,
}

/// The one line that a problem is about, with its number: the rest of the file need not be kept (nor a password in it).
#[derive(Debug)]
struct OneLine {
    file: String,
    text: String,
    line: usize,
    column: usize,
}

impl SourceCode for OneLine {
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = (0, self.text.len()).into();
        let (line, column) = (self.line.saturating_sub(1), self.column.saturating_sub(1));
        Ok(Box::new(MietteSpanContents::new_named(self.file.clone(), self.text.as_bytes(), whole, line, column, 1)))
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a line nothing is drawn that names the file.
        if self.problem.line == 0 {
            write!(f, "{}: ", self.source.file)?;
        }
        if self.problem.field.is_empty() {
            f.write_str(&self.problem.sentence())
        } else {
            write!(f, "{}: {}", self.problem.field, self.problem.sentence())
        }
    }
}

impl std::error::Error for Drawn {}

impl Diagnostic for Drawn {
    fn severity(&self) -> Option<Level> {
        Some(match self.problem.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.problem.help.is_empty()).then(|| Box::new(&self.problem.help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (self.problem.line > 0).then_some(&self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.problem.line == 0 {
            return None;
        }
        // Columns count characters, spans count bytes.
        let bytes = |text: &mut dyn Iterator<Item = char>| text.map(char::len_utf8).sum::<usize>();
        let before = bytes(&mut self.problem.excerpt.chars().take(self.problem.column.saturating_sub(1)));
        let within = bytes(
            &mut self.problem.excerpt.chars().skip(self.problem.column.saturating_sub(1)).take(self.problem.width),
        );
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".into()), before, within))))
    }
}
