//! Doc comments as text for people who do not read Rust.

/// Without links: `[`Link`]` and `[words](path)` become their words.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let (before, after) = rest.split_at(start);
        plain += before;
        let Some(end) = after.find(']') else {
            rest = after;
            break;
        };
        let (inner, tail) = (&after[1..end], &after[end + 1..]);
        let target = tail.strip_prefix('(').and_then(|target| target.find(')'));
        let code = inner.starts_with('`') && inner.ends_with('`') && inner.len() > 1;
        match target {
            Some(close) => {
                plain += inner;
                rest = &tail[close + 2..];
            }
            None if code => {
                plain += inner;
                rest = tail;
            }
            // A list in the file's own notation: `[A, B]`.
            None => {
                plain += &after[..=end];
                rest = tail;
            }
        }
    }
    // A doc comment is wrapped where the source is; an editor wraps it where its window is.
    (plain + rest).replace("\n\n", "\u{0}").replace('\n', " ").replace('\u{0}', "\n\n")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn links_become_their_words_and_lists_stay() {
        assert_eq!(
            plain("See [`Link`] and [the rule](super::rule), as `[A, B]`."),
            "See `Link` and the rule, as `[A, B]`."
        );
        assert_eq!(plain("Two lines\nof one.\n\nA second."), "Two lines of one.\n\nA second.");
        assert_eq!(plain("open ["), "open [");
    }
}
