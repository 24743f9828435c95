//! RFC 9110 §8 and §9, sentence by sentence. Bytes and what comes of them; no code.

use super::Given::{Full, Nothing};
use super::Shown::{Not, Says, Sends, Test};
use super::{Requirement, asks, none};

const CONDITION: &str = "crates/springtide/src/files/condition.rs";
const ENCODED: &str = "crates/springtide/src/files/tests/encoded.rs";
const NAMES: &str = "crates/springtide/src/files/tests/names.rs";
const MEMORY: &str = "crates/springtide/src/files/tests/memory.rs";
const EXCHANGES: &str = "crates/springtide/src/tests/exchanges.rs";
const ROUTE: &str = "crates/springtide/src/route/tests.rs";
const REPLIES: &str = "crates/proto/tests/http1/replies.rs";
const APPLICATION: &str = "what a handler sends is the application's own";

pub(super) const REQUIREMENTS: &[Requirement] = &[
    none("9110 8", "the section holds others"),
    none("9110 8.1", "what representation data is"),
    none("9110 8.2", "what representation metadata is"),
    asks(
        "9110 8.3",
        "content has a type when it is known; the type is one value",
        &[Test(REPLIES, "the_order_of_fields"), Test(NAMES, "fields_of_a_reply")],
    ),
    none("9110 8.3.1", "the grammar of media types"),
    none("9110 8.3.2", "the names of charsets"),
    asks(
        "9110 8.3.3",
        "parts of a multipart message end their lines with CR LF",
        &[Test("crates/springtide/src/files/tests/ranges.rs", "several_parts")],
    ),
    asks(
        "9110 8.4",
        "codings of content are named in their order",
        &[Test(ENCODED, "the_form_that_a_client_takes")],
    ),
    none("9110 8.4.1", "names of codings compare without case"),
    asks("9110 8.4.1.1", "x-compress is compress", &[Not("no file in that coding is served")]),
    none("9110 8.4.1.2", "what deflate is"),
    asks(
        "9110 8.4.1.3",
        "x-gzip is gzip to a recipient",
        &[Not("a SHOULD; Accept-Encoding with x-gzip gets the plain file, which is always right")],
    ),
    none("9110 8.5", "asks nothing of a server without languages"),
    none("9110 8.5.1", "the grammar of language tags"),
    asks(
        "9110 8.6",
        "Content-Length is decimal digits, and one that is not is refused",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n",
                "refused 400 ContentLengthInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \u{661}\r\n\r\n",
                "refused 400 ContentLengthInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 36893488147419103232\r\n\r\n",
                "refused 400 ContentLengthInvalid",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0000000000000000000000000001\r\n\r\nx",
                "POST / 1.1 host=a sized=1\nbody x",
            ),
        ],
    ),
    asks(
        "9110 8.6",
        "no Content-Length with 1xx or 204; to HEAD and with 304 that of GET or none",
        &[
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                204,
                Nothing,
                "HTTP/1.1 204 No Content\r\n{D}\r\n",
            ),
            Sends(
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Full("abc"),
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 3\r\n\r\n",
            ),
            Sends(
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                304,
                Full("abc"),
                "HTTP/1.1 304 Not Modified\r\n{D}\r\n",
            ),
            Test(MEMORY, "parts_and_heads"),
        ],
    ),
    asks(
        "9110 8.6",
        "a length that is known to be wrong is not sent",
        &[
            Test(REPLIES, "a_callers_field_replaces_or_is_left_out"),
            Test("crates/proto/tests/http1/order.rs", "a_sized_body_keeps_its_length"),
        ],
    ),
    asks("9110 8.7", "Content-Location of a request changes nothing", &[Not(APPLICATION)]),
    none("9110 8.8", "what validators are"),
    asks(
        "9110 8.8.1",
        "a strong validator changes with every change that can be seen",
        &[
            Test(MEMORY, "a_change_meanwhile_never_mixes_versions"),
            Test(MEMORY, "changes_are_seen"),
        ],
    ),
    asks("9110 8.8.2", "Last-Modified is a date", &[Test(NAMES, "fields_of_a_reply")]),
    asks(
        "9110 8.8.2.1",
        "no Last-Modified is later than Date",
        &[Test("crates/springtide/src/files/representation.rs", "odd_times_of_modification")],
    ),
    asks(
        "9110 8.8.2.2",
        "a date is a strong validator only when the file has rested since",
        &[Test(CONDITION, "dates_that_are_not_to_be_believed")],
    ),
    asks(
        "9110 8.8.3",
        "ETag is one tag between quotes",
        &[Test(CONDITION, "lists_of_entity_tags")],
    ),
    asks(
        "9110 8.8.3.1",
        "a tag is strong only when it has the qualities of a strong validator",
        &[Test(MEMORY, "what_was_written_just_now_is_read_again")],
    ),
    asks(
        "9110 8.8.3.2",
        "tags compare strongly or weakly, as each field asks",
        &[Test(CONDITION, "lists_of_entity_tags")],
    ),
    asks(
        "9110 8.8.3.3",
        "forms in different codings have different tags",
        &[Test(ENCODED, "conditions_and_ranges_are_of_the_form")],
    ),
    none("9110 9", "the section holds others"),
    asks(
        "9110 9.1",
        "GET and HEAD are supported; a method that is not allowed gets 405, one unknown 501 or 405",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET / 1.1 host=a\nHEAD / 1.1 host=a",
            ),
            Test(ROUTE, "requests_find_their_endpoints"),
            Test(EXCHANGES, "requests_are_answered"),
        ],
    ),
    none("9110 9.2", "the section holds others"),
    asks("9110 9.2.1", "safe methods do nothing that was not asked for", &[Not(APPLICATION)]),
    asks(
        "9110 9.2.2",
        "idempotent requests may be sent again",
        &[Not("asks clients and proxies only")],
    ),
    none("9110 9.2.3", "which replies caches keep"),
    none("9110 9.3", "the section holds others"),
    asks(
        "9110 9.3.1",
        "content of a GET has no meaning, but its framing is read",
        &[Says(
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGETGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / 1.1 host=a sized=3\nbody GET\nGET / 1.1 host=a",
        )],
    ),
    asks(
        "9110 9.3.2",
        "a reply to HEAD has the fields of GET and no content",
        &[
            Sends(
                "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Full("ab"),
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\n{D}Content-Length: 2\r\n\r\nab",
            ),
            Test(MEMORY, "parts_and_heads"),
        ],
    ),
    asks("9110 9.3.3", "POST is handled by the resource's own rules", &[Not(APPLICATION)]),
    asks("9110 9.3.4", "PUT tells what it made, and 201 when it is new", &[Not(APPLICATION)]),
    asks("9110 9.3.5", "DELETE takes a resource away", &[Not(APPLICATION)]),
    asks(
        "9110 9.3.6",
        "CONNECT with a target that is no authority and port gets 400; no reply of 2xx has a length",
        &[
            Says("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "refused 501 Connect"),
            Not("CONNECT is refused with 501 whatever its target is: this is no proxy"),
        ],
    ),
    asks(
        "9110 9.3.7",
        "OPTIONS tells what a resource allows",
        &[Test(ROUTE, "requests_find_their_endpoints"), Test(EXCHANGES, "requests_are_answered")],
    ),
    asks(
        "9110 9.3.8",
        "TRACE has no content and gives none of the client's secrets away",
        &[
            Says("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE / 1.1 host=a"),
            Not("TRACE has no handler unless the application makes one: 405"),
        ],
    ),
];
