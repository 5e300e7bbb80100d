//! Numbers as C writes them, with PostgreSQL's units (`strtol`, `strtod`, `convert_to_base_unit`, `parse_int` and `parse_real` of
//! `patroni/utils.py`).

/// Sizes of memory, the largest first, in bytes.
const MEMORY: &[(&str, f64)] =
    &[("TB", 1_099_511_627_776.0), ("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("kB", 1024.0), ("B", 1.0)];
/// Lengths of time, the largest first, in microseconds.
const TIME: &[(&str, f64)] = &[("d", 86_400e6), ("h", 3_600e6), ("min", 60e6), ("s", 1e6), ("ms", 1e3), ("us", 1.0)];
/// Units that a parameter may be counted in.
const BASES: [&str; 6] = ["B", "kB", "MB", "ms", "s", "min"];

/// `parse_int`: whole numbers as C writes them (`60`, `0x3C`, `074`), others in tens; with a unit converted to `base`; rounded to
/// the nearest, of two equally near ones to the even one.
#[must_use]
pub fn integer(text: &str, base: Option<&str>) -> Option<i128> {
    let text = text.trim();
    #[allow(clippy::cast_precision_loss)] // with a unit Patroni counts in floating point, too
    let (value, unit) = match whole(text) {
        // Without a unit they stay exact beyond 2^53.
        Some((value, "")) => return Some(value),
        Some((value, unit)) if !unit.starts_with(['.', 'e', 'E']) => (value as f64, unit),
        None if !text.starts_with('.') => return None,
        _ => fractional(text)?,
    };
    let value = with_unit(value, unit, base)?.round_ties_even();
    #[allow(clippy::cast_possible_truncation)] // checked
    (value.abs() < 1e30).then_some(value as i128)
}

/// `parse_real`.
#[must_use]
pub fn real(text: &str, base: Option<&str>) -> Option<f64> {
    let (value, unit) = fractional(text.trim())?;
    with_unit(value, unit, base).filter(|value| value.is_finite())
}

fn with_unit(value: f64, unit: &str, base: Option<&str>) -> Option<f64> {
    let unit = unit.trim();
    if unit.is_empty() { Some(value) } else { convert(value, unit, base?) }
}

/// `convert_to_base_unit`: what has a smaller unit below it is rounded to multiples of that. Units are case-sensitive.
fn convert(value: f64, unit: &str, base: &str) -> Option<f64> {
    // Of `8kB` the number; of `kB` 1.
    let (factor, base) = whole(base).unwrap_or((1, base));
    let table = [MEMORY, TIME]
        .into_iter()
        .find(|table| BASES.contains(&base) && table.iter().any(|(name, _)| *name == base))?;
    let size = |wanted: &str| table.iter().find(|(name, _)| *name == wanted).map(|(_, size)| *size);
    let base = size(base)?;
    #[allow(clippy::cast_precision_loss)] // 8 and 16
    let value = value * (size(unit)? / base / factor as f64);
    let smaller = table.iter().skip_while(|(name, _)| *name != unit).nth(1);
    Some(smaller.map_or(value, |(_, step)| (value / (step / base)).round_ties_even() * (step / base)))
}

fn signed(text: &str) -> (i128, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// `strtol`: a whole number, and what follows it.
fn whole(text: &str) -> Option<(i128, &str)> {
    let (sign, digits) = signed(text);
    let hex = digits.strip_prefix("0x").filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
    let (radix, digits) = match hex {
        Some(hex) => (16, hex),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    Some((sign * i128::from_str_radix(&digits[..end], radix).ok()?, &digits[end..]))
}

/// `strtod`: a number with a fraction or an exponent, and what follows it.
fn fractional(text: &str) -> Option<(f64, &str)> {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = text.len() - signed(text).1.len();
    let before = digits(end);
    end += before;
    let fraction = if text[end..].starts_with('.') { digits(end + 1) } else { 0 };
    match (before, fraction) {
        (0, 0) => return None,
        (_, 0) => {}
        _ => end += 1 + fraction,
    }
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let from = text.len() - signed(exponent).1.len();
        end = if digits(from) > 0 { from + digits(from) } else { end };
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What `parse_int` and `parse_real` of Patroni 4.1.5 answer; `overflow` is Python's `OverflowError`.
    const ANSWERS: &str = include_str!("quantity_answers.json");

    #[test]
    fn every_number_is_read_as_patroni_reads_it() {
        let answers: Value = serde_json::from_str(ANSWERS).expect("JSON");
        let bases = answers["bases"].as_array().expect("a list");
        let rows = answers["rows"].as_array().expect("a list");
        assert!(rows.len() * bases.len() > 500, "{} rows", rows.len());
        for row in rows {
            let text = row[0].as_str().expect("a text");
            for (n, base) in bases.iter().enumerate() {
                let base = base.as_str();
                let expected = row[1][n].as_number().map(|n| n.to_string().parse::<i128>().expect("a whole number"));
                assert_eq!(integer(text, base), expected, "{text:?} in {base:?}");
                let (found, expected) = (real(text, base), row[2][n].as_f64());
                let same = match (found, expected) {
                    (Some(found), Some(expected)) => (found - expected).abs() <= expected.abs() * 1e-12,
                    _ => found.is_none() && expected.is_none(),
                };
                assert!(same, "{text:?} in {base:?}: {found:?}, Patroni {expected:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_not_and_never_a_panic(text in "\\PC{0,12}", base in prop::option::of("[0-9a-zA-Z]{0,4}")) {
            let _ = (integer(&text, base.as_deref()), real(&text, base.as_deref()));
        }

        #[test]
        fn whole_numbers_mean_themselves(number: i64) {
            prop_assert_eq!(integer(&format!(" {number} "), Some("kB")), Some(i128::from(number)));
        }
    }
}
