//! Secrets of a text that is no YAML, line by line: where its structure cannot be known, rather too much is hidden than too little.

use std::ops::Range;

use super::{name, within};

/// The places, in characters.
pub(super) fn places(chars: &[char]) -> Vec<Range<usize>> {
    let mut scan = Scan::default();
    for place in lines(chars) {
        let text: String = chars[place.clone()].iter().collect();
        scan.line(&Line::of(&text, place));
    }
    scan.anchors(chars);
    scan.hidden
}

/// The lines of a text as YAML counts them, without what ends them.
pub(crate) fn lines(chars: &[char]) -> Vec<Range<usize>> {
    let (mut found, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < chars.len() {
        if matches!(chars[at], '\n' | '\r') {
            found.push(begin..at);
            at += usize::from(chars[at] == '\r' && chars.get(at + 1) == Some(&'\n'));
            begin = at + 1;
        }
        at += 1;
    }
    found.push(begin..chars.len());
    found
}

struct Line<'t> {
    text: &'t str,
    place: Range<usize>,
    indent: usize,
}

impl<'t> Line<'t> {
    fn of(text: &'t str, place: Range<usize>) -> Self {
        let indent = text.chars().take_while(|c| c.is_whitespace() || *c == '-').count();
        Self { text, place, indent }
    }

    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// All of it but its indent.
    fn content(&self) -> Range<usize> {
        self.place.start + self.indent..self.place.end
    }

    fn is_word(&self) -> bool {
        let content = self.text.trim_matches(|c: char| c.is_whitespace() || c == '-');
        content.contains(char::is_alphanumeric)
            && !content.contains(|c: char| c.is_whitespace() || "{}[],:#".contains(c))
    }

    /// The name with which it begins, `name:`, and how many bytes of the line that is.
    fn field(&self) -> Option<(&'t str, usize)> {
        let content = self.text.trim_start_matches(|c: char| c.is_whitespace() || c == '-');
        let (name, value) = content.split_once(':')?;
        let name = name.trim_matches(['"', '\'', ' ']);
        let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        (plain && (value.is_empty() || value.starts_with([' ', '\t']))).then(|| (name, self.text.len() - value.len()))
    }

    /// The rest of the line from a byte of it on, without what stands between a name and its value.
    fn from(&self, byte: usize) -> Range<usize> {
        let rest = self.text[byte..].trim_start_matches(['"', '\'', ' ', '\t']);
        let rest = rest.trim_start_matches([':', '=']).trim_start();
        self.place.end - rest.chars().count()..self.place.end
    }
}

#[derive(Default)]
struct Scan {
    /// The indent of a secret that may go on in the lines that follow.
    secret: Option<usize>,
    /// The indent of a group of users.
    users: Option<usize>,
    /// The line before ended with a backslash: it goes on.
    goes_on: bool,
    /// The last word of the line before, unless it is hidden: a name may be torn apart.
    last_word: String,
    /// The end of the line before is hidden: whether it was the beginning of a name is not asked.
    ends_hidden: bool,
    /// The last word of a line between the two that consists of one only: it may be a part of the name, or what slipped in.
    between: String,
    /// Names of anchors that stand for secrets.
    named: Vec<String>,
    hidden: Vec<Range<usize>>,
}

impl Scan {
    fn line(&mut self, line: &Line<'_>) {
        if !line.is_blank() {
            let before = self.hidden.len();
            self.hide_in(line);
            self.remember(line, before);
        }
    }

    fn hide_in(&mut self, line: &Line<'_>) {
        let goes_on = std::mem::replace(&mut self.goes_on, line.text.ends_with('\\'));
        if goes_on || self.goes_on {
            return self.hide(line.content());
        }
        let field = line.field();
        let torn = self.torn(line.text);
        if torn {
            self.secret = Some(line.indent);
            return self.hide(line.content());
        }
        if let Some(indent) = self.secret {
            if field.is_none() || line.indent > indent {
                return self.hide(line.content());
            }
            self.secret = None;
        }
        if self.users.is_some_and(|indent| field.is_some() && line.indent <= indent) {
            self.users = None;
        }
        if self.named(line) {
            return;
        }
        match field {
            Some((name, _)) if self.users.is_some() && name::is_harmless(name) => {}
            Some((_, value)) if self.users.is_some() => self.hide(line.from(value)),
            // A single word without a name may have lost it.
            None if self.users.is_some() || line.is_word() => self.hide(line.content()),
            _ => {}
        }
        let chars = |bytes: usize| line.place.start + line.text[..bytes].chars().count();
        let within = within::places(line.text).into_iter().map(|range| chars(range.start)..chars(range.end));
        self.hidden.extend(within);
    }

