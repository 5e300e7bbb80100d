//! Questions to whoever answers them: at a terminal, or with lines of standard input, as patronictl takes them. Where nobody does,
//! a question is an error that says what to give instead.

use std::io::{self, IsTerminal, Write};

use super::{Stop, failed};

/// Yes or no; no is the default.
pub(super) fn confirm(question: &str) -> Result<bool, Stop> {
    loop {
        match line(&format!("{question} [y/N]: "), "--force")?.to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "" | "n" | "no" => return Ok(false),
            _ => say("Error: invalid input\n"),
        }
    }
}

/// A text; `default` for an empty answer. `option` is what would have answered it.
pub(super) fn text(question: &str, default: &str, option: &str) -> Result<String, Stop> {
    let answer = line(&format!("{question} [{default}]: "), option)?;
    Ok(if answer.is_empty() { default.to_owned() } else { answer })
}

/// A text that must be typed.
pub(super) fn typed(question: &str) -> Result<String, Stop> {
    loop {
        let answer = line(&format!("{question}: "), "the answers in lines of standard input")?;
        if !answer.is_empty() {
            return Ok(answer);
        }
    }
}

/// A password: at a terminal it is not shown, else it is a line of standard input.
pub(super) fn password() -> Result<String, Stop> {
    if !io::stdin().is_terminal() {
        return line("Password: ", "PGPASSWORD or a password file");
    }
    let terminal = console::Term::stderr();
    // Nobody to tell when the terminal is gone: reading from it fails next.
    let _ = terminal.write_str("Password: ");
    terminal.read_secure_line().map_err(|error| failed(format!("cannot read a password: {error}")))
}

fn say(text: &str) {
    let mut stdout = io::stdout();
    // Nobody to tell when standard output is gone; the answer counts all the same.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn line(prompt: &str, option: &str) -> Result<String, Stop> {
    say(prompt);
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(0) => {
            say("\n");
            Err(failed(format!("Aborted! This needs an answer and nobody gives one: give {option}")))
        }
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(error) => Err(failed(format!("cannot read the answer: {error}"))),
    }
}
