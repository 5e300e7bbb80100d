//! A Docker daemon for tests that answers what it was told to: what is wrong with a real one can be had without breaking it.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

/// One answer: to which method, to paths that hold what, with which status, and its body.
pub type Answer = (&'static str, &'static str, u16, &'static str);

/// The status of an answer that never comes.
pub const SILENCE: u16 = 0;

/// The file in the daemon's folder to which every request is written, a line for each: `POST /v1.43/images/create?...`.
pub const REQUESTS: &str = "requests";

/// Listens in this folder until the test ends; the first answer that fits is given. The address of the daemon is `unix://` and
/// the path that comes back.
///
/// # Panics
/// When the folder takes no socket.
pub fn daemon(folder: &Path, answers: &[Answer]) -> PathBuf {
    let socket = folder.join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("the folder takes a socket");
    let (answers, requests) = (answers.to_vec(), folder.join(REQUESTS));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (answers, requests) = (answers.clone(), requests.clone());
            // A client that hangs up early has its reasons.
            thread::spawn(move || serve(client, &answers, &requests));
        }
    });
    socket
}

fn serve(mut client: UnixStream, answers: &[Answer], requests: &Path) -> std::io::Result<()> {
    let mut request = BufReader::new(client.try_clone()?);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if request.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut request.take(length), &mut std::io::sink())?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut requests = OpenOptions::new().create(true).append(true).open(requests)?;
    requests.write_all(format!("{method} {path}\n").as_bytes())?;
    let (status, body) = answers
        .iter()
        .find(|answer| answer.0 == method && path.contains(answer.1))
        .map_or((404, r#"{"message":"page not found"}"#), |answer| (answer.2, answer.3));
    if status == SILENCE {
        // Until the client loses patience.
        return std::io::copy(&mut client, &mut std::io::sink()).map(drop);
    }
    write!(
        client,
        "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
