//! Decimal numbers with a unit, exact: `1.5s` is 1,500,000,000 ns and never 1,499,999,999.

/// Splits `1.5MiB` into the number and the unit. The number has digits and at most one point.
pub(super) fn split_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.starts_with(|c: char| c.is_ascii_digit())).then_some((number, unit))
}

/// `number` times `unit`, exact; `None` when it is not a number, not a whole multiple of the base unit, or too large.
pub(super) fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let mut total = u128::from(whole.parse::<u64>().ok()?) * u128::from(unit);
    // A fraction of a fraction of the base unit would be lost silently: refused instead.
    let scale = 10u128.pow(fraction.len() as u32);
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit);
    if part % scale != 0 {
        return None;
    }
    total += part / scale;
    u64::try_from(total).ok()
}

/// Writes `value` in the largest of `units` (largest first, the last one being 1) that keeps it short and exact.
pub(super) fn shortest(value: u64, units: &[(&str, u64)]) -> String {
    for (name, unit) in units {
        let (whole, rest) = (value / unit, value % unit);
        if rest == 0 && whole > 0 {
            return format!("{whole}{name}");
        }
        // `1.5s` reads better than `1500ms`; `1.023456s` does not read better than anything, but it is exact.
        let decimals = unit.ilog10();
        if whole > 0 && 10u64.pow(decimals) == *unit {
            let digits = format!("{rest:0width$}", width = decimals as usize);
            return format!("{whole}.{}{name}", digits.trim_end_matches('0'));
        }
    }
    format!("{value}{}", units.last().map_or("", |(name, _)| name))
}
