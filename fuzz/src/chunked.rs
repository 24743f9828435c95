//! Any bytes as a chunked body, against a plain reader that has it whole.
//! The plain reader must never share code with the machine's.

use springtide_proto::http1::{Head, Limits, Machine, Received};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Decodes the bytes, in steps that the first of them chooses, and compares with the plain reader.
///
/// # Panics
/// When the machine takes a body that is none, or reads another one.
pub fn chunked(bytes: &[u8]) {
    let Some((step, body)) = bytes.split_first() else { return };
    let expected = plain(body);
    let found = decode(body, usize::from(*step).max(1));
    match (found, expected) {
        (Some((data, rest)), Some((plain_data, plain_rest))) => {
            assert_eq!(data, plain_data);
            assert_eq!(rest, plain_rest, "bytes behind the body");
        }
        (Some(_), None) => panic!("the machine takes what is no chunked body"),
        // The machine has limits and drops what frames in trailers; it may refuse more.
        (None, _) => {}
    }
}

/// The body and how many bytes are left behind it.
fn decode(body: &[u8], step: usize) -> Option<(Vec<u8>, usize)> {
    let limits = Limits { body_bytes_max: 1 << 20, ..Limits::default() };
    let (mut machine, mut head) = (Machine::server(0, &limits), Head::new());
    let received = machine.receive(HEAD, 0, &limits, &mut head);
    assert!(matches!(received, Ok(Received::Head { consumed, .. }) if consumed == HEAD.len()));
    let (mut data, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        let input = &body[start..end];
        match machine.receive(input, 0, &limits, &mut head) {
            Ok(Received::Body { consumed, data: span }) => {
                data.extend_from_slice(span.of(input));
                start += consumed;
            }
            Ok(Received::Skipped { consumed }) if consumed > 0 => start += consumed,
            Ok(Received::BodyEnd { consumed, .. }) => {
                return Some((data, body.len() - start - consumed));
            }
            Ok(_) if end < body.len() => end = body.len().min(end + step),
            Ok(_) | Err(_) => return None,
        }
    }
}

/// Chunks as RFC 9112 §7.1 has them, with the section of trailers as lines; nothing else.
fn plain(mut body: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut data = Vec::new();
    loop {
        let line = line(&mut body)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&line[..digits]).ok()?;
        let size = usize::try_from(u64::from_str_radix(size, 16).ok()?).ok()?;
        let extension = line[digits..].trim_ascii_start();
        let is_extended = extension.first() == Some(&b';');
        if !is_extended && digits < line.len() {
            return None;
        }
        if size == 0 {
            break;
        }
        data.extend_from_slice(body.get(..size)?);
        body = body[size..].strip_prefix(b"\r\n")?;
    }
    while !line(&mut body)?.is_empty() {}
    Some((data, body.len()))
}

/// Takes a line that ends in CR LF and has neither of them within.
fn line<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let line = body[..end].strip_suffix(b"\r")?;
    *body = &body[end + 1..];
    (!line.contains(&b'\r')).then_some(line)
}
