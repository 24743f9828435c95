//! One port for HTTP and another protocol: how a server tells which of them a connection speaks.
//! It only collects; sessions ask it.

use std::fmt;
use std::time::Duration;

use springtide_proto::detect::Detector;

use crate::route::Routes;
use crate::server::{MakeSession, Server};
use crate::session::peered::Peered;
use crate::session::{Detecting, Framed, Other, Proxied, Session};

/// How connections are told apart on a server that has routes and [`raw`](Server::raw) connections or
/// [`frames`](Server::framed) as well. Where nothing is said, HTTP is what begins with a method in
/// capitals, a space and the beginning of a target (`GET /`), and all else is the other protocol. Where
/// it is said how that begins, everything else is HTTP, and answered as such when it is none.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Detection, Peer, Server};
///
/// let server = Server::new()
///     .get("/", || "tide")
///     .raw(|peer: Peer| peer.pull_until("\n", 1024).then(|peer, _| peer.close().detach()))
///     .detection(Detection::new().prefix("TIDE ").when(|bytes| Some(bytes[0] == 0)));
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().body(), b"tide");
/// ```
#[derive(Default)]
pub struct Detection {
    pub(crate) detector: Detector,
    pub(crate) silence_ms: Option<u64>,
}

impl Detection {
    /// Nothing said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The other protocol begins with these bytes, or with others that were said. Of more than 24 the
    /// first count.
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.detector.add_prefix(prefix.as_ref());
        self
    }

    /// The other protocol begins with what `begins` says yes to: it is asked with the first bytes, one to
    /// 24 of them, and again with more while it says nothing. It must not panic.
    #[must_use]
    pub fn when(mut self, begins: impl Fn(&[u8]) -> Option<bool> + Send + Sync + 'static) -> Self {
        self.detector.set_predicate(begins);
        self
    }

    /// A connection on which nothing has come for so long is one of the other protocol: for one whose
    /// server speaks first. Each of its clients waits for that, so it should be short; a client of HTTP
    /// that opens connections ahead is greeted in its words, too.
    #[must_use]
    pub fn silence(mut self, time: Duration) -> Self {
        self.silence_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

impl fmt::Debug for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detection")
            .field("detector", &self.detector)
            .field("silence_ms", &self.silence_ms)
            .finish()
    }
}

impl Server {
    /// How connections of HTTP and those of another protocol are told apart, on a server that has both.
    /// The application hears of one when its protocol is known. A peer whose first bytes do not come
    /// within the time of a request's head is closed without a word.
    ///
    /// A server with one of them only looks at nothing: it may speak first.
    #[must_use]
    pub fn detection(mut self, detection: Detection) -> Self {
        self.routes.detection = detection;
        self
    }
}

impl Routes {
    /// What connections begin with, where that is not HTTP.
    pub(crate) fn first_session(&self, requires_proxy: bool) -> Option<MakeSession> {
        if requires_proxy {
            return Some(|room| {
                Session::Other(Other::Proxied(Box::new(Proxied::new(room.now_ms))))
            });
        }
        match (self.has_http(), self.raw.intro.is_some(), self.framed.is_some()) {
            (_, false, false) => None,
            (true, ..) => {
                Some(|room| Session::Other(Other::Detecting(Detecting::new(room.now_ms))))
            }
            (false, true, _) => Some(|room| Session::Other(Other::Peered(Peered::new(room)))),
            (false, ..) => Some(|room| Session::Other(Other::Framed(Box::new(Framed::new(room))))),
        }
    }
}
