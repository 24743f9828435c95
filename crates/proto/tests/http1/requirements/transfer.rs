//! RFC 9112 §7 to §9, sentence by sentence. Bytes and what comes of them; no code.

use super::Given::{Full, Nothing};
use super::Shown::{Not, Says, Sends, Test};
use super::{Requirement, asks, none};

const SERVED: &str = "GET / 1.1 host=a";
const EXCHANGES: &str = "crates/springtide/src/tests/exchanges.rs";
const TIME: &str = "crates/springtide/src/tests/time.rs";
const REPLIES: &str = "crates/proto/tests/http1/replies.rs";
const BODIES: &str = "crates/proto/tests/http1/bodies.rs";
const LIMITS: &str = "crates/proto/tests/http1/limits.rs";
const ORDER: &str = "crates/proto/tests/http1/order.rs";
const DEADLINES: &str = "crates/proto/tests/http1/deadlines.rs";

pub(super) const REQUIREMENTS: &[Requirement] = &[
    none("9112 7", "what a transfer coding is; names compare without case, see 6.1"),
    asks(
        "9112 7.1",
        "chunked bodies are decoded, and no size overflows",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00A\r\n0123456789\r\n00\r\n\r\n",
                "POST / 1.1 host=a chunked\nbody 0123456789",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                "POST / 1.1 host=a chunked\nrefused 413 BodyTooLong",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Chunk",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Chunk",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Chunk",
            ),
        ],
    ),
    asks(
        "9112 7.1",
        "chunked has no parameters; with one it is an error",
        &[Says(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
            "refused 400 TransferEncodingInvalid",
        )],
    ),
    asks(
        "9112 7.1.1",
        "extensions that are not known are ignored, within a limit of their own",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\"y;z\"\r\na\r\n0;end\r\n\r\n",
                "POST / 1.1 host=a chunked\nbody a",
            ),
            Test(BODIES, "chunk_extensions_and_trailers_are_bounded"),
        ],
    ),
    asks(
        "9112 7.1.1",
        "blanks around an extension's semicolon are read over (RFC 9110 §5.6.3), and nowhere else",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \t; x = y\r\na\r\n0 ;z\r\n\r\n",
                "POST / 1.1 host=a chunked\nbody a",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Chunk",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 0\r\na\r\n0\r\n\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Chunk",
            ),
        ],
    ),
    asks(
        "9112 7.1.2",
        "trailer fields are kept apart or dropped; none of them becomes a field of the head",
        &[
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "POST / 1.1 host=a chunked\nbody \ntrailer X-A=b\nGET / 1.1 host=a",
            ),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n",
                "POST / 1.1 host=a chunked\nrefused 400 Trailer",
            ),
        ],
    ),
    asks(
        "9112 7.1.3",
        "how chunks are joined",
        &[Says(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            "POST / 1.1 host=a chunked\nbody abc",
        )],
    ),
    asks(
        "9112 7.2",
        "codings that compress a message",
        &[
            Not("none is known here: content is coded instead (RFC 9110 §8.4)"),
            Says(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x-gzip, chunked\r\n\r\n",
                "refused 501 TransferEncodingUnknown",
            ),
        ],
    ),
    none("9112 7.3", "a registry"),
    asks(
        "9112 7.4",
        "TE offers codings and trailers, and trailers are sent to who asked for them",
        &[
            Not(
                "no reply has a coding but chunked, which every client takes, or trailers that matter",
            ),
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, deflate;q=0.5\r\nConnection: TE\r\n\r\n",
                SERVED,
            ),
        ],
    ),
    asks(
        "9112 8",
        "a request that is cut is not taken for a whole one; a reply that is cut is seen to be",
        &[
            Test(DEADLINES, "the_stream_ends_between_requests_or_within_one"),
            Test(ORDER, "a_body_that_cannot_be_completed_cuts_the_connection"),
        ],
    ),
    none("9112 9", "a connection is a byte stream in order"),
    none("9112 9.1", "asks clients only"),
    asks(
        "9112 9.2",
        "replies go by their order alone",
        &[Test(ORDER, "every_order_of_five_leaves_in_one")],
    ),
    asks(
        "9112 9.3",
        "HTTP/1.1 persists unless close is said; HTTP/1.0 ends unless keep-alive is",
        &[
            Says(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET / 1.1 host=a close\nclosed",
            ),
            Says("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", "GET / 1.0 close\nclosed"),
            Says(
                "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
                "GET / 1.0\nGET / 1.0 close\nclosed",
            ),
            Sends(
                "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                200,
                Full("ab"),
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 2\r\nConnection: keep-alive\r\n\r\nab",
            ),
        ],
    ),
    asks(
        "9112 9.3",
        "the whole body of a request is read, or the connection ends behind the reply",
        &[Test(BODIES, "an_unwanted_body_never_becomes_a_request")],
    ),
    asks(
        "9112 9.3",
        "every message of a connection that persists has a length of its own",
        &[
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                404,
                Nothing,
                "HTTP/1.1 404 Not Found\r\n{D}Content-Length: 0\r\n\r\n",
            ),
            Test(REPLIES, "the_framing_of_every_kind_of_body"),
        ],
    ),
    none("9112 9.3.1", "asks clients and proxies only"),
    asks(
        "9112 9.3.2",
        "replies to pipelined requests leave in the order of the requests",
        &[
            Test(ORDER, "every_order_of_five_leaves_in_one"),
            Test(EXCHANGES, "pipelined_replies_keep_their_order"),
        ],
    ),
    none("9112 9.4", "advice to clients"),
    asks(
        "9112 9.5",
        "an idle or slow connection may be ended, and its end is seen in time",
        &[Test(TIME, "an_idle_connection_is_closed"), Test(TIME, "a_slow_head_is_refused")],
    ),
    asks(
        "9112 9.6",
        "behind a request that says close nothing is handled, and the reply says close",
        &[
            Sends(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                200,
                Full("ab"),
                "HTTP/1.1 200 OK\r\n{D}Content-Length: 2\r\nConnection: close\r\n\r\nab",
            ),
            Test(LIMITS, "requests_on_one_connection"),
        ],
    ),
    asks(
        "9112 9.6",
        "a server that ends a connection goes on reading for a while, so that its reply is not lost",
        &[Test(TIME, "lingering_ends"), Test(TIME, "who_is_done_is_not_waited_for")],
    ),
    asks("9112 9.7", "how TLS is begun", &[Not("there is no TLS yet: `transport.rs` is its seam")]),
    asks("9112 9.8", "how TLS is ended", &[Not("there is no TLS yet: `transport.rs` is its seam")]),
];
