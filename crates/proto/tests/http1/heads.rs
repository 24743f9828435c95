//! Heads: what is accepted, and every way in which one is refused (attacks 1, 6 and 18).
//! It must never hold a case that depends on where the input is cut.

use crate::driver::check;

/// A GET of HTTP/1.1 with these field lines behind its `Host`.
fn with_fields(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn request_lines() {
    let cases = [
        ("GET / HTTP/1.1", "GET / 1.1 host=a"),
        ("GET /a?b=c HTTP/1.1", "GET /a?b=c 1.1 host=a"),
        ("GET //a/../b HTTP/1.1", "GET //a/../b 1.1 host=a"),
        ("GET /%00 HTTP/1.1", "GET /%00 1.1 host=a"),
        ("HEAD / HTTP/1.1", "HEAD / 1.1 host=a"),
        ("POST / HTTP/1.1", "POST / 1.1 host=a"),
        ("DELETE / HTTP/1.1", "DELETE / 1.1 host=a"),
        ("get / HTTP/1.1", "get / 1.1 host=a"),
        ("BREW / HTTP/1.1", "BREW / 1.1 host=a"),
        ("VERSION-CONTROL-AND-MUCH-MORE / HTTP/1.1", "VERSION-CONTROL-AND-MUCH-MORE / 1.1 host=a"),
        ("M!#$%&'*+-.^_`|~1 / HTTP/1.1", "M!#$%&'*+-.^_`|~1 / 1.1 host=a"),
        ("GET / HTTP/1.0", "GET / 1.0 host=a close\nclosed"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * 1.1 host=a"),
        ("OPTIONS / HTTP/1.1", "OPTIONS / 1.1 host=a"),
        ("GET http://b/c HTTP/1.1", "GET http://b/c 1.1 host=b"),
        (
            "GET HTTPS://b.example:80/c?d HTTP/1.1",
            "GET HTTPS://b.example:80/c?d 1.1 host=b.example:80",
        ),
        ("GET http://[::1]:80 HTTP/1.1", "GET http://[::1]:80 1.1 host=[::1]:80"),
        ("GET http://b?q HTTP/1.1", "GET http://b?q 1.1 host=b"),
        ("GET http:///c HTTP/1.1", "refused 400 Target"),
        ("GET http://u:p@b/c HTTP/1.1", "refused 400 Target"),
        ("GET 1http://b/c HTTP/1.1", "refused 400 Target"),
        ("GET ://b/c HTTP/1.1", "refused 400 Target"),
        ("GET http:/b HTTP/1.1", "refused 400 Target"),
        ("GET * HTTP/1.1", "refused 400 Target"),
        ("OPTIONS ** HTTP/1.1", "refused 400 Target"),
        ("GET a HTTP/1.1", "refused 400 Target"),
        ("GET a:80 HTTP/1.1", "refused 400 Target"),
        ("GET ?q HTTP/1.1", "refused 400 Target"),
        ("GET /gr\u{fc}n HTTP/1.1", "refused 400 Target"),
        ("GET /?\u{80} HTTP/1.1", "refused 400 Target"),
        ("GET http://b/\u{fc} HTTP/1.1", "refused 400 Target"),
        ("GET /gr%C3%BCn HTTP/1.1", "GET /gr%C3%BCn 1.1 host=a"),
        ("CONNECT a:80 HTTP/1.1", "refused 501 Connect"),
        ("CONNECT / HTTP/1.1", "refused 501 Connect"),
        ("GET / HTTP/2.0", "refused 505 Version"),
        ("GET / HTTP/1.2", "refused 505 Version"),
        ("GET / HTTP/0.9", "refused 505 Version"),
        ("GET / HTTP/3", "refused 505 Version"),
        ("PRI * HTTP/2.0", "refused 505 Version"),
        ("GET / HTTP/1", "refused 400 RequestLine"),
        ("GET / HTTP/11", "refused 400 RequestLine"),
        ("GET / HTTP/x.1", "refused 400 RequestLine"),
        ("GET / http/1.1", "refused 400 RequestLine"),
        ("GET / HTTPS/1.1", "refused 400 RequestLine"),
        ("GET / ICAP/1.0", "refused 400 RequestLine"),
        ("GET / HTTP/1.10", "refused 400 LineEnd"),
        ("GET / HTTP/1.1 ", "refused 400 LineEnd"),
        ("GET /", "refused 400 RequestLine"),
        ("GET", "refused 400 RequestLine"),
        ("GET  / HTTP/1.1", "refused 400 RequestLine"),
        ("GET /  HTTP/1.1", "refused 400 RequestLine"),
        ("GET\t/ HTTP/1.1", "refused 400 RequestLine"),
        ("GET /\tHTTP/1.1", "refused 400 RequestLine"),
        (" GET / HTTP/1.1", "refused 400 RequestLine"),
        ("GET /a b HTTP/1.1", "refused 400 RequestLine"),
        ("GET /\x01 HTTP/1.1", "refused 400 RequestLine"),
        ("GET /\0 HTTP/1.1", "refused 400 RequestLine"),
        ("GET /\x7f HTTP/1.1", "refused 400 RequestLine"),
        ("GET /\x1b[31m HTTP/1.1", "refused 400 RequestLine"),
        ("G(T / HTTP/1.1", "refused 400 RequestLine"),
        ("G\u{e9}T / HTTP/1.1", "refused 400 RequestLine"),
        (": / HTTP/1.1", "refused 400 RequestLine"),
    ];
    for (line, expected) in cases {
        check(format!("{line}\r\nHost: a\r\n\r\n"), expected);
    }
}

#[test]
fn line_ends() {
    let cases: &[(&str, &str)] = &[
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=a"),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n", "GET / 1.1 host=a X-A=b"),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 LineEnd"),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 LineEnd"),
        ("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 LineEnd"),
        ("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 LineEnd"),
        ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 LineEnd"),
        ("\r\n GET / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
        ("\r\n", ""),
        ("\r\n\r\n", ""),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\nHost: a\n\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b \nY: c\r\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.0\n\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.0\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.0\r\n\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "refused 400 FieldValue"),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "refused 400 FieldValue"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "refused 400 LineEnd"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "refused 400 LineEnd"),
        ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
        ("GET /\n HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close\nclosed"),
    ];
    for (input, expected) in cases {
        check(input, expected);
    }
}

