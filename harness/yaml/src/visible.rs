//! Text of files and of the network as it may be shown: what a terminal would obey, or what would hide or turn round other text,
//! is shown instead of done.

use std::borrow::Cow;

/// The text with a visible sign for every character that a terminal would act upon (escape sequences begin with one), and for those
/// that turn the direction of text or hide it. Line feeds and tabs stay, and a carriage return before a line feed is left out. As
/// many characters as before, but for that.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| sign(c) != c) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").chars().map(sign).collect())
}

/// As [`visible`], for one line: line feeds are shown as well.
#[must_use]
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    match visible(text) {
        shown if shown.contains('\n') => Cow::Owned(shown.replace('\n', "\u{240a}")),
        shown => shown,
    }
}

/// The sign that stands for a character: itself, Unicode's picture of a control character, or the replacement character.
pub(crate) fn sign(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '\u{2421}',
        // C1 controls, marks and overrides of direction, separators of lines, invisible characters.
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (text, expected) in [
            ("plain, äöü, 数\tand\nmore", "plain, äöü, 数\tand\nmore"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "␛[2J␛]0;title␇"),
            ("all passed\r1 failed", "all passed␍1 failed"),
            ("two\r\nlines", "two\nlines"),
            ("\u{9b}31m \u{202e}desrever \u{7f}", "\u{fffd}31m \u{fffd}desrever ␡"),
        ] {
            assert_eq!(visible(text), expected, "{text:?}");
        }
        assert_eq!(on_one_line("a\nb"), "a␊b");
    }
}
