//! Answers: each MUST of RFC 9112 §6.3 for a client, what ends a connection, what is malformed.

use super::{check, check_cuts, check_end};
use http::Method;
use springtide_proto::http1::Limits;

/// RFC 9112 §6.3, in its order.
#[test]
fn the_length_of_a_body_follows_the_rules() {
    // 1: no body, whatever the fields say.
    for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let answer = |status: &str| format!("HTTP/1.1 {status}\r\n{fields}\r\n");
        check(&answer("204 No Content"), "204 Http11\nidle");
        check(&answer("304 Not Modified"), "304 Http11\nidle");
        let input = answer("200 OK");
        let limits = Limits::default();
        check_cuts(&Method::HEAD, input.as_bytes(), &limits, false, "200 Http11\nidle");
        let interim =
            format!("{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", answer("103 Hints"));
        check(&interim, "interim 103\n200 Http11\nidle");
    }
    // 3: both lengths.
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "fault Broken(LengthWithEncoding)",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "fault Broken(LengthWithEncoding)",
    );
    // 4: chunks; any other coding is not known here.
    check(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
        "200 Http11 chunked\ntrailer X-Sum=1\nbody abc\nidle",
    );
    for (coding, fault) in [
        ("gzip", "TransferEncodingInvalid"),
        ("gzip, chunked", "TransferEncodingUnknown"),
        ("chunked, gzip", "TransferEncodingInvalid"),
        ("chunked, chunked", "TransferEncodingInvalid"),
        ("", "TransferEncodingInvalid"),
    ] {
        check(
            &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n"),
            &format!("fault Broken({fault})"),
        );
    }
    // 6.1: HTTP/1.0 knows no transfer coding.
    check(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "fault Broken(TransferEncodingOnHttp10)",
    );
    // 5: no valid length.
    for length in ["", "-1", "+3", "3 ", "0x3", "3,3", "3, 3", "18446744073709551616", "three"] {
        let fault = if length == "3 " {
            "200 Http11 sized=3\nbody abc\nidle"
        } else {
            "fault Broken(ContentLengthInvalid)"
        };
        check(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabc"), fault);
    }
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "fault Broken(ContentLengthRepeated)",
    );
    // 6: the length, and no byte more or less.
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "200 Http11 sized=3\nbody abc\nidle");
    check_end(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        "200 Http11 sized=3\nfault Truncated",
    );
    // 8: all until the end of the connection.
    check_end("HTTP/1.1 200 OK\r\n\r\nabc", "200 Http11 open\nbody abc");
    check_end("HTTP/1.1 200 OK\r\n\r\n", "200 Http11 open\nbody");
    check_end("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc", "200 Http10 open\nbody abc");
}

/// RFC 9112 §8: what is cut is never taken for whole.
#[test]
fn cut_answers_are_noticed() {
    check_end("", "fault NoAnswer");
    check_end("H", "fault Truncated");
    check_end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "fault Truncated");
    check_end("HTTP/1.1 100 Continue\r\n\r\n", "interim 100\nfault Truncated");
    check_end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 Http11");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".len();
    for end in head..chunked.len() {
        check_end(&chunked[..end], "200 Http11 chunked\nfault Truncated");
    }
}

/// RFC 9112 §9.3.
#[test]
fn connections_go_on_or_not() {
    for (version, connection, goes_on) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: X, CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let number = version.replace('.', "");
        let (close, end) = if goes_on { ("", "idle") } else { (" close", "closed") };
        check(
            &format!("HTTP/{version} 200 OK\r\n{connection}Content-Length: 1\r\n\r\na"),
            &format!("200 Http{number} sized=1{close}\nbody a\n{end}"),
        );
    }
}

/// What comes behind an answer belongs to nobody: the next answer cannot be smuggled in.
#[test]
fn bytes_that_nobody_asked_for_end_the_connection() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    check(&format!("{answer}{answer}"), "200 Http11 sized=1\nbody a\nfault Unasked");
    check(&format!("{answer}\r\n"), "200 Http11 sized=1\nbody a\nfault Unasked");
    check("HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na", "204 Http11\nfault Unasked");
}

#[test]
fn interim_responses_are_told_and_bounded() {
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    check(
        &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX-A: b\r\n\r\n{last}"),
        "interim 100\ninterim 103\n200 Http11\nidle",
    );
    let many = "HTTP/1.1 102 Processing\r\n\r\n".repeat(17);
    let told = "interim 102\n".repeat(16);
    check(&format!("{many}{last}"), &format!("{told}fault TooManyInterim"));
    check("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "fault Switch");
}

#[test]
fn malformed_heads_are_faults() {
    for (input, fault) in [
        ("HTTP/1.1 200 OK\n\n", "Broken(LineEnd)"),
        ("HTTP/1.1 200 OK\r\nA: b\n\r\n", "Broken(LineEnd)"),
        ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "Broken(FieldValue)"),
        ("HTTP/1.1 200 O\rK\r\n\r\n", "StatusLine"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "Broken(FieldName)"),
        ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "Broken(FieldName)"),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "Broken(FieldName)"),
        ("HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n", "Broken(FieldValue)"),
        ("HTTP/1.1 200 OK\r\n: b\r\n\r\n", "Broken(FieldName)"),
        ("HTTP/1.1 099 Low\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 600 High\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 20 OK\r\n\r\n", "StatusLine"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "StatusLine"),
        ("HTTP/2.0 200 OK\r\n\r\n", "StatusLine"),
        ("http/1.1 200 OK\r\n\r\n", "StatusLine"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "StatusLine"),
        ("SSH-2.0-x\r\n\r\n", "StatusLine"),
    ] {
        check(input, &format!("fault {fault}"));
    }
    // A reason is optional, and says nothing.
    check("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 Http11\nidle");
    check("HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", "599 Http11\nidle");
}

#[test]
fn malformed_chunks_are_faults() {
    for (body, fault) in [
        ("3\nabc\r\n0\r\n\r\n", "Chunk"),
        ("3\r\nabcd\r\n0\r\n\r\n", "Chunk"),
        ("-3\r\nabc\r\n0\r\n\r\n", "Chunk"),
        ("0x3\r\nabc\r\n0\r\n\r\n", "Chunk"),
        ("ffffffffffffffff0\r\n", "Chunk"),
        ("0\r\nContent-Length: 3\r\n\r\n", "Trailer"),
        ("0\r\nA: b\n\r\n", "LineEnd"),
    ] {
        check(
            &format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
            &format!("200 Http11 chunked\nfault Broken({fault})"),
        );
    }
}

#[test]
fn heads_have_limits() {
    let limits = Limits { head_bytes_max: 100, fields_max: 2, ..Limits::default() };
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(100));
    check_cuts(&Method::GET, long.as_bytes(), &limits, false, "fault Broken(HeadTooLong)");
    let many = "HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\nA: b\r\n\r\n";
    check_cuts(&Method::GET, many.as_bytes(), &limits, false, "fault Broken(TooManyFields)");
    let trailer = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: {}\r\n\r\n",
        "b".repeat(100)
    );
    let said = "200 Http11 chunked\nfault Broken(TrailerTooLong)";
    check_cuts(&Method::GET, trailer.as_bytes(), &limits, false, said);
}
