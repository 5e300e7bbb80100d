//! Secrets inside of a text: `postgres://app:SECRET@host`, `password=SECRET`, `--password SECRET`, `Authorization: Basic SECRET`.

use std::{borrow::Cow, ops::Range};

use super::{HIDDEN, merged, name::is_secret};

/// The text without the secrets in it: passwords of URLs, of connection strings, of options and headers. Only for text that somebody
/// else has written: nothing in it may look like that and be meant to be read.
#[must_use]
pub fn without(text: &str) -> Cow<'_, str> {
    let found = places(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut shown, mut at) = (String::new(), 0);
    for range in found {
        shown.push_str(&text[at..range.start]);
        shown.push_str(HIDDEN);
        at = range.end;
    }
    shown.push_str(&text[at..]);
    Cow::Owned(shown)
}

/// Where they are, in bytes, in order.
pub(super) fn places(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    urls(text, &mut found);
    for word in words(text) {
        named(text, &word, &mut found);
        schemes(text, &word, &mut found);
        hashes(text, &word, &mut found);
    }
    if let Some(at) = text.find("PRIVATE KEY-----") {
        found.push(at + "PRIVATE KEY-----".len()..text.len());
    }
    merged(found)
}

/// What names are made of.
fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$')
}

fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| is_of_name(*c)) {
        match words.last_mut() {
            Some(last) if last.end == at => last.end = at + c.len_utf8(),
            _ => words.push(at..at + c.len_utf8()),
        }
    }
    words
}

/// `scheme://NAME:SECRET@host`, also where the scheme is not written well; the secret may hold anything but space and quotes.
fn urls(text: &str, found: &mut Vec<Range<usize>>) {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
    let mut begin = 0;
    for token in text.split(ends) {
        let at = begin;
        begin += token.len() + text[at + token.len()..].chars().next().map_or(0, char::len_utf8);
        let scheme = token.find("://").map_or(0, |scheme| scheme + "://".len());
        let rest = &token[scheme..];
        let user = rest.rfind('@');
        match (user, rest[..user.unwrap_or(rest.len())].find(':')) {
            (Some(user), Some(colon)) => found.push(at + scheme + colon + 1..at + scheme + user),
            // A token that stands for name and password, where it can be one.
            (Some(user), None) if token.starts_with("http") && scheme > 0 && !rest[..user].contains('/') => {
                found.push(at + scheme..at + scheme + user);
            }
            // What should be a port: the `@` may be missing.
            (None, Some(colon)) if scheme > 0 && !is_port(&rest[colon + 1..]) => {
                found.push(at + scheme + colon + 1..at + token.len());
            }
            _ => {}
        }
    }
}

fn is_port(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_ascii_digit()).chars().next().is_none_or(|c| !c.is_alphanumeric())
        || text.starts_with(['[', ':', '/'])
}

/// `password=SECRET`, `password = 'SECRET'`, `"password": "SECRET"`, `--password SECRET`, `-u name:SECRET`.
fn named(text: &str, word: &Range<usize>, found: &mut Vec<Range<usize>>) {
    let name = &text[word.clone()];
    let rest = &text[word.end..];
    if matches!(name, "-u" | "--user" | "--proxy-user") {
        let value = rest.trim_start_matches([' ', '\t', '=', '"', '\'']);
        let of_user = value.split(char::is_whitespace).next().unwrap_or_default();
        if let Some(colon) = of_user.find(':') {
            let begin = text.len() - value.len();
            found.push(begin + colon + 1..begin + of_user.len());
        }
        return;
    }
    if !is_secret(name) {
        return;
    }
    // `passwordSECRET`: nothing stands between the two.
    if let Some((_, glued)) = name.split_once("password")
        && !matches!(glued, "" | "s")
        && !glued.starts_with(['_', '-', '.'])
    {
        found.push(word.end - glued.len()..word.end);
    }
    let after = rest.trim_start_matches(['"', '\'', ']', ' ', '\t']);
    let (value, of_line) = match after.chars().next() {
        Some('=') => (&after[1..], false),
        Some(':') => (&after[1..], true),
        Some('%') if after.get(1..3).is_some_and(|code| matches!(code.to_ascii_lowercase().as_str(), "3d" | "3a")) => {
            (&after[3..], false)
        }
        Some(_) if name.starts_with('-') && rest.starts_with([' ', '\t']) => (rest, false),
        _ => return,
    };
    let value = value.trim_start_matches([' ', '\t', '=']);
    let begin = text.len() - value.len();
    found.push(begin..begin + length(value, of_line));
}

