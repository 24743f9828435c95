//! Server-sent events (HTML standard, §9.2): a stream of small texts that a browser listens to.
//! An event is written whole or not at all, and none can smuggle in another.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use springtide_proto::http1::MediaType;

use super::stream::Pipe;
use super::{Failure, Response, Sink, StreamError};
use crate::executor::sleep;

const EVENTS: MediaType<'_> = MediaType::new("text/event-stream");

/// After so much silence a comment is sent: proxies close what is silent for longer, and a client
/// that has vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl Response {
    /// A stream of events, as `EventSource` in browsers reads it. `producer` is as that of
    /// [`Response::stream`] and ends with its client; when it ends itself, the browser comes again,
    /// with the last id it has heard in the field `Last-Event-ID`. While nothing is sent for 15
    /// seconds, a comment is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use springtide::{Event, Request, Response, Server, sleep};
    ///
    /// let server = Server::new().get("/tides", |request: Request| {
    ///     let heard = request.header("last-event-id").and_then(|id| id.parse().ok());
    ///     Response::events(async move |mut events| {
    ///         for number in heard.map_or(0, |heard: u64| heard + 1).. {
    ///             let event = Event::new(format!("{number} fathoms"));
    ///             events.send(event.name("depth").id(number)).await?;
    ///             sleep(Duration::from_secs(1)).await;
    ///         }
    ///         Ok(())
    ///     })
    /// });
    /// ```
    pub fn events<F>(producer: F) -> Self
    where
        F: AsyncFnOnce(EventStream) -> Result<(), Failure> + Send + 'static,
    {
        let response = Self::stream(async move |sink| {
            let (pipe, is_quiet) = (Rc::clone(&sink.pipe), Rc::new(Cell::new(true)));
            let events = EventStream { sink, is_quiet: Rc::clone(&is_quiet) };
            kept_alive(&pipe, &is_quiet, producer(events)).await
        });
        response.with_media_type(EVENTS).header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
    }
}

/// Runs a producer, and says something where it does not.
async fn kept_alive(
    pipe: &Pipe,
    is_quiet: &Cell<bool>,
    producer: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut producer = pin!(producer);
    let mut silence = sleep(KEEP_ALIVE);
    poll_fn(|context| {
        if let Poll::Ready(result) = producer.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        while Pin::new(&mut silence).poll(context).is_ready() {
            // A client that is behind has bytes to read anyway.
            if is_quiet.replace(true) && pipe.has_credit() {
                pipe.put(Bytes::from_static(b":\n\n"))?;
            }
            silence = sleep(KEEP_ALIVE);
        }
        Poll::Pending
    })
    .await
}

/// Where a producer puts its events; see [`Response::events`]. It stays on the shard.
pub struct EventStream {
    sink: Sink,
    /// Nothing was sent since the last keep-alive was due.
    is_quiet: Rc<Cell<bool>>,
}

impl EventStream {
    /// Sends an event; a text is the data of one without name and id. It waits while the client is
    /// behind, as [`Sink::send`] does.
    ///
    /// # Errors
    /// [`StreamError::Event`]: a name or an id has a line end, or an id a NUL. Nothing was sent, and
    /// the stream can go on.
    pub async fn send(&mut self, event: impl Into<Event>) -> Result<(), StreamError> {
        let text = event.into().written()?;
        self.is_quiet.set(false);
        self.sink.send(text).await
    }

    /// Sends a comment, which clients overlook.
    ///
    /// # Errors
    /// None but those of [`Sink::send`].
    pub async fn comment(&mut self, text: &str) -> Result<(), StreamError> {
        let mut written = String::with_capacity(text.len() + 4);
        write_lines(":", text, &mut written);
        written.push('\n');
        self.is_quiet.set(false);
        self.sink.send(written).await
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    data: String,
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
}

impl Event {
    /// An event with this text, which may have any number of lines. Line ends arrive as `\n`.
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// The same with a name; without one it is `message` to browsers.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with an id, by which a client that comes again tells what it has heard.
    #[must_use]
    pub fn id(mut self, id: impl ToString) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// Tells the client, besides, after how long to come again when the connection is lost; to the
    /// millisecond.
    #[must_use]
    pub const fn retry(mut self, after: Duration) -> Self {
        self.retry = Some(after);
        self
    }

    fn written(&self) -> Result<String, StreamError> {
        let is_broken = |text: &str| text.contains(['\r', '\n', '\0']);
        if self.name.as_deref().is_some_and(is_broken) || self.id.as_deref().is_some_and(is_broken)
        {
            return Err(StreamError::Event);
        }
        let mut written = String::with_capacity(self.data.len() + 64);
        let fields = [("event", &self.name), ("id", &self.id)];
        for (field, value) in fields {
            if let Some(value) = value {
                written.extend([field, ": ", value, "\n"]);
            }
        }
        if let Some(after) = self.retry {
            let _ = writeln!(written, "retry: {}", after.as_millis());
        }
        write_lines("data:", &self.data, &mut written);
        written.push('\n');
        Ok(written)
    }
}

impl<T: Into<String>> From<T> for Event {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// Writes each line of a text behind `prefix`. A line ends with CR, LF or both.
fn write_lines(prefix: &str, text: &str, written: &mut String) {
    let mut rest = Some(text);
    while let Some(text) = rest {
        let end = text.find(['\r', '\n']);
        let line = &text[..end.unwrap_or(text.len())];
        rest = end.map(|end| {
            let behind = &text[end..];
            behind.strip_prefix("\r\n").unwrap_or_else(|| &behind[1..])
        });
        written.extend([prefix, " ", line, "\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_on_the_wire() {
        let after = Duration::from_millis(2500);
        for (event, expected) in [
            (Event::new("tide"), "data: tide\n\n"),
            (Event::new(""), "data: \n\n"),
            (Event::new("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
            (Event::new("a\n\nid: 7\n"), "data: a\ndata: \ndata: id: 7\ndata: \n\n"),
            (
                Event::new("x").retry(after).id(7).name("depth"),
                "event: depth\nid: 7\nretry: 2500\ndata: x\n\n",
            ),
        ] {
            assert_eq!(event.written().as_deref(), Ok(expected));
        }
        for event in ["a\nb", "a\r", "\0"] {
            assert_eq!(Event::new("x").name(event).written(), Err(StreamError::Event));
            assert_eq!(Event::new("x").id(event).written(), Err(StreamError::Event));
        }
    }
}
