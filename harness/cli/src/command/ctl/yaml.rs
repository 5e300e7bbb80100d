//! YAML as patronictl writes it (PyYAML's `safe_dump`): keys sorted, texts in quotes where YAML 1.1 would read them as something
//! else.

use serde_json::Value;

/// A document, a field to a line.
pub(super) fn block(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(object) if !object.is_empty() => fields(&mut text, value, 0),
        Value::Array(list) if !list.is_empty() => items(&mut text, list, 0),
        other => text = scalar(other, Place::Block, 0) + "\n",
    }
    text
}

/// The same on one line: `{clonefrom: true, zone: a}`.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Object(_) => {
            let field = |(name, value): (&str, &Value)| format!("{}: {}", quoted(name, Place::Flow, 0), flow(value));
            format!("{{{}}}", sorted(value).map(field).collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        other => scalar(other, Place::Flow, 0),
    }
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Block,
    Flow,
}

fn sorted(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let mut fields: Vec<_> =
        object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect();
    fields.sort_by_key(|(name, _)| *name);
    fields.into_iter()
}

/// The first field stands where the text is already.
fn fields(text: &mut String, object: &Value, depth: usize) {
    for (number, (name, value)) in sorted(object).enumerate() {
        if number > 0 {
            text.push_str(&"  ".repeat(depth));
        }
        text.push_str(&quoted(name, Place::Block, depth));
        text.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push('\n');
                text.push_str(&"  ".repeat(depth + 1));
                fields(text, value, depth + 1);
            }
            Value::Array(list) if !list.is_empty() => {
                text.push('\n');
                text.push_str(&"  ".repeat(depth));
                items(text, list, depth);
            }
            other => *text += &format!(" {}\n", scalar(other, Place::Block, depth + 1)),
        }
    }
}

/// The items of a list are not indented any further than the field that they belong to.
fn items(text: &mut String, list: &[Value], depth: usize) {
    for (number, value) in list.iter().enumerate() {
        if number > 0 {
            text.push_str(&"  ".repeat(depth));
        }
        text.push_str("- ");
        match value {
            Value::Object(inner) if !inner.is_empty() => fields(text, value, depth + 1),
            Value::Array(inner) if !inner.is_empty() => items(text, inner, depth + 1),
            other => *text += &format!("{}\n", scalar(other, Place::Block, depth + 1)),
        }
    }
}

fn scalar(value: &Value, place: Place, depth: usize) -> String {
    match value {
        Value::String(text) => quoted(text, place, depth),
        other => other.to_string(),
    }
}

/// A text in the quotes that it needs.
fn quoted(text: &str, place: Place, depth: usize) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let blank = |line: &&str| line.starts_with(' ') || line.ends_with(' ');
    if text.chars().any(|c| c.is_control() && c != '\n') || lines.len() > 1 && lines.iter().any(blank) {
        // The escapes of JSON are YAML's, too.
        return Value::from(text).to_string();
    }
    if lines.len() == 1 && !is_special(text, place) && !means_something_else(text) {
        return text.to_owned();
    }
    let lines = lines.into_iter().map(|line| line.replace('\'', "''")).collect::<Vec<_>>();
    let indent = "  ".repeat(depth);
    let mut written = String::from("'");
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            // One line end reads as a space: each is written as one more.
            let begins = !lines[number - 1].is_empty() || number == 1;
            written.push_str(if begins { "\n\n" } else { "\n" });
            if !line.is_empty() {
                written.push_str(&indent);
            }
        }
        written.push_str(line);
    }
    written + "'"
}

/// Whether without quotes it would be part of YAML's own signs (PyYAML's `analyze_scalar`).
fn is_special(text: &str, place: Place) -> bool {
    let mut chars = text.chars();
    let (Some(first), second) = (chars.next(), chars.next()) else { return true };
    let flow = place == Place::Flow;
    let ends_a_sign = second.is_none_or(char::is_whitespace);
    "#,[]{}&*!|>'\"%@`".contains(first)
        || "?:".contains(first) && (flow || ends_a_sign)
        || first == '-' && ends_a_sign
        || text.starts_with("---")
        || text.starts_with("...")
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || text.ends_with(':')
        || text.contains(": ")
        || text.contains(" #")
        || flow && text.contains([',', '?', '[', ']', '{', '}', ':'])
}

