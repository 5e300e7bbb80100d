//! A Docker daemon for tests that answers what it was told to: what is wrong with a real one can be had without breaking it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

/// One answer: to which method, to paths that hold what, with which status, and its body.
pub type Answer = (&'static str, &'static str, u16, &'static str);

/// Listens in this folder until the test ends; the first answer that fits is given. The address of the daemon is `unix://` and
/// the path that comes back.
///
/// # Panics
/// When the folder takes no socket.
pub fn daemon(folder: &Path, answers: &[Answer]) -> PathBuf {
    let socket = folder.join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("the folder takes a socket");
    let answers = answers.to_vec();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let answers = answers.clone();
            // A client that hangs up early has its reasons.
            thread::spawn(move || serve(client, &answers));
        }
    });
    socket
}

fn serve(mut client: UnixStream, answers: &[Answer]) -> std::io::Result<()> {
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
    let (status, body) = answers
        .iter()
        .find(|answer| answer.0 == method && path.contains(answer.1))
        .map_or((404, r#"{"message":"page not found"}"#), |answer| (answer.2, answer.3));
    write!(
        client,
        "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
