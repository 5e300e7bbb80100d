//! Values of PostgreSQL's settings: the same value may be written `128MB`, `131072kB` or, in `pg_settings`, 16384 with the unit
//! `8kB` (`patroni/utils.py`, `compare_values`).

/// A row of `pg_settings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// `name`.
    pub name: String,
    /// `setting`: in units of `unit`.
    pub setting: String,
    /// `unit`, such as `8kB` or `ms`.
    pub unit: Option<String>,
    /// `vartype`: `bool`, `string`, `integer`, `real` or `enum`.
    pub vartype: String,
    /// `pending_restart`: the file says otherwise, and only a restart makes it so.
    pub pending_restart: bool,
}

/// Units with their size, the largest first.
const BYTES: &[(&str, f64)] =
    &[("TB", 1_099_511_627_776.0), ("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("kB", 1024.0), ("B", 1.0)];
const MICROSECONDS: &[(&str, f64)] = &[
    ("d", 86_400_000_000.0),
    ("h", 3_600_000_000.0),
    ("min", 60_000_000.0),
    ("s", 1_000_000.0),
    ("ms", 1000.0),
    ("us", 1.0),
];

impl Parameter {
    /// Whether the setting in force is what a configuration says.
    #[must_use]
    pub fn is(&self, configured: &str) -> bool {
        let unit = self.unit.as_deref();
        match self.vartype.as_str() {
            "bool" => truth(&self.setting).is_some() && truth(&self.setting) == truth(configured),
            "enum" => self.setting.eq_ignore_ascii_case(configured.trim()),
            "integer" => match (number(&self.setting, None), number(configured, unit)) {
                (Some(now), Some(wanted)) => now.round() == wanted.round(),
                _ => self.setting == configured,
            },
            "real" => match (number(&self.setting, None), number(configured, unit)) {
                (Some(now), Some(wanted)) => (now - wanted).abs() <= f64::EPSILON * now.abs().max(1.0),
                _ => self.setting == configured,
            },
            _ => self.setting == configured,
        }
    }

    /// The same parameter with another setting.
    #[must_use]
    pub fn with(&self, setting: &str) -> Self {
        Self { setting: setting.to_owned(), ..self.clone() }
    }

    /// The setting as people write it: `128MB`.
    #[must_use]
    pub fn shown(&self) -> String {
        let shown = || {
            let value = number(&self.setting, None).filter(|value| *value > 0.0)?;
            let (factor, unit) = split(self.unit.as_deref()?)?;
            let (table, base) = table(unit)?;
            let total = value * factor * base;
            let (name, size) = table.iter().find(|(_, size)| total % size == 0.0)?;
            Some(format!("{}{name}", total / size))
        };
        shown().unwrap_or_else(|| self.setting.clone())
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A number, converted to `base` if it has a unit of its own; `None` for anything else.
pub(crate) fn number(text: &str, base: Option<&str>) -> Option<f64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok().map(f64::from);
    }
    let (value, unit) = split(text)?;
    if unit.is_empty() {
        return Some(value);
    }
    let (factor, base) = split(base?)?;
    let (units, base_size) = table(base)?;
    let size = units.iter().find(|(name, _)| *name == unit)?.1;
    Some(value * size / (factor * base_size))
}

/// A number and what follows it; without digits the number is 1, as in the unit `kB`.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e').unwrap_or(text.len());
    let (digits, unit) = (text[..end].trim(), text[end..].trim());
    match digits {
        "" if unit.is_empty() => None,
        "" => Some((1.0, unit)),
        digits => Some((digits.parse().ok()?, unit)),
    }
}

/// The units that a unit can be converted to, and its own size among them.
fn table(unit: &str) -> Option<(&'static [(&'static str, f64)], f64)> {
    let find = |table: &'static [(&'static str, f64)]| {
        table.iter().find(|(name, _)| *name == unit).map(|(_, size)| (table, *size))
    };
    find(BYTES).or_else(|| find(MICROSECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(vartype: &str, unit: &str, setting: &str) -> Parameter {
        let unit = (!unit.is_empty()).then(|| unit.to_owned());
        Parameter { setting: setting.into(), unit, vartype: vartype.into(), ..Parameter::default() }
    }

    #[test]
    fn values_are_compared_as_postgresql_reads_them() {
        let equal = [
            ("integer", "8kB", "16384", "128MB"),
            ("integer", "8kB", "16384", " 131072 kB"),
            ("integer", "", "100", "100"),
            ("integer", "s", "300", "5min"),
            ("integer", "ms", "1000", "1s"),
            ("integer", "2MB", "524288", "1TB"),
            ("bool", "", "on", "TRUE"),
            ("enum", "", "remote_write", "REMOTE_WRITE"),
            ("real", "ms", "0.2", "200us"),
            ("string", "", "a", "a"),
        ];
        for (vartype, unit, setting, configured) in equal {
            assert!(parameter(vartype, unit, setting).is(configured), "{setting} {unit} is {configured}");
        }
        let different = [
            ("integer", "8kB", "16384", "127MB"),
            ("integer", "", "6", "6GB"),
            ("integer", "kB", "6", "6s"),
            ("bool", "", "on", "off"),
            ("string", "", "a", "A"),
            ("integer", "8kB", "16384", "nonsense"),
        ];
        for (vartype, unit, setting, configured) in different {
            assert!(!parameter(vartype, unit, setting).is(configured), "{setting} {unit} is not {configured}");
        }
    }

    #[test]
    fn a_setting_is_shown_in_the_largest_unit_that_fits() {
        assert_eq!(parameter("integer", "8kB", "16384").shown(), "128MB");
        assert_eq!(parameter("integer", "ms", "1500").shown(), "1500ms");
        assert_eq!(parameter("integer", "s", "300").shown(), "5min");
        assert_eq!(parameter("integer", "8kB", "-1").shown(), "-1");
        assert_eq!(parameter("integer", "", "100").shown(), "100");
        assert_eq!(parameter("bool", "", "on").shown(), "on");
    }
}
