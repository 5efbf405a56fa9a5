//! A caller and an upstream that do the same in every run, outside of what is counted.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\r\nhello there\n";

/// Makes so many calls, one after the other, on one connection.
///
/// # Errors
/// The connection ends.
pub(crate) fn call(to: SocketAddr, request: &[u8], times: u64) -> std::io::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(to)?);
    stream.get_ref().set_nodelay(true)?;
    for _ in 0..times {
        stream.get_mut().write_all(request)?;
        let length = head(&mut stream)?;
        stream.read_exact(&mut vec![0; length])?;
    }
    Ok(())
}

/// Answers every call alike until the program ends.
///
/// # Errors
/// It cannot listen.
pub(crate) fn upstream(at: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(at)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || -> std::io::Result<()> {
                stream.set_nodelay(true)?;
                let mut stream = BufReader::new(stream);
                loop {
                    let length = head(&mut stream)?;
                    stream.read_exact(&mut vec![0; length])?;
                    stream.get_mut().write_all(ANSWER)?;
                }
            });
        }
    });
    Ok(())
}

/// Reads a head and returns how long its body is.
fn head(stream: &mut impl BufRead) -> std::io::Result<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(length);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
}
