//! Questions to whoever sits at the terminal. Where nobody does, a question is an error that says what to give instead.

use std::io::{self, IsTerminal, Write};

use super::{Stop, failed, usage};

/// Yes or no; no is the default.
pub(super) fn confirm(question: &str) -> Result<bool, Stop> {
    if !io::stdin().is_terminal() {
        return Err(usage(format!(
            "this needs an answer and nobody is at a terminal: give --force\n  {question} [y/N]"
        )));
    }
    loop {
        match line(&format!("{question} [y/N]: "))?.to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "" | "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

/// A text; `default` for an empty answer. `option` is what would have answered it.
pub(super) fn text(question: &str, default: &str, option: &str) -> Result<String, Stop> {
    if !io::stdin().is_terminal() {
        return Err(usage(format!("this needs an answer and nobody is at a terminal: give {option}\n  {question}")));
    }
    let shown = if default.is_empty() { "[]".to_owned() } else { format!("[{default}]") };
    let answer = line(&format!("{question} {shown}: "))?;
    Ok(if answer.is_empty() { default.to_owned() } else { answer })
}

/// A text that must be typed, from a terminal or a file.
pub(super) fn typed(question: &str) -> Result<String, Stop> {
    line(&format!("{question}: "))
}

/// A password, which is not shown.
pub(super) fn password() -> Result<String, Stop> {
    let terminal = console::Term::stderr();
    // Nobody to tell when the terminal is gone: reading from it fails next.
    let _ = terminal.write_str("Password: ");
    terminal.read_secure_line().map_err(|error| failed(format!("cannot read a password: {error}")))
}

fn line(prompt: &str) -> Result<String, Stop> {
    let mut stdout = io::stdout();
    // As above.
    let _ = stdout.write_all(prompt.as_bytes()).and_then(|()| stdout.flush());
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(0) => Err(failed("Aborted!")),
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(error) => Err(failed(format!("cannot read the answer: {error}"))),
    }
}