#[test]
fn field_lines() {
    let cases = [
        ("", "GET / 1.1 host=a"),
        ("X-A: b\r\n", "GET / 1.1 host=a X-A=b"),
        ("X-A:b\r\n", "GET / 1.1 host=a X-A=b"),
        ("X-A:\t b c \t\r\n", "GET / 1.1 host=a X-A=b c"),
        ("X-A:\r\n", "GET / 1.1 host=a X-A="),
        ("X-A: \t \r\n", "GET / 1.1 host=a X-A="),
        ("X-A: :\r\nX-B: b:c\r\n", "GET / 1.1 host=a X-A=: X-B=b:c"),
        ("X-A: \u{e9}\r\n", "GET / 1.1 host=a X-A=\u{e9}"),
        ("X-!#$%&'*+.^_`|~1: b\r\n", "GET / 1.1 host=a X-!#$%&'*+.^_`|~1=b"),
        ("X-A: b\r\nX-A: c\r\n", "GET / 1.1 host=a X-A=b X-A=c"),
        ("X-A : b\r\n", "refused 400 FieldName"),
        ("X-A\t: b\r\n", "refused 400 FieldName"),
        (" X-A: b\r\n", "refused 400 FieldName"),
        ("X-A: b\r\n c\r\n", "refused 400 FieldName"),
        ("X-A: b\r\n\tc\r\n", "refused 400 FieldName"),
        ("X-A:\r\n b\r\n", "refused 400 FieldName"),
        (": b\r\n", "refused 400 FieldName"),
        ("X-A\r\n", "refused 400 FieldName"),
        ("X A: b\r\n", "refused 400 FieldName"),
        ("X\u{e9}: b\r\n", "refused 400 FieldName"),
        ("X(A: b\r\n", "refused 400 FieldName"),
        ("X-A\0: b\r\n", "refused 400 FieldName"),
        ("X-A: b\0\r\n", "refused 400 FieldValue"),
        ("X-A: \x01\r\n", "refused 400 FieldValue"),
        ("X-A: b\x7f\r\n", "refused 400 FieldValue"),
        ("X-A: \x1b[31m\r\n", "refused 400 FieldValue"),
        ("X-A: b\x0bc\r\n", "refused 400 FieldValue"),
    ];
    for (fields, expected) in cases {
        check(with_fields(fields), expected);
    }
}

