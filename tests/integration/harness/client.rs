//! A caller that writes bytes and reads answers, and knows no more of HTTP than it must.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection to a proxy, an admin port or anything else that speaks HTTP/1.1.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
}

/// The fields of a message, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// The only value of a field; panics when it is there twice.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is there twice: {values:?}");
        values.first().copied()
    }

    /// The names of all fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The `error` parameter of Proxy-Status, when Fusebox made this response.
    pub(crate) fn proxy_error(&self) -> Option<&str> {
        let (_, after) = self.one("proxy-status")?.split_once("error=")?;
        after.split([';', ',', ' ']).next()
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }
}

impl Response {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// The `error` parameter of Proxy-Status, when Fusebox made this response.
    pub(crate) fn proxy_error(&self) -> Option<&str> {
        self.headers.proxy_error()
    }
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> Self {
        Self::of(TcpStream::connect(to).expect("it accepts connections"))
    }

    /// One that somebody else made.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout is set");
        stream.set_nodelay(true).expect("small writes go out at once");
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("it takes what is sent");
    }

    /// Like [`Connection::send`] where the other side may be gone already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a GET with these extra header lines and reads the response.
    pub(crate) fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.call("GET", path, headers, b"")
    }

    /// Sends a request, with a length when it has a body, and reads the response.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("host: localhost\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        self.send(head + "\r\n");
        self.send(body);
        self.response(method)
    }

    /// Reads the final response to a request with this method; interim ones are passed over.
    pub(crate) fn response(&mut self, method: &str) -> Response {
        loop {
            let (status, headers) = self.head();
            if !(100..200).contains(&status) {
                let body = self.framed(method, status, &headers).expect("the body is whole");
                return Response { status, headers, body: body.bytes, trailers: body.trailers };
            }
        }
    }

    /// The same where a switch of protocols is an answer too, without a body.
    pub(crate) fn response_or_switch(&mut self) -> Response {
        let (status, headers) = self.head();
        let method = if status == 101 { "HEAD" } else { "GET" };
        let body = self.framed(method, status, &headers).expect("the body is whole");
        Response { status, headers, body: body.bytes, trailers: body.trailers }
    }

    /// Reads one head, interim or final.
    pub(crate) fn head(&mut self) -> (u16, Headers) {
        let head = read_head(&mut self.stream).expect("a head within the deadline");
        (head.status().unwrap_or_else(|| panic!("no status line: {}", head.line)), head.headers)
    }

    /// Reads one head where the connection may end instead.
    pub(crate) fn try_head(&mut self) -> Option<(u16, Headers)> {
        let head = read_head(&mut self.stream).ok()?;
        Some((head.status()?, head.headers))
    }

    /// Reads the body behind a head; an error when it is cut short.
    pub(crate) fn body(
        &mut self,
        method: &str,
        status: u16,
        headers: &Headers,
    ) -> std::io::Result<Vec<u8>> {
        self.framed(method, status, headers).map(|body| body.bytes)
    }

    /// The same with the trailers.
    pub(crate) fn framed(
        &mut self,
        method: &str,
        status: u16,
        headers: &Headers,
    ) -> std::io::Result<Body> {
        if method == "HEAD" || status == 204 || status == 304 {
            return Ok(Body::default());
        }
        read_body(&mut self.stream, headers, true, |_| ())
    }

    /// Reads a body and keeps nothing of it; `seen` is told the size of each piece.
    ///
    /// # Errors
    /// It is cut short.
    pub(crate) fn pass(
        &mut self,
        headers: &Headers,
        mut seen: impl FnMut(usize),
    ) -> std::io::Result<()> {
        if let Some(length) = headers.one("content-length") {
            let mut left: usize = length.parse().map_err(|_| ErrorKind::InvalidData)?;
            while left > 0 {
                let read = self.stream.fill_buf()?.len().min(left);
                if read == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                self.stream.consume(read);
                left -= read;
                seen(read);
            }
            return Ok(());
        }
        loop {
            let chunk = read_chunk(&mut self.stream)?.bytes;
            if chunk.is_empty() {
                return Ok(());
            }
            seen(chunk.len());
        }
    }

    /// Reads one chunk of a chunked body.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        read_chunk(&mut self.stream).expect("a chunk within the deadline").bytes
    }

    /// Sends no more, and still listens.
    pub(crate) fn half_close(&mut self) {
        let sent = self.stream.get_ref().shutdown(Shutdown::Write);
        sent.expect("it is connected");
    }

    /// Reads the head of a request.
    pub(crate) fn request(&mut self) -> Head {
        read_head(&mut self.stream).expect("a request within the deadline")
    }

    /// Reads the head of a request where the connection may end instead.
    pub(crate) fn try_request(&mut self) -> Option<Head> {
        read_head(&mut self.stream).ok()
    }

    /// Reads so many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.try_bytes(count).expect("bytes within the deadline")
    }

    /// Reads so many bytes where the connection may end, or stay silent, instead.
    pub(crate) fn try_bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    /// The same connection for another thread, to send on.
    pub(crate) fn another(&self) -> Self {
        Self::of(self.stream.get_ref().try_clone().expect("a second handle"))
    }

    /// Whether the other side closes, with a deadline; false when it sends or keeps it open.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Goes away without a word.
    pub(crate) fn abort(self) {
        let stream = self.stream.into_inner();
        let now = Some(Duration::ZERO);
        socket2::SockRef::from(&stream).set_linger(now).expect("closing resets");
    }
}

