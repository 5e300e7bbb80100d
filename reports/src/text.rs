//! Text measured in terminal columns: padding, shortening, wrapping, and numbers as people write them.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Pads with spaces on the right to `columns`; longer text stays as it is.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Pads with spaces on the left to `columns`; longer text stays as it is.
pub(crate) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Cuts text that is wider than `columns`, ending it with `…`.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// Wraps text to `columns`, at most `lines` lines; what does not fit ends in `…`.
pub(crate) fn wrap(text: &str, columns: usize, lines: usize) -> Vec<String> {
    // Line breaks and tabs inside a server's error message would break the columns.
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut wrapped: Vec<String> = textwrap::wrap(&flat, columns.max(1)).into_iter().map(Into::into).collect();
    if wrapped.len() > lines {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            *last = shorten(&format!("{last} …"), columns.max(2));
        }
    }
    wrapped
}

/// A duration with the digits that matter: `340 ms`, `4.21 s`, `38.2 s`, `3 min 20 s`.
#[must_use]
pub fn duration(d: Duration) -> String {
    let secs = d.as_secs_f64();
    if d.is_zero() {
        "0 s".to_owned()
    } else if secs < 0.9995 {
        format!("{} ms", d.as_millis())
    } else if secs < 9.995 {
        format!("{secs:.2} s")
    } else if secs < 119.95 {
        format!("{secs:.1} s")
    } else {
        let whole = secs.round() as u64;
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// A key by which `pg2` comes before `pg10`.
pub(crate) fn natural(name: &str) -> (String, u64, String) {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (prefix.to_owned(), name[prefix.len()..].parse().unwrap_or(0), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_measured_in_columns_not_in_bytes() {
        assert_eq!(left("é", 3), "é  ");
        assert_eq!(right("日本", 5), " 日本");
        assert_eq!(shorten("日本語", 5), "日本…");
        assert_eq!(shorten("abc", 3), "abc");
    }

    #[test]
    fn wrapped_text_keeps_to_its_lines_and_says_when_something_is_missing() {
        assert_eq!(wrap("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrap("one\n two three four", 7, 2), ["one two", "three …"]);
    }

    #[test]
    fn durations_carry_the_digits_that_matter() {
        let cases = [(0, "0 s"), (340, "340 ms"), (4_210, "4.21 s"), (38_240, "38.2 s"), (200_000, "3 min 20 s")];
        for (ms, text) in cases {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn names_with_numbers_are_ordered_by_number() {
        let mut names = ["pg10", "pg2", "etcd1", "pg1"];
        names.sort_by_key(|n| natural(n));
        assert_eq!(names, ["etcd1", "pg1", "pg2", "pg10"]);
    }
}
