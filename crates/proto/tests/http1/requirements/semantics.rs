//! RFC 9110 §5 to §7, sentence by sentence. Bytes and what comes of them; no code.

use super::Given::{Chunked, Full, Nothing};
use super::Shown::{Not, Says, Sends, Test};
use super::{Requirement, asks, none};

const CONDITION: &str = "crates/springtide/src/files/condition.rs";
const NAMES: &str = "crates/springtide/src/files/tests/names.rs";
const ROUTE: &str = "crates/springtide/src/route/tests.rs";
const REPLIES: &str = "crates/proto/tests/http1/replies.rs";
const LIMITS: &str = "crates/proto/tests/http1/limits.rs";
const DEADLINES: &str = "crates/proto/tests/http1/deadlines.rs";

pub(super) const REQUIREMENTS: &[Requirement] = &[
    none("9110 5", "the section holds others"),
    asks(
        "9110 5.1",
        "names of fields compare without case, and unknown ones are no error",
        &[
            Says("GET / HTTP/1.1\r\nhOsT: a\r\nX-New: b\r\n\r\n", "GET / 1.1 host=a X-New=b"),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nCONTENT-LENGTH: 1\r\n\r\nx",
                "POST / 1.1 host=a sized=1\nbody x",
            ),
        ],
    ),
    asks(
        "9110 5.2",
        "lines of one name are one list",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
                "GET / 1.1 host=a close\nclosed",
            ),
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nX-A: b\r\nUpgrade: c\r\nConnection: close\r\n\r\n",
                "GET / 1.1 host=a close upgrade X-A=b",
            ),
        ],
    ),
    asks(
        "9110 5.3",
        "no request is handled before its whole head has come, and lines keep their order",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\n\r\n",
                "GET / 1.1 host=a X-A=1 X-B=2 X-A=3",
            ),
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX-B: 2\r\n",
                "GET / 1.1 host=a X-A=1",
            ),
        ],
    ),
    asks(
        "9110 5.3",
        "a field that is no list is sent once",
        &[Test(REPLIES, "a_callers_field_replaces_or_is_left_out")],
    ),
    asks(
        "9110 5.4",
        "fields that are longer or more than the server wants get a status of 4xx",
        &[
            Test(LIMITS, "the_head"),
            Test(LIMITS, "the_fields"),
            Test(LIMITS, "each_cookie_pair_is_a_field"),
        ],
    ),
    asks(
        "9110 5.5",
        "CR, LF and NUL within a value are refused, or replaced by a blank",
        &[
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", "refused 400 FieldValue"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", "refused 400 FieldValue"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\nX-B: c\r\n\r\n", "refused 400 LineEnd"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A: \u{7}\r\n\r\n", "refused 400 FieldValue"),
        ],
    ),
    asks(
        "9110 5.5",
        "white space around a value is no part of it, and bytes above ASCII are opaque",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: \t a \t\r\nX-A: \t\u{fc} b\t \r\n\r\n",
                "GET / 1.1 host=a X-A=\u{fc} b",
            ),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A:\t \r\n\r\n", "GET / 1.1 host=a X-A="),
        ],
    ),
    none("9110 5.6", "the section holds others"),
    none("9110 5.6.1", "the notation of lists"),
    asks(
        "9110 5.6.1.1",
        "no list that is sent has an empty element",
        &[Test(ROUTE, "requests_find_their_endpoints")],
    ),
    asks(
        "9110 5.6.1.2",
        "a reasonable number of empty elements is ignored",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: , ,close,\r\n\r\n",
                "GET / 1.1 host=a close\nclosed",
            ),
            Says("GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n\r\n", "GET / 1.1 host=a"),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nExpect: ,100-continue ,\r\nContent-Length: 1\r\n\r\nx",
                "POST / 1.1 host=a sized=1 expect\nbody x",
            ),
            Says("GET / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n", "GET / 1.1 host=a"),
            Test(CONDITION, "lists_of_entity_tags"),
            Not("Transfer-Encoding is the exception, see RFC 9112 §6.1"),
        ],
    ),
    asks(
        "9110 5.6.2",
        "a token has these characters and no others",
        &[
            Says(
                "M!#$%&'*+-.^_`|~0 / HTTP/1.1\r\nHost: a\r\n\r\n",
                "M!#$%&'*+-.^_`|~0 / 1.1 host=a",
            ),
            Says("M{} / HTTP/1.1\r\nHost: a\r\n\r\n", "refused 400 RequestLine"),
            Says("GET / HTTP/1.1\r\nHost: a\r\nX-A[]: b\r\n\r\n", "refused 400 FieldName"),
            Says("GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n", "refused 400 FieldName"),
        ],
    ),
    asks(
        "9110 5.6.3",
        "bad white space is never sent, and read over where the grammar names it",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\t;x\r\na\r\n0\r\n\r\n",
                "POST / 1.1 host=a chunked\nbody a",
            ),
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Chunked("ab"),
                "HTTP/1.1 200 OK\r\n{D}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            ),
        ],
    ),
    asks(
        "9110 5.6.4",
        "a quoted pair stands for its character",
        &[Not("no field that is read here has quoted text but entity tags, which know no pairs")],
    ),
    none("9110 5.6.5", "the grammar of comments; no field that is read here has any"),
    asks(
        "9110 5.6.6",
        "no white space around the `=` of a parameter that is sent",
        &[Test(NAMES, "fields_of_a_reply")],
    ),
    asks(
        "9110 5.6.7",
        "dates in any of the three forms are read, two digits of a year as a year of the past",
        &[Test(CONDITION, "single_conditions")],
    ),
    asks(
        "9110 5.6.7",
        "dates are sent in the one form",
        &[Sends(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            304,
            Nothing,
            "HTTP/1.1 304 Not Modified\r\n{D}\r\n",
        )],
    ),
    none("9110 6", "the section holds others"),
    asks(
        "9110 6.1",
        "a message is whole when its framing says so",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na",
                "POST / 1.1 host=a sized=2",
            ),
            Test(DEADLINES, "the_stream_ends_between_requests_or_within_one"),
        ],
    ),
    asks(
        "9110 6.2",
        "no version is sent that the server does not keep to, and a greater one it cannot read gets 505",
        &[
            Says("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "refused 505 Version"),
            Says("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "refused 505 Version"),
            Sends(
                "GET / HTTP/1.0\r\n\r\n",
                200,
                Nothing,
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 0\r\nConnection: close\r\n\r\n",
            ),
        ],
    ),
    none("9110 6.3", "what header fields are"),
    asks(
        "9110 6.4",
        "a reply to HEAD, of 204 or of 304 has no content",
        &[
            Sends(
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                404,
                Full("ab"),
                "HTTP/1.1 404 Not Found\r\n{D}Content-Length: 2\r\n\r\n",
            ),
            Sends(
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Chunked("ab"),
                "HTTP/1.1 200 OK\r\n{D}Transfer-Encoding: chunked\r\n\r\n",
            ),
        ],
    ),
    none("9110 6.4.1", "what content means"),
    none("9110 6.4.2", "how content is named"),
    asks(
        "9110 6.5",
        "trailers are not merged into the head",
        &[Says(
            "POST / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: c\r\n\r\n",
            "POST / 1.1 host=a chunked X-A=b\nbody \ntrailer X-A=c",
        )],
    ),
    asks(
        "9110 6.5.1",
        "fields that frame or route a message are no trailers",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Trailer",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Trailer",
            ),
        ],
    ),
    none("9110 6.5.2", "what a recipient may do with trailers"),
    none("9110 6.6", "the section holds others"),
    asks(
        "9110 6.6.1",
        "with a clock, Date is in every reply of 2xx, 3xx and 4xx",
        &[
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Full("ab"),
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 2\r\n\r\nab",
            ),
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                302,
                Nothing,
                "HTTP/1.1 302 Found\r\n{D}Content-Length: 0\r\n\r\n",
            ),
            Sends(
                "GET / HTTP/1.1\r\n\r\n",
                200,
                Nothing,
                "HTTP/1.1 400 Bad Request\r\n{D}Content-Type: text/plain; charset=utf-8\r\nContent-Length: 25\r\nConnection: close\r\n\r\nthe Host field is missing",
            ),
        ],
    ),
    none("9110 6.6.2", "which trailers may come; a SHOULD for who sends them"),
    none("9110 7", "the section holds others"),
    asks(
        "9110 7.1",
        "the URI of a target comes from the target, Host and the connection",
        &[Says("GET http://b:1/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b:1/ 1.1 host=b:1")],
    ),
    asks(
        "9110 7.2",
        "Host is what the request is for; it is sent by clients, always",
        &[
            Says("GET / HTTP/1.1\r\nX-A: b\r\n\r\n", "refused 400 HostMissing"),
            Says("GET / HTTP/1.1\r\nHost:\r\n\r\n", "refused 400 HostInvalid"),
            Not(
                "an empty Host is for URIs without an authority, of which none leads to a server of http",
            ),
        ],
    ),
    none("9110 7.3", "asks clients only"),
    none("9110 7.3.1", "asks clients only"),
    none("9110 7.3.2", "asks clients only"),
    none("9110 7.3.3", "asks clients only"),
    asks(
        "9110 7.4",
        "a request for an origin that is not served here is refused",
        &[Not("the server takes every host unless the application says otherwise")],
    ),
    none("9110 7.5", "how replies find their requests: RFC 9112 §9.2"),
    asks("9110 7.6", "messages are not forwarded to oneself", &[Not("this is no intermediary")]),
    asks(
        "9110 7.6.1",
        "options of Connection are this connection's alone, and are told apart without case",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-A, CLOSE\r\nX-A: b\r\n\r\n",
                "GET / 1.1 host=a close X-A=b\nclosed",
            ),
            Test(REPLIES, "an_upgrade_is_decided_by_its_reply"),
        ],
    ),
    asks(
        "9110 7.6.2",
        "Max-Forwards counts down with intermediaries",
        &[Says("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", "OPTIONS * 1.1 host=a")],
    ),
    asks("9110 7.6.3", "intermediaries add to Via", &[Not("this is no intermediary")]),
    asks(
        "9110 7.7",
        "proxies do not transform what they may not",
        &[Not("this is no intermediary")],
    ),
    asks(
        "9110 7.8",
        "101 comes only when the client has offered, names the protocol and says so in Connection",
        &[
            Test(REPLIES, "an_upgrade_is_decided_by_its_reply"),
            Test(REPLIES, "a_switch_must_have_been_offered"),
        ],
    ),
    asks(
        "9110 7.8",
        "Upgrade in HTTP/1.0 is ignored, and without its option in Connection too",
        &[
            Says(
                "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                "GET / 1.0 close\nclosed",
            ),
            Says("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", "GET / 1.1 host=a"),
        ],
    ),
    asks(
        "9110 7.8",
        "an offer may be ignored; what was asked is answered before the protocol changes",
        &[
            Test(REPLIES, "a_declined_upgrade_goes_on_as_http"),
            Test(REPLIES, "an_upgrade_out_of_turn_switches_behind_the_replies_before"),
        ],
    ),
    asks(
        "9110 7.8",
        "with Expect and Upgrade, 100 comes before 101",
        &[Test(REPLIES, "continue_comes_before_a_switch")],
    ),
];
