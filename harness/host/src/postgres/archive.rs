//! WAL that waits to be archived when the server is down: before a rewind removes it, it is archived (Patroni's
//! `_archive_ready_wals`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use tracing::{info, warn};

use super::{program, settings::Settings};

/// The value a setting has by the configuration files, asked of `postgres -C`. For what PostgreSQL computes when it starts the
/// server must be down.
pub(super) async fn setting(settings: &Settings, name: &str) -> Option<String> {
    let mut command = program::command(&settings.program("postgres"));
    command.arg("-D").arg(&settings.data_dir).arg(format!("--config-file={}", settings.config_file().display()));
    command.args(["-C", name]);
    match program::run(command).await {
        Ok(value) => Some(value.trim_end_matches('\n').to_owned()),
        Err(error) => {
            warn!("{name} is not known: {error}");
            None
        }
    }
}

/// Archives what is marked as ready, as far as it can be: what fails stays marked, and is told.
pub(super) async fn ready_wal(settings: &Settings) {
    let files = ready(&settings.wal_dir());
    if files.is_empty() || setting(settings, "archive_mode").await.is_none_or(|mode| mode == "off") {
        return;
    }
    let Some(archive) = setting(settings, "archive_command").await.filter(|command| !command.is_empty()) else {
        return;
    };
    for name in files {
        let mut command = program::command(Path::new("/bin/sh"));
        command.arg("-c").arg(archive_command(&archive, &name)).current_dir(&settings.data_dir);
        let status = settings.wal_dir().join("archive_status");
        let done = match program::run(command).await {
            Ok(_) => fs::rename(status.join(format!("{name}.ready")), status.join(format!("{name}.done")))
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match done {
            Ok(()) => info!("archived {name}"),
            Err(error) => warn!("archiving {name}: {error}"),
        }
    }
}

/// Names of WAL files that are there and marked as ready, oldest first.
fn ready(wal_dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(wal_dir.join("archive_status")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".ready")?.to_owned()));
    let is_wal = |name: &String| {
        let segment = name.strip_suffix(".partial").unwrap_or(name);
        let hex = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
        segment.len() == 24 && segment.chars().all(hex) && wal_dir.join(name).exists()
    };
    let mut names: Vec<String> = names.filter(is_wal).collect();
    names.sort_unstable();
    names
}

/// `archive_command` with its placeholders filled in. Paths are relative to the data directory.
fn archive_command(template: &str, name: &str) -> String {
    let path = PathBuf::from("pg_wal").join(name);
    let mut command = String::new();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            command.push(c);
            continue;
        }
        match chars.next() {
            Some('p') => command.push_str(&path.to_string_lossy()),
            Some('f') => command.push_str(name),
            Some('%') => command.push('%'),
            other => command.extend(['%'].into_iter().chain(other)),
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wal_that_is_there_and_ready_is_archived() {
        let dir = tempfile::tempdir().expect("a directory");
        let status = dir.path().join("archive_status");
        fs::create_dir(&status).expect("it is created");
        let (second, first) = ("000000010000000000000002", "000000010000000000000001.partial");
        for name in [second, first] {
            fs::write(dir.path().join(name), "").expect("it is written");
            fs::write(status.join(format!("{name}.ready")), "").expect("it is written");
        }
        for other in ["00000002.history.ready", "000000010000000000000009.ready", "000000010000000000000003.done"] {
            fs::write(status.join(other), "").expect("it is written");
        }
        assert_eq!(ready(dir.path()), [first, second]);
    }

    #[test]
    fn placeholders_are_filled_in_as_postgresql_does() {
        assert_eq!(archive_command("cp %p /a/%f #%% %x", "0A"), "cp pg_wal/0A /a/0A #% %x");
    }
}