#[test]
fn hosts() {
    let cases = [
        ("Host: a.example\r\n", "GET / 1.1 host=a.example"),
        ("host:a.example:8080\r\n", "GET / 1.1 host=a.example:8080"),
        ("HOST: a:\r\n", "GET / 1.1 host=a:"),
        ("Host: 127.0.0.1\r\n", "GET / 1.1 host=127.0.0.1"),
        ("Host: [::1]\r\n", "GET / 1.1 host=[::1]"),
        ("Host: [fe80::1]:443\r\n", "GET / 1.1 host=[fe80::1]:443"),
        ("Host: a_b-c.d~e%20\r\n", "GET / 1.1 host=a_b-c.d~e%20"),
        ("", "refused 400 HostMissing"),
        ("Hos: a\r\n", "refused 400 HostMissing"),
        ("Host:\r\n", "refused 400 HostInvalid"),
        ("Host:  \r\n", "refused 400 HostInvalid"),
        ("Host: a\r\nHost: a\r\n", "refused 400 HostRepeated"),
        ("Host: a\r\nX: y\r\nhost: b\r\n", "refused 400 HostRepeated"),
        ("Host: a, b\r\n", "refused 400 HostInvalid"),
        ("Host: a,b\r\n", "refused 400 HostInvalid"),
        ("Host: a b\r\n", "refused 400 HostInvalid"),
        ("Host: a/b\r\n", "refused 400 HostInvalid"),
        ("Host: a?b\r\n", "refused 400 HostInvalid"),
        ("Host: a#b\r\n", "refused 400 HostInvalid"),
        ("Host: u@a\r\n", "refused 400 HostInvalid"),
        ("Host: http://a\r\n", "refused 400 HostInvalid"),
        ("Host: a\\b\r\n", "refused 400 HostInvalid"),
        ("Host: \"a\"\r\n", "refused 400 HostInvalid"),
        ("Host: \u{e9}\r\n", "refused 400 HostInvalid"),
        ("Host: :80\r\n", "refused 400 HostInvalid"),
        ("Host: a:b\r\n", "refused 400 HostInvalid"),
        ("Host: a:80:80\r\n", "refused 400 HostInvalid"),
        ("Host: ::1\r\n", "refused 400 HostInvalid"),
        ("Host: [::1\r\n", "refused 400 HostInvalid"),
        ("Host: []\r\n", "refused 400 HostInvalid"),
        ("Host: [::1]a\r\n", "refused 400 HostInvalid"),
        ("Host: a]\r\n", "refused 400 HostInvalid"),
    ];
    for (fields, expected) in cases {
        check(format!("GET / HTTP/1.1\r\n{fields}\r\n"), expected);
    }
    check("GET / HTTP/1.0\r\nX: y\r\n\r\n", "GET / 1.0 close\nclosed");
    check("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "refused 400 HostRepeated");
    check("GET http://b/ HTTP/1.1\r\n\r\n", "refused 400 HostMissing");
}

#[test]
fn lengths_and_encodings() {
    let cases = [
        ("Content-Length: 0\r\n", "GET / 1.1 host=a"),
        ("Content-Length: 00\r\n", "GET / 1.1 host=a"),
        ("Content-Length: 5\r\n", "GET / 1.1 host=a sized=5"),
        ("content-LENGTH:  05 \r\n", "GET / 1.1 host=a sized=5"),
        ("Content-Length: 1048576\r\n", "GET / 1.1 host=a sized=1048576"),
        ("Content-Length: 1048577\r\n", "GET / 1.1 host=a sized=1048577\nrefused 413 BodyTooLong"),
        (
            "Content-Length: 18446744073709551615\r\n",
            "GET / 1.1 host=a sized=18446744073709551615\nrefused 413 BodyTooLong",
        ),
        ("Content-Length: 18446744073709551616\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: 99999999999999999999999\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length:\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: +5\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: -5\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: 0x5\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: 5 5\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: 5, 5\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: 5,\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: 5.0\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: five\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: \u{665}\r\n", "refused 400 ContentLengthInvalid"),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "refused 400 ContentLengthRepeated"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "refused 400 ContentLengthRepeated"),
        ("Content-Length: 0\r\nContent-Length: 0\r\n", "refused 400 ContentLengthRepeated"),
        ("Content-Length : 5\r\n", "refused 400 FieldName"),
        ("Transfer-Encoding: chunked\r\n", "GET / 1.1 host=a chunked"),
        ("transfer-encoding:\tCHUNKED \r\n", "GET / 1.1 host=a chunked"),
        ("Transfer-Encoding:\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: identity\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: gzip\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: chunked, identity\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: chunked, gzip\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: chunked, chunked\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: chunked,\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: ,chunked\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: xchunked\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: chunked;a=b\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: \"chunked\"\r\n", "refused 400 TransferEncodingInvalid"),
        ("Transfer-Encoding: \x0bchunked\r\n", "refused 400 FieldValue"),
        ("Transfer-Encoding: gzip, chunked\r\n", "refused 501 TransferEncodingUnknown"),
        ("Transfer-Encoding: gzip,CHUNKED\r\n", "refused 501 TransferEncodingUnknown"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "refused 400 TransferEncodingInvalid",
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "refused 400 TransferEncodingInvalid",
        ),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "refused 400 LengthWithEncoding"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "refused 400 LengthWithEncoding"),
        ("Transfer-Encoding\t: chunked\r\n", "refused 400 FieldName"),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", "refused 400 FieldName"),
    ];
    for (fields, expected) in cases {
        check(with_fields(fields), expected);
    }
    check(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "refused 400 TransferEncodingOnHttp10",
    );
}

