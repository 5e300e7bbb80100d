//! Commands in containers.

use std::time::Duration;

use futures::{Stream, StreamExt};
use testcontainers::bollard::{
    Docker,
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use tokio::{io::AsyncWriteExt, time::sleep};

/// What a command came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 137 when it was killed.
    pub code: i64,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// What comes from a command that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line of its standard output.
    Out(String),
    /// Something that it wrote to standard error.
    Complaint(String),
    /// The daemon no longer tells; nothing follows.
    Broken(String),
}

/// A command to be run in a container.
#[derive(Clone, Debug, Default)]
pub struct Command {
    argv: Vec<String>,
    user: Option<String>,
    env: Vec<String>,
    input: Option<Vec<u8>>,
}

impl Command {
    /// The program and its arguments. Nothing that is secret belongs here: see [`Command::input`].
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// As this user instead of root.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// With this variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// With this on its standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    async fn create(&self, docker: &Docker, container: &str, attached: bool) -> Result<String, String> {
        let options = CreateExecOptions {
            attach_stdin: Some(self.input.is_some()),
            attach_stdout: Some(attached),
            attach_stderr: Some(attached),
            env: Some(self.env.clone()),
            cmd: Some(self.argv.clone()),
            user: self.user.clone(),
            ..CreateExecOptions::default()
        };
        let created = docker.create_exec(container, options).await;
        created.map(|exec| exec.id).map_err(|e| format!("{}: {e}", self.argv.join(" ")))
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it could not be run at all; a command that fails is an [`Output`].
    pub async fn run(&self, docker: &Docker, container: &str) -> Result<Output, String> {
        let id = self.create(docker, container, true).await?;
        let mut done = Output::default();
        let mut stream = Box::pin(self.attach(docker, &id).await?);
        while let Some(part) = stream.next().await {
            match part? {
                LogOutput::StdErr { message } => done.stderr += &String::from_utf8_lossy(&message),
                other => done.stdout += &String::from_utf8_lossy(&other.into_bytes()),
            }
        }
        // The stream ends a little before the daemon knows the exit code.
        for _ in 0..100 {
            let state = docker.inspect_exec(&id).await.map_err(|e| e.to_string())?;
            if let (Some(code), Some(false)) = (state.exit_code, state.running) {
                done.code = code;
                return Ok(done);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(format!("{}: it ended and has no exit code", self.argv.join(" ")))
    }

    /// Starts it and leaves it running; it lives as long as its container. The id by which the daemon knows it.
    ///
    /// # Errors
    /// When it could not be started.
    pub async fn start(&self, docker: &Docker, container: &str) -> Result<String, String> {
        let id = self.create(docker, container, false).await?;
        let options = StartExecOptions { detach: true, ..StartExecOptions::default() };
        docker.start_exec(&id, Some(options)).await.map_err(|e| format!("{}: {e}", self.argv.join(" ")))?;
        Ok(id)
    }

    /// Starts it and reads what it writes, its standard output line by line.
    ///
    /// # Errors
    /// When it could not be started.
    pub async fn lines(
        &self,
        docker: &Docker,
        container: &str,
    ) -> Result<impl Stream<Item = Line> + Send + use<>, String> {
        let id = self.create(docker, container, true).await?;
        let parts = Box::pin(self.attach(docker, &id).await?);
        Ok(futures::stream::unfold((parts, String::new(), false), |(mut parts, mut rest, mut ended)| async move {
            loop {
                if let Some(end) = rest.find('\n') {
                    let line = rest[..end].to_owned();
                    rest.drain(..=end);
                    return Some((Line::Out(line), (parts, rest, ended)));
                }
                if ended {
                    return None;
                }
                match parts.next().await {
                    None => ended = true,
                    Some(Ok(LogOutput::StdErr { message })) => {
                        let text = String::from_utf8_lossy(&message).trim_end().to_owned();
                        return Some((Line::Complaint(text), (parts, rest, ended)));
                    }
                    Some(Ok(other)) => rest += &String::from_utf8_lossy(&other.into_bytes()),
                    Some(Err(why)) => {
                        ended = true;
                        return Some((Line::Broken(why), (parts, rest, ended)));
                    }
                }
            }
        }))
    }

    async fn attach(
        &self,
        docker: &Docker,
        id: &str,
    ) -> Result<impl Stream<Item = Result<LogOutput, String>> + Send + use<>, String> {
        let started = docker.start_exec(id, None::<StartExecOptions>).await;
        match started.map_err(|e| format!("{}: {e}", self.argv.join(" ")))? {
            StartExecResults::Attached { output, mut input } => {
                if let Some(text) = &self.input {
                    input.write_all(text).await.map_err(|e| e.to_string())?;
                    input.shutdown().await.map_err(|e| e.to_string())?;
                }
                // Keeping the writing half open keeps the connection open.
                Ok(output.map(move |part| {
                    let _ = &input;
                    part.map_err(|e| e.to_string())
                }))
            }
            StartExecResults::Detached => Err(format!("{}: the daemon did not attach to it", self.argv.join(" "))),
        }
    }
}