    /// What follows a secret's name, or the name of a group of users. Whether there is one.
    fn named(&mut self, line: &Line<'_>) -> bool {
        let unescaped = unescaped(line.text);
        let words = |text: &str| {
            let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
            words.filter(|word| name::is_secret(word) || name::is_group(word)).count()
        };
        if unescaped.as_deref().is_some_and(|unescaped| words(unescaped) > 0) {
            self.secret = Some(line.indent);
            self.hide(line.content());
            return true;
        }
        let mut begin = 0;
        for word in line.text.split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
            let name = word.trim_end_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
            let end = begin + name.len();
            begin += word.len();
            let is_group = name::is_group(name);
            if !is_group && !name::is_secret(name) {
                continue;
            }
            let value = line.from(end);
            if is_group && value.is_empty() {
                self.users = Some(line.indent);
                return true;
            }
            self.secret = Some(line.indent);
            self.note_aliases(&line.text[end..]);
            self.hide(value);
            return true;
        }
        false
    }

    /// Whether the end of the line before and the beginning of this one are a secret's name together.
    fn torn(&self, text: &str) -> bool {
        let first = words(text).next().map_or("", |(_, word)| word);
        let Self { last_word, between, .. } = self;
        let is_name = |before: &str| !before.is_empty() && name::is_secret(&format!("{before}{first}"));
        let goes_on = is_name(last_word) || is_name(between) || is_name(&format!("{last_word}{between}"));
        !name::is_secret(first) && (goes_on || (self.ends_hidden && name::may_end_a_secret(first)))
    }

    /// What else slipped in at a tear, as in `passw&`, is no word. What is hidden is no part of a name: nothing depends on it.
    fn remember(&mut self, line: &Line<'_>, hidden_before: usize) {
        let (at, word) = words(line.text).next_back().unwrap_or_default();
        if line.is_word() {
            word.clone_into(&mut self.between);
            return;
        }
        let begin = line.place.start + line.text[..at].chars().count();
        let end = begin + word.chars().count();
        self.ends_hidden = self.hidden[hidden_before..].iter().any(|place| place.start < end && begin < place.end);
        self.last_word = if self.ends_hidden { String::new() } else { word.to_owned() };
        self.between.clear();
    }

    fn note_aliases(&mut self, value: &str) {
        let names = value.split('*').skip(1).map(|rest| rest.split([' ', ',', '}', ']']).next().unwrap_or_default());
        self.named.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }

    /// What aliases of secrets stand for.
    fn anchors(&mut self, chars: &[char]) {
        for place in lines(chars).into_iter().filter(|_| !self.named.is_empty()).collect::<Vec<_>>() {
            let text: String = chars[place.clone()].iter().collect();
            for name in &self.named {
                if let Some(at) = text.find(&format!("&{name}")) {
                    self.hidden.push(place.start + text[..at].chars().count()..place.end);
                }
            }
        }
    }

    fn hide(&mut self, place: Range<usize>) {
        self.hidden.push(place);
    }
}

/// The words of a text that may be parts of names, each with where it begins.
fn words(text: &str) -> impl DoubleEndedIterator<Item = (usize, &str)> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
    words.map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// The line with its escapes resolved: `"pass\u0077ord"`; nothing when it has none.
fn unescaped(line: &str) -> Option<String> {
    if !line.contains('\\') {
        return None;
    }
    let (mut found, mut rest) = (String::new(), line);
    while let Some((before, after)) = rest.split_once('\\') {
        found.push_str(before);
        let digits = match after.chars().next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        let code = after.get(1..=digits).filter(|_| digits > 0).and_then(|code| u32::from_str_radix(code, 16).ok());
        match code.and_then(char::from_u32) {
            Some(c) => {
                found.push(c);
                rest = &after[1 + digits..];
            }
            None => rest = after,
        }
    }
    found.push_str(rest);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left to see of a text.
    fn shown(text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let hidden = places(&chars);
        let seen = chars.iter().enumerate().filter(|(at, _)| !hidden.iter().any(|place| place.contains(at)));
        seen.map(|(_, c)| *c).collect()
    }

    #[test]
    fn a_name_that_is_torn_apart_in_whatever_place_hides_its_value() {
        const LINE: &str = "  rewind: { username: rewinder, password: tell-nobody, sslmode: prefer }";
        let begin = LINE.find("password").expect("the name is there");
        for at in begin..=begin + "password".len() {
            for with in
                ["\n", "\r\n", "&\n", "*\n", "\n\n", "x\n", "\nx", "-\n- ", "{\n", ",\n", "x\nx\n", "\n&", "&\n\n"]
            {
                let text = format!("a: 1\n{}{with}{}\nb: [\n", &LINE[..at], &LINE[at..]);
                assert!(!shown(&text).contains("tell-nobody"), "{text}");
            }
        }
    }

    #[test]
    fn in_a_group_of_users_too() {
        const LINE: &str = "    superuser: { username: postgres, password: tell-nobody }";
        let begin = LINE.find("password").expect("the name is there");
        for at in begin..=begin + "password".len() {
            for with in ["\n", "&\n", "\nx", "x\n"] {
                let text = format!("  authentication:\n{}{with}{}\nb: [\n", &LINE[..at], &LINE[at..]);
                assert!(!shown(&text).contains("tell-nobody"), "{text}");
            }
        }
    }

    #[test]
    fn lines_of_single_words_do_not_become_a_name_by_standing_below_each_other() {
        let text = "nodes:\n- pg1\n- pg2\nttl: 30\nloop_wait: 10\n";
        assert!(shown(text).contains("loop_wait: 10"), "{}", shown(text));
    }
}
