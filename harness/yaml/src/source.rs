//! The text of a file as messages show it: one line, or the part of it that a problem is about, without secrets, and without
//! anything that a terminal would obey.

use std::{cell::OnceCell, ops::Range, path::PathBuf};

use crate::{
    node::Place,
    secret::{self, HIDDEN},
    visible::sign,
};

/// How many characters are shown before the place of a problem, and from there on.
const BEFORE: usize = 60;
const FROM: usize = 100;

/// A file or a variable, and its text.
#[derive(Debug)]
pub(crate) struct Source<'t> {
    /// Its name.
    pub file: PathBuf,
    text: &'t str,
    /// Found out when the first problem is told: most files have none.
    seen: OnceCell<Seen>,
}

#[derive(Debug)]
struct Seen {
    chars: Vec<char>,
    lines: Vec<Range<usize>>,
    hidden: Vec<Range<usize>>,
}

/// A line, or the part of it around a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The text.
    pub text: String,
    /// Where in it the place begins, in characters from 1.
    pub mark: usize,
    /// How many characters it has.
    pub width: usize,
}

/// How much of what is at a place may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// All of it.
    Open,
    /// It has a secret in it.
    Partly,
    /// Nothing.
    Hidden,
}

impl<'t> Source<'t> {
    pub fn new(file: PathBuf, text: &'t str) -> Self {
        Self { file, text, seen: OnceCell::new() }
    }

    fn seen(&self) -> &Seen {
        self.seen.get_or_init(|| {
            let chars: Vec<char> = self.text.chars().collect();
            Seen { lines: secret::lines(&chars), hidden: secret::places(self.text, &chars), chars }
        })
    }

    /// Whether what is at a place may be shown. A variable has no lines: its name says it.
    pub fn cover(&self, place: Place) -> Cover {
        if self.text.is_empty() {
            let name = self.file.to_string_lossy();
            return if secret::is_secret(&name) { Cover::Hidden } else { Cover::Open };
        }
        let Some(range) = self.seen().range(place) else { return Cover::Open };
        let hidden = &self.seen().hidden;
        let first = hidden.partition_point(|hidden| hidden.end <= range.start);
        match hidden.get(first) {
            Some(hidden) if hidden.start <= range.start => Cover::Hidden,
            Some(hidden) if hidden.start < range.end => Cover::Partly,
            _ => Cover::Open,
        }
    }

    /// The line of a place; an empty one when there is none.
    pub fn excerpt(&self, place: Place) -> Excerpt {
        let seen = self.seen();
        let Some(line) = place.line.checked_sub(1).and_then(|n| seen.lines.get(n)) else { return Excerpt::default() };
        let at = (line.start + place.column.saturating_sub(1)).min(line.end);
        let to = (at + place.width.max(1)).min(line.end.max(at + 1));
        let shown = at.saturating_sub(BEFORE).max(line.start)..(at + FROM).min(line.end);
        let mut drawn = Drawn::default();
        if shown.start > line.start {
            drawn.text.push('…');
            drawn.count += 1;
        }
        let first = seen.hidden.partition_point(|hidden| hidden.end <= shown.start);
        let mut hidden = seen.hidden[first..].iter().take_while(|hidden| hidden.start < shown.end).peekable();
        let mut n = shown.start;
        while n < shown.end {
            match hidden.next_if(|hidden| hidden.start <= n) {
                Some(secret) => {
                    drawn.put(HIDDEN, n..secret.end.min(line.end), at, to);
                    n = secret.end.min(line.end);
                }
                None => {
                    drawn.put(sign(seen.chars[n]).encode_utf8(&mut [0; 4]), n..n + 1, at, to);
                    n += 1;
                }
            }
        }
        if n < line.end {
            drawn.text.push('…');
        }
        let mark = drawn.mark.unwrap_or(drawn.count) + 1;
        Excerpt { text: drawn.text, mark, width: drawn.width.max(1) }
    }
}

impl Seen {
    /// The characters of a place in one line.
    fn range(&self, place: Place) -> Option<Range<usize>> {
        let line = self.lines.get(place.line.checked_sub(1)?)?;
        let begin = (line.start + place.column.saturating_sub(1)).min(line.end);
        Some(begin..(begin + place.width.max(1)).min(line.end.max(begin)))
    }
}

/// A line that is being drawn.
#[derive(Default)]
struct Drawn {
    text: String,
    count: usize,
    mark: Option<usize>,
    width: usize,
}

impl Drawn {
    /// Puts what stands for some characters of the text; `at` to `to` is what the mark is put under.
    fn put(&mut self, shown: &str, of: Range<usize>, at: usize, to: usize) {
        let count = shown.chars().count();
        if of.start < to && at < of.end {
            self.mark.get_or_insert(self.count);
            self.width += count;
        }
        self.text.push_str(shown);
        self.count += count;
    }
}
