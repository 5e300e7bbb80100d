//! Where a running server comes from, by `/proc`: its parent, and the systemd service that its control group names.

use std::{fs, path::Path};

use pgdrill_agent::ports::Origin;

/// Of the process `pid`; `None` if it has gone, or is a child of this process.
pub(crate) fn of(pid: u32) -> Option<Origin> {
    let parent = parent_of(pid)?;
    if parent == std::process::id() {
        return None;
    }
    let name = |pid: u32| Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned());
    Some(Origin {
        pid,
        // Parent 0 is outside of our container: nobody that we could name.
        parent: name(parent).map(|name| (parent, name)),
        unit: unit_of(format!("/proc/{pid}/cgroup")),
        own_unit: unit_of("/proc/self/cgroup"),
    })
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

fn unit_of(path: impl AsRef<Path>) -> Option<String> {
    service(&fs::read_to_string(path).ok()?)
}

/// The innermost service in the lines of a `cgroup` file. What a user's own session started is in a scope inside of a service
/// that only holds sessions (`user@1000.service`), and of no service for that. So are containers, whose engine is no manager of
/// what runs in them.
fn service(cgroup: &str) -> Option<String> {
    let line = |controller: &str| {
        cgroup.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            (controllers == controller).then_some(path)
        })
    };
    // The unified hierarchy, else systemd's own of the old ones.
    let path = line("").filter(|path| *path != "/").or_else(|| line("name=systemd"))?;
    let part = path.split('/').rfind(|part| part.ends_with(".service") || part.ends_with(".scope"))?;
    let holds_sessions = part.starts_with("user@") || ["docker.service", "containerd.service"].contains(&part);
    (part.ends_with(".service") && !holds_sessions).then(|| part.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_service_is_read_from_the_control_group() {
        let cases = [
            (
                "0::/system.slice/system-postgresql.slice/postgresql@16-main.service\n",
                Some("postgresql@16-main.service"),
            ),
            ("0::/user.slice/user-0.slice/session-3.scope\n", None),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-1.scope\n", None),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/pg.service\n", Some("pg.service")),
            ("0::/\n", None),
            ("12:pids:/x\n1:name=systemd:/system.slice/pgdrill.service\n0::/\n", Some("pgdrill.service")),
            ("0::/system.slice/docker.service\n", None),
            ("0::/system.slice/docker-0a1b.scope\n", None),
            ("nonsense", None),
        ];
        for (text, expected) in cases {
            assert_eq!(service(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_stranger_is_told_with_its_parent_and_an_own_child_is_none() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        assert_eq!(of(child.id()), None);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert_eq!(of(u32::MAX), None, "no such process");
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 & echo $!; wait"]);
        let mut shell = shell.stdout(std::process::Stdio::piped()).spawn().expect("sh");
        let mut line = String::new();
        let out = shell.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a pid");
        let pid: u32 = line.trim().parse().expect("a pid");
        let origin = of(pid).expect("it runs");
        assert_eq!((origin.pid, origin.parent), (pid, Some((shell.id(), "sh".into()))));
        Command::new("kill").arg(line.trim()).status().expect("kill");
        shell.wait().expect("it is ours");
    }
}
