//! `show-config` and `edit-config`.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use pgdrill_agent::{daemon::remarks, rest::merge_configuration};
use pgdrill_file::WRITTEN_BY_HAND;
use pgdrill_ha::{records::Key, view::Versioned};
use serde_json::{Map, Value};

use super::{ClusterArg, Done, Screen, Session, Stop, ask, edit, failed, yaml};

#[derive(Debug, Args)]
pub(super) struct EditArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Do not show what changes
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Set one value, such as ttl=20; null removes
    #[arg(short = 's', long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Set one PostgreSQL parameter: the same as -s postgresql.parameters.NAME=VALUE
    #[arg(short = 'p', long = "pg", value_name = "NAME=VALUE")]
    pg: Vec<String>,
    /// Merge a file into the configuration; - for standard input
    #[arg(long, value_name = "FILE")]
    apply: Option<PathBuf>,
    /// Replace the configuration by a file; - for standard input
    #[arg(long, value_name = "FILE")]
    replace: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    force: bool,
}

async fn load(session: &Session, scope: &str) -> Result<Option<Versioned<Value>>, Stop> {
    Ok(session.cluster(scope).await?.config)
}

/// `show-config`.
pub(super) async fn show(session: &Session, screen: &mut Screen, args: &ClusterArg) -> Done {
    if let Some(config) = load(session, &session.scope(args)?).await? {
        screen.print(&yaml::block(&config.value));
    }
    Ok(())
}

/// `edit-config`.
pub(super) async fn edit(session: &Session, screen: &mut Screen, args: &EditArgs) -> Done {
    let scope = session.scope(&args.cluster)?;
    let present = load(session, &scope).await?;
    let present = present.ok_or_else(|| failed(format!("The config key does not exist in the cluster {scope}")))?;
    let before = yaml::block(&present.value);
    let changed = Value::Object(changed(args, &present.value, &scope, &before)?);
    if changed == present.value {
        if !args.quiet {
            screen.print("Not changed\n");
        }
        return Ok(());
    }
    if !args.quiet {
        screen.print(&edit::difference(&before, &yaml::block(&changed)));
    }
    let senseless = senseless(&present.value, &changed);
    if !senseless.is_empty() {
        return Err(failed(format!("Configuration not changed:\n{}", senseless.join("\n"))));
    }
    // Also with --quiet: that is for what changes.
    let remarks = new_remarks(&present.value, &changed);
    for remark in &remarks {
        screen.print(&format!("Warning: {remark}\n"));
    }
    // patronictl writes it. Whoever looks at the warnings may still do so; a script looks at nothing.
    if args.force && !remarks.is_empty() {
        return Err(failed(
            "Not written: agents would replace or ignore what the warnings name. Correct it, or leave out --force and answer \
             the question",
        ));
    }
    let from_stdin = [&args.apply, &args.replace].into_iter().flatten().any(|file| file.as_os_str() == "-");
    if from_stdin && !args.force {
        screen.print("Use --force option to apply changes\n");
        return Ok(());
    }
    if !args.force && !ask::confirm("Apply these changes?")? {
        return Ok(());
    }
    if !session.compare_and_set(&scope, &Key::Config, present.mod_revision, &changed.to_string()).await? {
        return Err(failed("Config modification aborted due to concurrent changes"));
    }
    screen.print("Configuration changed\n");
    Ok(())
}

/// What makes no sense in a configuration, and was not so before: nothing would be gained by writing it, with `--force` either.
fn senseless(before: &Value, after: &Value) -> Vec<String> {
    let known = pgdrill_settings::check(before);
    let new =
        pgdrill_settings::check(after).into_iter().filter(|problem| problem.is_senseless() && !known.contains(problem));
    // What would be used in its place is of no interest: it is not written.
    new.map(|problem| format!("{}: found {}, expected {}", problem.field, problem.found, problem.expected)).collect()
}

/// What is wrong with a configuration or does not count in it, and was not so before.
fn new_remarks(before: &Value, after: &Value) -> Vec<String> {
    let known = remarks(before);
    remarks(after).into_iter().filter(|remark| !known.contains(remark)).collect()
}

