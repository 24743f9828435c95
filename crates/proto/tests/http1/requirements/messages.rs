//! RFC 9112 §2 to §6, sentence by sentence. Bytes and what comes of them; no code.

use super::Given::{Chunked, Full, Nothing};
use super::Shown::{Not, Says, Sends, Test};
use super::{Requirement, asks, none};

const SERVED: &str = "GET / 1.1 host=a";
const EXCHANGES: &str = "crates/springtide/src/tests/exchanges.rs";
const REPLIES: &str = "crates/proto/tests/http1/replies.rs";
const LIMITS: &str = "crates/proto/tests/http1/limits.rs";
const DEADLINES: &str = "crates/proto/tests/http1/deadlines.rs";

pub(super) const REQUIREMENTS: &[Requirement] = &[
    none("9112 2", "the section holds others"),
    none("9112 2.1", "the grammar of a message"),
    asks(
        "9112 2.2",
        "a message is octets in a superset of ASCII, not characters of another coding",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nX-A: \u{4e0a}\u{10a}\r\n\r\n",
                "GET / 1.1 host=a X-A=\u{4e0a}\u{10a}",
            ),
            Says("GET / HTTP/1.1\u{10a}Host: a\r\n\r\n", "refused 400 LineEnd"),
        ],
    ),
    asks(
        "9112 2.2",
        "a bare CR in anything but the body is invalid or replaced",
        &[
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", "refused 400 FieldValue"),
            Says("GET / HTTP/1.1\rHost: a\r\n\r\n", "refused 400 LineEnd"),
            Says("GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
            Says("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "refused 400 LineEnd"),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\r\rx",
                "POST / 1.1 host=a sized=3\nbody \r\rx",
            ),
        ],
    ),
    asks(
        "9112 2.2",
        "a line between the request line and the fields that begins with a blank is refused, or dropped",
        &[
            Says("GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", "refused 400 FieldName"),
            Says("GET / HTTP/1.1\r\n\tHost: a\r\nHost: a\r\n\r\n", "refused 400 FieldName"),
            Says("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", "refused 400 FieldName"),
        ],
    ),
    asks(
        "9112 2.2",
        "an empty line before the request line is ignored; what is no request line is refused",
        &[
            Says("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", SERVED),
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET / 1.1 host=a\nGET / 1.1 host=a",
            ),
            Says("\u{16}\u{3}\u{1}\0\r\n\r\n", "refused 400 RequestLine"),
            Says("HTTP/1.1 200 OK\r\n\r\n", "refused 400 RequestLine"),
        ],
    ),
    asks(
        "9112 2.3",
        "the version is written in capitals, with one digit on each side of the point",
        &[
            Says("GET / http/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
            Says("GET / HTTP/1.1.1\r\nHost: a\r\n\r\n", "refused 400 LineEnd"),
            Says("GET / HTTP/01.1\r\nHost: a\r\n\r\n", "refused 505 Version"),
            Says("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "refused 505 Version"),
            Says("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 1.0 host=a close\nclosed"),
        ],
    ),
    asks(
        "9112 2.3",
        "a reply to HTTP/1.0 is one that HTTP/1.0 can read",
        &[
            Sends(
                "GET / HTTP/1.0\r\n\r\n",
                200,
                Chunked("ab"),
                "HTTP/1.1 200 OK\r\n{D}Connection: close\r\n\r\nab",
            ),
            Sends(
                "GET / HTTP/1.0\r\n\r\n",
                200,
                Full("ab"),
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 2\r\nConnection: close\r\n\r\nab",
            ),
        ],
    ),
    asks(
        "9112 3",
        "a request target longer than the server wants to read gets 414",
        &[
            Test(LIMITS, "the_request_line"),
            Test(LIMITS, "a_line_that_fills_the_head_is_a_long_line"),
        ],
    ),
    asks(
        "9112 3",
        "a request line has two blanks and no other white space; another one is refused, not mended",
        &[
            Says("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
            Says("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
            Says("GET\u{b}/ HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
            Says("GET /\u{c}HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
            Says("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
        ],
    ),
    asks(
        "9112 3.1",
        "methods are told apart by case",
        &[
            Says("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / 1.1 host=a"),
            Sends(
                "head / HTTP/1.1\r\nHost: a\r\n\r\n",
                501,
                Full("ab"),
                "HTTP/1.1 501 Not Implemented\r\n{D}Content-Length: 2\r\n\r\nab",
            ),
        ],
    ),
    asks(
        "9112 3.2",
        "HTTP/1.1 without Host, with two, or with one that is no host gets 400",
        &[
            Says("GET / HTTP/1.1\r\n\r\n", "refused 400 HostMissing"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "refused 400 HostRepeated"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n", "refused 400 HostRepeated"),
            Says("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "refused 400 HostInvalid"),
            Says("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "refused 400 HostInvalid"),
            Says("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "refused 400 HostInvalid"),
            Says("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "refused 400 HostRepeated"),
        ],
    ),
    asks(
        "9112 3.2",
        "a target with white space or in none of the four forms is not mended",
        &[
            Says("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 Target"),
            Says("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
        ],
    ),
    asks(
        "9112 3.2.1",
        "a client sends at least `/`: an empty path and query is no origin form",
        &[
            Says("GET /?q HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?q 1.1 host=a"),
            Says("GET ?q HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 Target"),
        ],
    ),
    asks(
        "9112 3.2.2",
        "the absolute form is accepted, and its host counts in place of Host",
        &[
            Says("GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b/c 1.1 host=b"),
            Says("GET HTTP://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET HTTP://b 1.1 host=b"),
            Says("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS http://b 1.1 host=b"),
            Says("GET http://b/c HTTP/1.1\r\n\r\n", "refused 400 HostMissing"),
            Test("crates/springtide/src/request/target.rs", "targets_are_split"),
        ],
    ),
    asks(
        "9112 3.2.3",
        "the authority form is for CONNECT only",
        &[
            Says("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "refused 501 Connect"),
            Says("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 Target"),
        ],
    ),
    asks(
        "9112 3.2.4",
        "the asterisk is for OPTIONS only",
        &[
            Says("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 host=a"),
            Says("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 Target"),
            Says("POST * HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 Target"),
        ],
    ),
    none("9112 3.3", "how the target's URI is put together; the host is in `Head::host`"),
    asks(
        "9112 4",
        "the blank behind the status is sent although there is no reason phrase",
        &[Sends(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            599,
            Nothing,
            "HTTP/1.1 599 \r\n{D}Content-Length: 0\r\n\r\n",
        )],
    ),
    none("9112 5", "the grammar of a field line"),
    asks(
        "9112 5.1",
        "white space between a field's name and its colon gets 400",
        &[
            Says("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "refused 400 FieldName"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A\t: b\r\n\r\n", "refused 400 FieldName"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A \t : b\r\n\r\n", "refused 400 FieldName"),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\nx",
                "refused 400 FieldName",
            ),
        ],
    ),
    asks(
        "9112 5.2",
        "a folded line gets 400, or is joined by blanks",
        &[
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", "refused 400 FieldName"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\tc\r\n\r\n", "refused 400 FieldName"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n \r\n\r\n", "refused 400 FieldName"),
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
                "refused 400 FieldName",
            ),
        ],
    ),
    asks(
        "9112 5.2",
        "no folded line is sent",
        &[Not("`HeaderValue` of the http crate holds no line end, and media types are checked")],
    ),
    asks(
        "9112 6",
        "the fields tell whether a request has a body, whatever its method",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
                "GET / 1.1 host=a sized=1\nbody x",
            ),
            Says(
                "BREW / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "BREW / 1.1 host=a chunked\nbody",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST / 1.1 host=a\nGET / 1.1 host=a",
            ),
        ],
    ),
    asks(
        "9112 6.1",
        "the chunked coding is understood",
        &[Says(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            "POST / 1.1 host=a chunked\nbody ab",
        )],
    ),
    asks(
        "9112 6.1",
        "a coding that is not known gets 501; chunked twice or not last has no end",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                "refused 501 TransferEncodingUnknown",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
                "refused 400 TransferEncodingInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
                "refused 400 TransferEncodingInvalid",
            ),
        ],
    ),
    asks(
        "9112 6.1",
        "no Transfer-Encoding with a status of 1xx or 204, nor to a request of less than HTTP/1.1",
        &[
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                204,
                Chunked("ab"),
                "HTTP/1.1 204 No Content\r\n{D}\r\n",
            ),
            Sends(
                "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                200,
                Chunked("ab"),
                "HTTP/1.1 200 OK\r\n{D}Connection: close\r\n\r\nab",
            ),
            Test(REPLIES, "an_upgrade_is_decided_by_its_reply"),
        ],
    ),
    asks(
        "9112 6.1",
        "with Content-Length and Transfer-Encoding together the connection ends behind the reply",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "refused 400 LengthWithEncoding",
            ),
            Test(EXCHANGES, "wrong_framing_is_refused_once"),
        ],
    ),
    asks(
        "9112 6.1",
        "Transfer-Encoding in HTTP/1.0 is wrong framing, and the connection ends",
        &[
            Says(
                "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "refused 400 TransferEncodingOnHttp10",
            ),
            Says(
                "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "refused 400 TransferEncodingOnHttp10",
            ),
        ],
    ),
    asks(
        "9112 6.1",
        "an element of the list may be empty (RFC 9110 §5.6.1.2)",
        &[
            Not(
                "refused on purpose: others read `,chunked` as no chunked, and then a body is a request",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked\r\n\r\n",
                "refused 400 TransferEncodingInvalid",
            ),
        ],
    ),
    asks(
        "9112 6.2",
        "no Content-Length beside Transfer-Encoding",
        &[
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Chunked("ab"),
                "HTTP/1.1 200 OK\r\n{D}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            ),
            Test(REPLIES, "a_callers_field_replaces_or_is_left_out"),
        ],
    ),
    asks(
        "9112 6.3",
        "a reply to HEAD, of 1xx, 204 or 304 ends with its head",
        &[
            Sends(
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Full("ab"),
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 2\r\n\r\n",
            ),
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                204,
                Full("ab"),
                "HTTP/1.1 204 No Content\r\n{D}\r\n",
            ),
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                304,
                Full("ab"),
                "HTTP/1.1 304 Not Modified\r\n{D}\r\n",
            ),
            Test(EXCHANGES, "interim_and_bodiless_replies"),
        ],
    ),
    asks(
        "9112 6.3",
        "a request whose last coding is not chunked gets 400, and the connection ends",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "refused 400 TransferEncodingInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
                "refused 400 TransferEncodingInvalid",
            ),
            Sends(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
                200,
                Nothing,
                "HTTP/1.1 400 Bad Request\r\n{D}Content-Type: text/plain; charset=utf-8\r\nContent-Length: 49\r\nConnection: close\r\n\r\nthe Transfer-Encoding does not end in one chunked",
            ),
        ],
    ),
    asks(
        "9112 6.3",
        "a Content-Length that is no number, or several, gets 400, and the connection ends",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: a\r\n\r\n",
                "refused 400 ContentLengthInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
                "refused 400 ContentLengthInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
                "refused 400 ContentLengthInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
                "refused 400 ContentLengthRepeated",
            ),
        ],
    ),
    asks(
        "9112 6.3",
        "a body that ends before its length is not whole: 400 or an end, and no reply to half a body",
        &[
            Test(DEADLINES, "the_stream_ends_between_requests_or_within_one"),
            Test(EXCHANGES, "an_end_of_stream_loses_no_reply"),
        ],
    ),
    asks(
        "9112 6.3",
        "without either field there is no body",
        &[Says(
            "PUT / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "PUT / 1.1 host=a\nGET / 1.1 host=a",
        )],
    ),
];