/// How long a value is: to the quote that closes it, to the end of its line, or to the next space.
fn length(value: &str, of_line: bool) -> usize {
    let mut chars = value.char_indices();
    match chars.next() {
        Some((_, quote @ ('"' | '\''))) => {
            let mut is_escaped = false;
            for (at, c) in chars {
                // A quote that is written twice stands for itself.
                if c == quote && !is_escaped && !value[at + 1..].starts_with(quote) && !value[1..at].ends_with(quote) {
                    return at + 1;
                }
                is_escaped = c == '\\' && !is_escaped;
            }
            value.len()
        }
        _ if of_line => value.find(['\n', '\r']).unwrap_or(value.len()),
        _ => value.find(char::is_whitespace).unwrap_or(value.len()),
    }
}

/// `Bearer SECRET`, `Basic SECRET`.
fn schemes(text: &str, word: &Range<usize>, found: &mut Vec<Range<usize>>) {
    let scheme = text[word.clone()].to_ascii_lowercase();
    if !scheme.ends_with("bearer") && !matches!(scheme.as_str(), "basic" | "digest" | "negotiate") {
        return;
    }
    let value = text[word.end..].trim_start_matches([' ', '\t', '+']);
    let value = value.strip_prefix("%20").unwrap_or(value);
    let begin = text.len() - value.len();
    if begin > word.end {
        found.push(begin..begin + value.find(char::is_whitespace).unwrap_or(value.len()));
    }
}

/// What PostgreSQL stores of a password is as good as the password to who cracks it: `SCRAM-SHA-256$...`, `md5...`.
fn hashes(text: &str, word: &Range<usize>, found: &mut Vec<Range<usize>>) {
    let name = &text[word.clone()];
    if let Some(at) = name.find("SCRAM-SHA-256$") {
        let rest = &text[word.start + at..];
        found.push(word.start + at..word.start + at + rest.find(char::is_whitespace).unwrap_or(rest.len()));
    } else if name.len() == 35 && name.starts_with("md5") && name[3..].chars().all(|c| c.is_ascii_hexdigit()) {
        found.push(word.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_inside_of_a_text_is_left_out_and_nothing_else() {
        for (text, expected) in [
            ("postgres://app:s3/c@r:t@db:5432/x", "postgres://app:********@db:5432/x"),
            ("https://s3cret@etcd:2379", "https://********@etcd:2379"),
            ("postgres://app@db/x", "postgres://app@db/x"),
            ("http://10.0.0.1:2379/a@b", "http://10.0.0.1:********@b"),
            ("https://10.0.0.1:2379,https://[::1]:2379/x", "https://10.0.0.1:2379,https://[::1]:2379/x"),
            ("https:/app:s3cret@db", "https:********@db"),
            ("https://app:s3cret10.0.0.1:2379", "https://app:********"),
            ("passwords3cret", "password********"),
            ("passwordcheck", "passwordcheck"),
            ("host=db password=s3cret user=app", "host=db password=******** user=app"),
            ("host=db password = 's3 \\' cr''et' user=app", "host=db password = ******** user=app"),
            ("restore --password=s3cret --to /x", "restore --password=******** --to /x"),
            ("restore --password s3cret --to /x", "restore --password ******** --to /x"),
            ("PGPASSWORD=s3cret psql", "PGPASSWORD=******** psql"),
            ("curl -u app:s3cret http://x", "curl -u app:******** http://x"),
            ("{\"password\": \"s3 cret\", \"a\": 1}", "{\"password\": ********, \"a\": 1}"),
            ("Authorization: Basic czNjcmV0", "Authorization: ********"),
            ("curl -H 'X: Bearer s3cret'", "curl -H 'X: Bearer ********"),
            ("/x?user=a&password=s3%20cret", "/x?user=a&password=********"),
            ("x%3Fpassword%3Ds3cret", "x%3Fpassword%3D********"),
            ("md50123456789abcdef0123456789abcdef", "********"),
            ("'SCRAM-SHA-256$4096:a==$b:c'", "'********"),
            ("host all all 10.0.0.0/8 password", "host all all 10.0.0.0/8 password"),
            ("the password is rotated every day", "the password is rotated every day"),
            ("password:s3cret", "password:********"),
        ] {
            assert_eq!(without(text), expected, "{text}");
        }
    }
}