#[test]
fn connections_and_expectations() {
    let cases = [
        ("1.1", "Connection: close\r\n", "GET / 1.1 host=a close\nclosed"),
        ("1.1", "Connection: CLOSE\r\n", "GET / 1.1 host=a close\nclosed"),
        ("1.1", "Connection: x, close ,y\r\n", "GET / 1.1 host=a close\nclosed"),
        ("1.1", "Connection: x\r\nConnection: close\r\n", "GET / 1.1 host=a close\nclosed"),
        ("1.1", "Connection: close, keep-alive\r\n", "GET / 1.1 host=a close\nclosed"),
        ("1.1", "Connection: closed\r\n", "GET / 1.1 host=a"),
        ("1.1", "Connection: keep-alive\r\n", "GET / 1.1 host=a"),
        ("1.1", "Connection:\r\n", "GET / 1.1 host=a"),
        ("1.0", "Connection: keep-alive\r\n", "GET / 1.0 host=a"),
        ("1.0", "Connection: x,Keep-Alive\r\n", "GET / 1.0 host=a"),
        ("1.0", "Connection: keep-alive, close\r\n", "GET / 1.0 host=a close\nclosed"),
        ("1.0", "Connection: x\r\n", "GET / 1.0 host=a close\nclosed"),
        ("1.0", "", "GET / 1.0 host=a close\nclosed"),
        ("1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", "GET / 1.1 host=a upgrade"),
        ("1.1", "Connection: keep-alive, upgrade\r\nUpgrade: a\r\n", "GET / 1.1 host=a upgrade"),
        ("1.1", "Upgrade: websocket\r\n", "GET / 1.1 host=a"),
        ("1.1", "Connection: upgrade\r\n", "GET / 1.1 host=a"),
        ("1.1", "Connection: upgrade\r\nUpgrade:\r\n", "GET / 1.1 host=a"),
        ("1.0", "Connection: upgrade\r\nUpgrade: a\r\n", "GET / 1.0 host=a close\nclosed"),
        ("1.1", "Expect: 100-continue\r\n", "GET / 1.1 host=a"),
        ("1.1", "Expect: 100-continue\r\nContent-Length: 1\r\n", "GET / 1.1 host=a sized=1 expect"),
        (
            "1.1",
            "expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n",
            "GET / 1.1 host=a chunked expect",
        ),
        ("1.1", "Expect: 200-ok\r\n", "refused 417 Expectation"),
        ("1.1", "Expect:\r\n", "GET / 1.1 host=a"),
        ("1.1", "Expect: x,\r\n", "refused 417 Expectation"),
        ("1.1", "Expect: 100-continue;a=b\r\n", "refused 417 Expectation"),
        ("1.1", "Expect: 100-continue, x\r\n", "refused 417 Expectation"),
        ("1.1", "Expect: x\r\nExpect: 100-continue\r\n", "refused 417 Expectation"),
        ("1.0", "Expect: x\r\n", "GET / 1.0 host=a close\nclosed"),
    ];
    for (version, fields, expected) in cases {
        check(format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"), expected);
    }
}

/// After a refusal never a second request, and after the last request no other.
#[test]
fn nothing_is_read_behind_the_end() {
    let good = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases = [
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "GET / 1.1 host=a close\nclosed",
        ),
        ("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close\nclosed"),
        ("GET / HTTP/1.1\r\n\r\n", "refused 400 HostMissing"),
        ("GET / HTTP/1.1\nHost: a\n\n", "refused 400 LineEnd"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "refused 400 LengthWithEncoding",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "POST / 1.1 host=a chunked\nrefused 400 Chunk",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\n",
            "GET / 1.1 host=a upgrade",
        ),
    ];
    for (input, expected) in cases {
        check(format!("{input}{good}"), expected);
    }
}

#[test]
fn pipelined_requests() {
    let mut input = String::new();
    let mut expected = String::new();
    for number in 0..16 {
        input += &format!("GET /{number} HTTP/1.1\r\nHost: a\r\nX-N: {number}\r\n\r\n");
        expected += &format!("GET /{number} 1.1 host=a X-N={number}\n");
    }
    check(&input, expected.trim_end());
    let mixed = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET \
                 GET /b HTTP/1.1\r\nHost: a\r\n\r\n\
                 POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n\
                 \r\nDELETE /d HTTP/1.1\r\nHost: a\r\n\r\n";
    let expected = "POST /a 1.1 host=a sized=4\nbody GET \nGET /b 1.1 host=a\n\
                    POST /c 1.1 host=a chunked\nbody GET\nDELETE /d 1.1 host=a";
    check(mixed, expected);
}