/// Whether YAML 1.1 reads it as something else than a text (PyYAML's `Resolver`).
fn means_something_else(text: &str) -> bool {
    let words = ["yes", "no", "true", "false", "on", "off", "null"];
    let capitals = |word: &str| {
        let first = word.chars().next().map(|c| c.to_ascii_uppercase()).into_iter();
        text == word || text == word.to_uppercase() || text.chars().eq(first.chain(word.chars().skip(1)))
    };
    words.into_iter().any(capitals) || ["~", "<<", "="].contains(&text) || is_number(text) || is_moment(text)
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let of = |part: &str, digits: fn(char) -> bool| !part.is_empty() && part.chars().all(|c| c == '_' || digits(c));
    let decimal = |part: &str| part.starts_with(|c: char| c.is_ascii_digit()) && of(part, |c| c.is_ascii_digit());
    if let Some(hex) = unsigned.strip_prefix("0x") {
        return of(hex, |c| c.is_ascii_hexdigit());
    }
    if let Some(binary) = unsigned.strip_prefix("0b") {
        return of(binary, |c| "01".contains(c));
    }
    if [".inf", ".Inf", ".INF"].contains(&unsigned) || [".nan", ".NaN", ".NAN"].contains(&text) {
        return true;
    }
    if let Some((whole, rest)) = unsigned.split_once('.') {
        // An exponent needs its sign.
        let (fraction, exponent) = rest.split_once(['e', 'E']).map_or((rest, None), |(f, e)| (f, Some(e)));
        let exponent = exponent.is_none_or(|e| {
            e.strip_prefix(['-', '+']).is_some_and(|e| !e.is_empty() && e.chars().all(|c| c.is_ascii_digit()))
        });
        let fraction_is = fraction.chars().all(|c| c == '_' || c.is_ascii_digit());
        let whole_is = match whole {
            "" => unsigned == text && decimal(fraction),
            whole => {
                whole.split(':').enumerate().all(|(n, part)| if n == 0 { decimal(part) } else { is_sixtieth(part) })
            }
        };
        return exponent && fraction_is && whole_is;
    }
    // Minutes and seconds: YAML 1.1 counts by sixty.
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let sixties = parts.clone().count() > 0;
    decimal(first)
        && parts.all(is_sixtieth)
        && (first == "0" && !sixties
            || !first.starts_with('0')
            || first.len() > 1 && !sixties && first.chars().all(|c| "01234567_".contains(c)))
}

fn is_sixtieth(part: &str) -> bool {
    part.len() <= 2 && part.parse::<u8>().is_ok_and(|number| number < 60)
}

/// `2026-11-30`, or with a time of day.
fn is_moment(text: &str) -> bool {
    let (date, time) = text.split_once(['T', 't', ' ']).map_or((text, None), |(date, time)| (date, Some(time)));
    let parts: Vec<&str> = date.split('-').collect();
    let digits = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let [year, month, day] = parts[..] else { return false };
    match time {
        None => digits(year, 4..=4) && digits(month, 2..=2) && digits(day, 2..=2),
        Some(time) => {
            let clock: Vec<&str> = time.trim_start().splitn(3, ':').collect();
            let [hour, minute, second] = clock[..] else { return false };
            let end = second.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(second.len());
            let (second, zone) = second.split_at(end);
            let zone_is = zone.chars().all(|c| c.is_ascii_digit() || "Zz+-: \t".contains(c));
            digits(year, 4..=4)
                && digits(month, 1..=2)
                && digits(day, 1..=2)
                && digits(hour, 1..=2)
                && digits(minute, 2..=2)
                && digits(second.split('.').next().unwrap_or_default(), 2..=2)
                && zone_is
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What PyYAML 6 makes of the same.
    #[test]
    fn a_document_is_written_as_pyyaml_writes_it() {
        let document = json!({
            "b": {"y": ["a", {"b": 1, "c": []}, [1, "2"]], "x": {}}, "a": "on", "null": null, "off": false, "f": 1.0,
            "text": "it's", "two": "a\nb", "more": "a\n\nb", "sign": "a #b", "empty": "",
        });
        insta::assert_snapshot!(block(&document), @r"
        a: 'on'
        b:
          x: {}
          y:
          - a
          - b: 1
            c: []
          - - 1
            - '2'
        empty: ''
        f: 1.0
        more: 'a


          b'
        'null': null
        'off': false
        sign: 'a #b'
        text: it's
        two: 'a

          b'
        ");
        assert_eq!(block(&json!([{ "a": 1, "b": 2 }])), "- a: 1\n  b: 2\n");
        assert_eq!((block(&json!({})), block(&json!("on"))), ("{}\n".into(), "'on'\n".into()));
        let tags = json!({"zone": "a,b", "clonefrom": "true", "list": ["x: y", ":ak"], "n": 1});
        assert_eq!(flow(&tags), "{clonefrom: 'true', list: ['x: y', ':ak'], n: 1, zone: 'a,b'}");
    }

    #[test]
    fn a_text_that_reads_as_something_else_is_in_quotes() {
        for text in [
            "on",
            "Yes",
            "FALSE",
            "~",
            "Null",
            "=",
            "1",
            "-7",
            "1_000",
            "0x1F",
            "0b1",
            "017",
            "12:30",
            "1.5",
            "1.",
            ".5",
            "1.5e+3",
            ".inf",
            "-.INF",
            ".nan",
            "2020-01-01",
            "2020-1-1T1:02:03Z",
            "2020-01-01 01:02:03.5 +01:00",
            "- x",
            "@x",
            "%f",
            "*",
            "[a]",
            "?",
            "-",
            "a:",
            "!x",
            "`",
            "\"x\"",
            " lead",
            "trail ",
            "",
        ] {
            assert!(quoted(text, Place::Block, 0).starts_with('\''), "{text:?}");
        }
        for text in [
            "yES",
            "y",
            "-x",
            "1.5e3",
            "1e5",
            "x1",
            "a#b",
            "a,b",
            ":a",
            "cp /a/%f \"%p\"",
            "128MB",
            "08x",
            "10.0.0.1",
            "089",
            "2020-1-1",
            "0:30",
            "1:60",
            "it's",
            "host  all",
        ] {
            assert_eq!(quoted(text, Place::Block, 0), text);
        }
        assert_eq!(quoted("a\tb", Place::Block, 0), r#""a\tb""#);
    }
}
