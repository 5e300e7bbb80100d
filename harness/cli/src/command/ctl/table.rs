//! Tables as `patronictl` draws them (the prettytable library, with the cluster's name in the first line).

use unicode_width::UnicodeWidthStr;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Left.
    Left,
    /// Right.
    Right,
}

/// A table of texts; a cell may have several lines.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// What stands in the first line, over the rule; empty for none.
    pub title: String,
    /// Headings with their alignment, which is that of the column too.
    pub columns: Vec<(String, Align)>,
    /// Rows of as many cells as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The text, with a line feed at its end. With a cell of several lines there is a rule after each row.
    pub fn draw(&self) -> String {
        let widths = self.widths();
        let rule = rule(&widths);
        let heading: Vec<_> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let mut lines = vec![self.first_line(&rule)];
        lines.extend(self.lines(&heading, &widths));
        lines.push(rule.clone());
        let rule_each = self.rows.iter().flatten().any(|cell| cell.contains('\n'));
        for row in &self.rows {
            lines.extend(self.lines(row, &widths));
            if rule_each {
                lines.push(rule.clone());
            }
        }
        if !rule_each {
            lines.push(rule);
        }
        lines.join("\n") + "\n"
    }

    fn widths(&self) -> Vec<usize> {
        let widest = |text: &str| text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
        let of = |index: usize| self.rows.iter().map(|row| widest(&row[index])).max().unwrap_or(0);
        self.columns.iter().enumerate().map(|(index, (name, _))| widest(name).max(of(index))).collect()
    }

    fn first_line(&self, rule: &str) -> String {
        let title: String = self.title.chars().take(rule.len().saturating_sub(2)).collect();
        let covered = 1 + title.chars().count();
        format!("{}{title}{}", &rule[..1], rule.get(covered..).unwrap_or_default())
    }

    fn lines(&self, row: &[String], widths: &[usize]) -> Vec<String> {
        let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0).max(1);
        let cell = |index: usize, line: usize| {
            let text = row[index].lines().nth(line).unwrap_or_default();
            let gap = " ".repeat(widths[index].saturating_sub(text.width()));
            match self.columns[index].1 {
                Align::Left => format!(" {text}{gap} "),
                Align::Right => format!(" {gap}{text} "),
            }
        };
        let line = |line| {
            let cells: Vec<_> = (0..row.len()).map(|index| cell(index, line)).collect();
            format!("|{}|", cells.join("|"))
        };
        (0..height).map(line).collect()
    }
}

fn rule(widths: &[usize]) -> String {
    let parts: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    format!("+{}+", parts.join("+"))
}
