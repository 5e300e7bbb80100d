//! The commands of a replication connection (`repl_gram.y`).

use super::{backup::BaseBackup, walsender::StartReplication};
use crate::{Lsn, PgError, disk::slots::is_valid_slot_name};

/// A replication command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    IdentifySystem,
    TimelineHistory(u32),
    Show(String),
    CreateSlot { name: String, reserve_wal: bool },
    DropSlot(String),
    StartReplication(StartReplication),
    BaseBackup(BaseBackup),
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// 42601 for what is not a command of the physical replication protocol.
    pub fn parse(text: &str) -> Result<Self, PgError> {
        let words: Vec<&str> = text.trim().trim_end_matches(';').split_whitespace().collect();
        let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        let wrong = || PgError::error("42601", format!("syntax error in replication command: {text}"));
        match upper.as_slice() {
            ["IDENTIFY_SYSTEM"] => Ok(Self::IdentifySystem),
            ["TIMELINE_HISTORY", tli] => tli.parse().map(Self::TimelineHistory).map_err(|_| wrong()),
            ["SHOW", _] => Ok(Self::Show(words[1].to_ascii_lowercase())),
            ["CREATE_REPLICATION_SLOT", _, "PHYSICAL", options @ ..] => {
                let name = unquoted(words[1]);
                if !is_valid_slot_name(&name) {
                    return Err(PgError::error(
                        "42602",
                        format!("replication slot name \"{name}\" contains invalid character"),
                    ));
                }
                let reserve_wal = options.iter().any(|option| option.contains("RESERVE_WAL"));
                Ok(Self::CreateSlot { name, reserve_wal })
            }
            ["DROP_REPLICATION_SLOT", ..] if words.len() > 1 => Ok(Self::DropSlot(unquoted(words[1]))),
            ["START_REPLICATION", ..] => start_replication(&words[1..], &upper[1..]).ok_or_else(wrong),
            ["BASE_BACKUP"] => Ok(Self::BaseBackup(BaseBackup::Full)),
            // The model's own: what pg_rewind fetches, from a position on.
            ["BASE_BACKUP", "REWIND", from] => {
                from.parse().map(|from| Self::BaseBackup(BaseBackup::Rewind { from })).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        }
    }
}

fn start_replication(words: &[&str], upper: &[&str]) -> Option<Command> {
    let (slot, rest) = match upper {
        ["SLOT", ..] => (Some(unquoted(words.get(1)?)), 2),
        _ => (None, 0),
    };
    let rest = rest + usize::from(upper.get(rest) == Some(&"PHYSICAL"));
    let start: Lsn = words.get(rest)?.parse().ok()?;
    let tli = match &upper[rest + 1..] {
        [] => None,
        ["TIMELINE", tli] => Some(tli.parse().ok()?),
        _ => return None,
    };
    Some(Command::StartReplication(StartReplication { slot, start, tli }))
}

fn unquoted(word: &str) -> String {
    word.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replication_commands_are_read_as_walreceivers_send_them() {
        let start = |slot: Option<&str>, tli| {
            let slot = slot.map(str::to_owned);
            Command::StartReplication(StartReplication { slot, start: Lsn(0x300_0000), tli })
        };
        for (text, expected) in [
            ("IDENTIFY_SYSTEM", Command::IdentifySystem),
            ("TIMELINE_HISTORY 2", Command::TimelineHistory(2)),
            ("START_REPLICATION 0/3000000 TIMELINE 1", start(None, Some(1))),
            ("START_REPLICATION SLOT \"pg2\" 0/3000000 TIMELINE 4", start(Some("pg2"), Some(4))),
            ("START_REPLICATION SLOT pg2 PHYSICAL 0/3000000", start(Some("pg2"), None)),
            ("SHOW wal_segment_size;", Command::Show("wal_segment_size".into())),
        ] {
            assert_eq!(Command::parse(text), Ok(expected), "{text}");
        }
        for wrong in ["SELECT 1", "START_REPLICATION", "START_REPLICATION x", "TIMELINE_HISTORY x", ""] {
            assert!(Command::parse(wrong).is_err(), "{wrong}");
        }
    }
}
