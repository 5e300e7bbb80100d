//! What is wrong with a file: a value that names the place, what was found and what would be right.

use std::{fmt, path::PathBuf};

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, Severity as Level, SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;

use crate::visible::{on_one_line, visible};

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
    /// The text of the line, for showing the place: of a long line the part around it, and no secret.
    #[serde(skip)]
    pub excerpt: String,
    /// Where in the excerpt the place is, in characters, from 1.
    #[serde(skip)]
    pub mark: usize,
    /// How many characters of the excerpt it is about.
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
            mark: 0,
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
                file: on_one_line(&self.file.display().to_string()).into_owned(),
                text: self.excerpt.clone(),
                line: self.line,
                column: self.column,
            },
            problem: Self {
                field: visible(&self.field).into_owned(),
                found: visible(&self.found).into_owned(),
                expected: visible(&self.expected).into_owned(),
                help: visible(&self.help).into_owned(),
                ..self.clone()
            },
        })
    }
}

impl fmt::Display for Problem {
    /// One line: `leader.yaml:4:3: workload.rate: found "5", expected ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", on_one_line(&self.file.display().to_string()))?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", visible(&self.field))?;
        }
        write!(f, " {}", visible(&self.sentence()))?;
        if self.help.is_empty() { Ok(()) } else { write!(f, " ({})", visible(&self.help)) }
    }
}

impl Problem {
    fn sentence(&self) -> String {
        format!("found {}, expected {}", self.found, self.expected)
    }
}

/// So many problems of one file are told one by one.
const TOLD: usize = 20;

/// The first problems of each file, in their order, the errors and the warnings for themselves; what is more is counted.
#[must_use]
pub fn first_of_each(problems: Vec<Problem>) -> Vec<Problem> {
    let mut counts: Vec<(PathBuf, Severity, usize)> = Vec::new();
    let mut told = Vec::new();
    for problem in problems {
        // Problems of one file stand together mostly: the newest count is looked at first.
        let same =
            |(file, severity, _): &(PathBuf, Severity, usize)| *severity == problem.severity && *file == problem.file;
        let n = counts.iter().rposition(same).unwrap_or_else(|| {
            counts.push((problem.file.clone(), problem.severity, 0));
            counts.len() - 1
        });
        counts[n].2 += 1;
        if counts[n].2 <= TOLD {
            told.push(problem);
        }
    }
    for (file, severity, count) in counts.into_iter().filter(|(.., count)| *count > TOLD) {
        let more = count - TOLD;
        let what = if severity == Severity::Error { "mistake" } else { "warning" };
        let plural = if more == 1 { "" } else { "s" };
        let problem = Problem::of_file(file, format!("{more} more {what}{plural}"), "none");
        told.push(Problem { severity, ..problem.with_help(format!("the first {TOLD} are told")) });
    }
    told
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
        let skipped = self.problem.mark.saturating_sub(1);
        let before = bytes(&mut self.problem.excerpt.chars().take(skipped));
        let within = bytes(&mut self.problem.excerpt.chars().skip(skipped).take(self.problem.width));
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".into()), before, within))))
    }
}