fn changed(args: &EditArgs, present: &Value, scope: &str, before: &str) -> Result<Map<String, Value>, Stop> {
    let mut config = present.as_object().cloned().unwrap_or_default();
    if let Some(file) = &args.replace {
        config = Map::new();
        merge_configuration(&mut config, &read(file)?);
    }
    if let Some(file) = &args.apply {
        merge_configuration(&mut config, &read(file)?);
    }
    for pair in &args.set {
        edit::set(&mut config, pair)?;
    }
    for pair in &args.pg {
        edit::set(&mut config, &format!("postgresql.parameters.{}", pair.trim_start()))?;
    }
    if args.replace.is_none() && args.apply.is_none() && args.set.is_empty() && args.pg.is_empty() {
        return in_editor(before, scope);
    }
    Ok(config)
}

fn read(file: &Path) -> Result<Map<String, Value>, Stop> {
    let name = file.display().to_string();
    let mut text = String::new();
    let got = if name == "-" {
        std::io::stdin().take(WRITTEN_BY_HAND).read_to_string(&mut text).map(|_| ())
    } else {
        pgdrill_file::text(file, WRITTEN_BY_HAND).map(|found| text = found)
    };
    got.map_err(|error| failed(format!("cannot read {name}: {error}")))?;
    edit::parse(&text, &name)
}

/// Opens `$EDITOR` on a file that only its owner can read.
fn in_editor(before: &str, scope: &str) -> Result<Map<String, Value>, Stop> {
    let editor = env::var("EDITOR").ok().filter(|editor| !editor.is_empty());
    let editor = editor.or_else(|| {
        ["/usr/bin/editor", "/usr/bin/vi"].into_iter().find(|p| fs::exists(p).is_ok_and(|is| is)).map(str::to_owned)
    });
    let editor = editor.ok_or_else(|| {
        failed("EDITOR environment variable is not set. editor or vi are not available; -s NAME=VALUE needs none")
    })?;
    let wrong = |error: std::io::Error| failed(format!("cannot edit the configuration: {error}"));
    let file = tempfile::Builder::new()
        .prefix(&format!("{}-config-", scope.replace('/', "_")))
        .suffix(".yaml")
        .tempfile()
        .map_err(wrong)?;
    fs::write(file.path(), before).map_err(wrong)?;
    let status =
        Command::new("sh").arg("-c").arg(format!("{editor} \"$0\"")).arg(file.path()).status().map_err(wrong)?;
    if !status.success() {
        return Err(failed(format!("Editor exited with return code {}", status.code().unwrap_or(-1))));
    }
    let edited = pgdrill_file::text(file.path(), WRITTEN_BY_HAND).map_err(wrong)?;
    edit::parse(&edited, "the edited configuration")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_makes_no_sense_is_not_written() {
        let before = json!({"ttl": 30, "failsafe_mode": "perhaps", "postgresql": {"parameters": {"work_mem": "4MB"}}});
        let after = |patch: Value| {
            let mut after = before.as_object().unwrap().clone();
            merge_configuration(&mut after, patch.as_object().unwrap());
            senseless(&before, &Value::Object(after))
        };
        for fine in
            [json!({"ttl": "40"}), json!({"ttl": 5}), json!({"synchronous_mode": "On"}), json!({"slots": {"a": 0}})]
        {
            assert!(after(fine.clone()).is_empty(), "{fine}");
        }
        let wrong = json!({"ttl": "abc", "synchronous_mode": "maybe", "postgresql": {"parameters": {"max_connections": "many",
            "work_mem": "much"}}});
        insta::assert_snapshot!(after(wrong).join("\n"), @r#"
        ttl: found "abc", expected a whole number of seconds, at least 20
        synchronous_mode: found "maybe", expected on, off or quorum
        postgresql.parameters.work_mem: found "much", expected a whole number, at least 64 (in kB), or a size such as 64MB
        postgresql.parameters.max_connections: found "many", expected a whole number of at least 25
        "#);
    }

    #[test]
    fn a_change_that_does_not_count_is_told_once() {
        let before = json!({"ttl": 30, "postgresql": {"listen": "0.0.0.0:5432"}});
        let after = json!({"ttl": 5, "postgresql": {"listen": "0.0.0.0:5432", "pg_ctl_timeout": 5,
            "parameters": {"port": 5433, "max_connections": 3, "work_mem": "4MB"}}});
        insta::assert_snapshot!(new_remarks(&before, &after).join("\n"));
        assert!(new_remarks(&after, &after).is_empty(), "who wrote it was told");
    }
}