/// One GET on a connection of its own.
pub(crate) fn get(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    Connection::open(to).get(path, headers)
}

/// What comes before a body.
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) line: String,
    pub(crate) headers: Headers,
    /// All of it as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Head {
    fn status(&self) -> Option<u16> {
        self.line.split(' ').nth(1)?.parse().ok()
    }
}

/// What comes behind a head.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// The fields behind the last chunk.
    pub(crate) trailers: Headers,
}

/// Reads a first line and the fields behind it. What is no UTF-8 is shown as well as it can be.
pub(crate) fn read_head(from: &mut impl BufRead) -> std::io::Result<Head> {
    let (mut lines, mut bytes) = (Vec::new(), Vec::new());
    loop {
        let begin = bytes.len();
        if from.read_until(b'\n', &mut bytes)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match String::from_utf8_lossy(&bytes[begin..]).trim_end() {
            "" if lines.is_empty() => {}
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let line = lines.remove(0);
    Ok(Head { line, headers: Headers(lines.iter().map(|line| field(line)).collect()), bytes })
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim().to_owned())
}

/// Reads a body by its framing; `seen` is told of each piece. Without framing it ends with the
/// connection if `until_close`, else there is none.
pub(crate) fn read_body(
    from: &mut impl BufRead,
    headers: &Headers,
    until_close: bool,
    mut seen: impl FnMut(&[u8]),
) -> std::io::Result<Body> {
    let mut bytes = Vec::new();
    if headers.one("transfer-encoding").is_some() {
        loop {
            let chunk = read_chunk(from)?;
            if chunk.bytes.is_empty() {
                return Ok(Body { bytes, trailers: chunk.trailers });
            }
            seen(&chunk.bytes);
            bytes.extend(chunk.bytes);
        }
    }
    let length = headers.one("content-length");
    let mut left = match length {
        Some(length) => length.parse().map_err(|_| ErrorKind::InvalidData)?,
        None if until_close => usize::MAX,
        None => 0,
    };
    while left > 0 {
        let piece = from.fill_buf()?;
        if piece.is_empty() && length.is_none() {
            break;
        }
        if piece.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let used = piece.len().min(left);
        seen(&piece[..used]);
        bytes.extend(&piece[..used]);
        from.consume(used);
        left -= used;
    }
    Ok(Body { bytes, trailers: Headers::default() })
}

/// Reads one chunk; the last one is empty, and has the trailers.
fn read_chunk(from: &mut impl BufRead) -> std::io::Result<Body> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let size = line.trim().split(';').next().unwrap_or_default();
    let size = usize::from_str_radix(size, 16).map_err(|_| ErrorKind::UnexpectedEof)?;
    let mut bytes = vec![0; size];
    from.read_exact(&mut bytes)?;
    let mut trailers = Headers::default();
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line.trim().is_empty() {
            return Ok(Body { bytes, trailers });
        }
        if size > 0 {
            // Data that goes on where its end should be.
            return Err(ErrorKind::InvalidData.into());
        }
        trailers.0.push(field(line.trim()));
    }
}
