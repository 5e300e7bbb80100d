//! The [`Programs`] port: running what an operator configured (callbacks, scripts, own copy methods). PostgreSQL's own programs
//! are not here but behind [`Postgres`](super::Postgres).

use std::{collections::BTreeMap, fmt};

use futures::future::BoxFuture;

use crate::config::Password;

/// One call of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments. Never holds a password: everybody on the machine can read it.
    pub argv: Vec<String>,
    /// Variables beside those of the agent itself.
    pub env: BTreeMap<String, String>,
    /// A line for a password file of its own, which only the agent's user can read and which is gone after the call;
    /// `PGPASSFILE` names it.
    pub pgpass: Option<PgpassEntry>,
}

/// A line of a password file, for any database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgpassEntry {
    /// Host names that it is for, one line each.
    pub hosts: Vec<String>,
    /// Port.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: Password,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramExit {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Why a program was not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The command line cannot be split into words. It is not told: a password may be in it.
    #[error("a command line with an unfinished quote, or with nothing in it")]
    CommandLine(String),
    /// It could not be started.
    #[error("{program} cannot be started: {reason}")]
    NotStarted {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
    /// It was not started, because the machine lacks what that takes: descriptors, memory, processes. Another time it may go well.
    #[error("{program} cannot be started now: {reason}")]
    Lacking {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
    /// It was started, and how it ended is not known.
    #[error("how {program} ended is unknown: {reason}")]
    Unknown {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
}

impl Program {
    /// A call of a configured command line, split into words as a shell does; no shell is run (Patroni: `shlex.split`).
    ///
    /// # Errors
    /// [`ProgramError::CommandLine`].
    pub fn parse(line: &str) -> Result<Self, ProgramError> {
        let argv = shlex::split(line).filter(|words| !words.is_empty());
        let argv = argv.ok_or_else(|| ProgramError::CommandLine(line.to_owned()))?;
        Ok(Self { argv, env: BTreeMap::new(), pgpass: None })
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// The program's name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

impl PgpassEntry {
    /// The file's content (PostgreSQL documentation "The Password File"): colons and backslashes are escaped.
    #[must_use]
    pub fn lines(&self) -> String {
        let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let line = |host: &String| {
            let (user, password) = (escape(&self.user), escape(self.password.reveal()));
            format!("{}:{}:*:{user}:{password}\n", escape(host), self.port)
        };
        self.hosts.iter().map(line).collect()
    }
}

impl ProgramExit {
    /// Whether it ended with 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ProgramExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Runs programs.
pub trait Programs: Send + Sync + 'static {
    /// Runs a program and waits for its end. It gets no input; what it writes goes to the agent's own output. A dropped future
    /// ends it and everything it has started.
    fn run(&self, program: Program) -> BoxFuture<'_, Result<ProgramExit, ProgramError>>;
}

/// A world without programs: every call is refused, so that nothing that was configured is silently left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPrograms;

impl Programs for NoPrograms {
    fn run(&self, program: Program) -> BoxFuture<'_, Result<ProgramExit, ProgramError>> {
        let program = program.name().to_owned();
        let refused = ProgramError::NotStarted { program, reason: "this world runs no programs".into() };
        Box::pin(std::future::ready(Err(refused)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_a_shell_splits_it() {
        let program = Program::parse("/opt/notify.sh --to 'a b' \"c\"").expect("words").arg("on_start");
        assert_eq!(program.argv, ["/opt/notify.sh", "--to", "a b", "c", "on_start"]);
        for broken in ["", "  ", "say 'hello"] {
            assert_eq!(Program::parse(broken), Err(ProgramError::CommandLine(broken.into())));
        }
    }

    #[test]
    fn a_password_file_escapes_what_it_must_and_nothing_else_shows_the_password() {
        let entry = PgpassEntry {
            hosts: vec!["localhost".into(), "::1".into()],
            port: 5432,
            user: "a:b".into(),
            password: Password::new(r"x\:y"),
        };
        assert_eq!(entry.lines(), "localhost:5432:*:a\\:b:x\\\\\\:y\n\\:\\:1:5432:*:a\\:b:x\\\\\\:y\n");
        assert!(!format!("{entry:?}").contains("x\\"));
    }

    #[tokio::test]
    async fn where_there_are_no_programs_a_call_is_an_error() {
        let program = Program::parse("true").expect("words");
        assert!(matches!(NoPrograms.run(program).await, Err(ProgramError::NotStarted { .. })));
    }
}
