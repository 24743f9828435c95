//! The verbs that servers and routers have in common.
//! They only collect; nothing is checked here.

/// Writes the verbs into an `impl` of a type that has `fn root(&mut self) -> &mut Router`.
macro_rules! verbs {
    () => {
        /// Answers `GET` (and `HEAD`) on a path: `/users/{id}` has a parameter, `/docs/{*rest}`
        /// takes everything behind.
        #[must_use]
        pub fn get<Kind>(self, pattern: &str, handler: impl crate::Handler<Kind>) -> Self {
            self.route(http::Method::GET, pattern, handler)
        }

        /// Answers `POST` on a path.
        #[must_use]
        pub fn post<Kind>(self, pattern: &str, handler: impl crate::Handler<Kind>) -> Self {
            self.route(http::Method::POST, pattern, handler)
        }

        /// Answers `PUT` on a path.
        #[must_use]
        pub fn put<Kind>(self, pattern: &str, handler: impl crate::Handler<Kind>) -> Self {
            self.route(http::Method::PUT, pattern, handler)
        }

        /// Answers `PATCH` on a path.
        #[must_use]
        pub fn patch<Kind>(self, pattern: &str, handler: impl crate::Handler<Kind>) -> Self {
            self.route(http::Method::PATCH, pattern, handler)
        }

        /// Answers `DELETE` on a path.
        #[must_use]
        pub fn delete<Kind>(self, pattern: &str, handler: impl crate::Handler<Kind>) -> Self {
            self.route(http::Method::DELETE, pattern, handler)
        }

        /// Answers any one method on a path.
        #[must_use]
        pub fn route<Kind>(
            mut self,
            method: http::Method,
            pattern: &str,
            handler: impl crate::Handler<Kind>,
        ) -> Self {
            self.root().add(Some(method), pattern, handler);
            self
        }

        /// Answers every method on a path that has no handler of its own.
        #[must_use]
        pub fn any<Kind>(mut self, pattern: &str, handler: impl crate::Handler<Kind>) -> Self {
            self.root().add(None, pattern, handler);
            self
        }

        /// Opens WebSockets on a path (RFC 6455): a [`WebSocket`](crate::WebSocket) handles the
        /// messages of all its connections, and [`WebSockets`](crate::WebSockets) says more.
        /// [`Request::websocket`](crate::Request::websocket) does the same in a handler that looks at
        /// the request first.
        ///
        /// ```
        /// use springtide::{Message, Server, Socket};
        ///
        /// let server = Server::new()
        ///     .websocket("/echo", |socket: Socket, message: Message| socket.send(message));
        /// ```
        #[must_use]
        pub fn websocket(self, pattern: &str, sockets: impl Into<crate::WebSockets>) -> Self {
            let sockets = sockets.into();
            self.get(pattern, move |request: crate::Request| request.websocket(sockets.clone()))
        }

        /// Answers what no route matches: of a nested router, what lies beneath its path. One
        /// without a fallback has that of the router around it.
        #[must_use]
        pub fn fallback<Kind>(mut self, handler: impl crate::Handler<Kind>) -> Self {
            self.root().fallback = Some(handler.into_any());
            self
        }

        /// Serves the files of a directory beneath a path, where no handler answers. A path is
        /// enough; [`Files`](crate::Files) says more.
        #[must_use]
        pub fn files(mut self, prefix: &str, files: impl Into<crate::Files>) -> Self {
            let (prefix, files) = (prefix.to_owned(), files.into());
            self.root().entries.push(crate::router::Entry::Files { prefix, files });
            self
        }

        /// Mounts a router beneath a path: its `/users` is `/api/users` beneath `/api`, and its `/`
        /// is `/api` itself. The path may have parameters (`/users/{user}`), which the router's
        /// handlers read as their own.
        #[must_use]
        pub fn nest(mut self, prefix: &str, router: crate::Router) -> Self {
            let prefix = prefix.to_owned();
            self.root().entries.push(crate::router::Entry::Nest { prefix, router });
            self
        }

        /// Puts something around everything of this router, and of the routers nested in it: a
        /// [`Middleware`](crate::Middleware), or a function; see [`Wrap`](crate::Wrap). The first
        /// one named is the outermost. What the server itself has stands around all hosts. It is to be
        /// named before `listen`.
        #[must_use]
        pub fn wrap<Kind>(mut self, wrap: impl crate::Wrap<Kind>) -> Self {
            self.root().wraps.push(wrap.into_any());
            self
        }

        /// Says errors that the server answers by itself beneath this router in the application's
        /// words: `404`, `405`, `413`, `421`, `500` after a panic, `503` without room, and what files
        /// are refused with; not what handlers and middleware answer. The router nested deepest
        /// decides. A page of status 200 gets that of the error, and the fields that belong to it,
        /// such as `Allow`.
        ///
        /// Without an error page such an error is HTML or problem details (RFC 9457) for clients
        /// whose `Accept` prefers `text/html`, or `application/json` or `application/problem+json`,
        /// and text for all others. What is no request yet (most `400`, `431`) is always text.
        ///
        /// ```
        /// use springtide::{Response, Server, ServerError};
        ///
        /// let server = Server::new().error_page(|error: &ServerError| match error.prefers_html() {
        ///     true => Response::html(format!("<h1>Low tide</h1><p>{}</p>", error.status())),
        ///     false => error.default_reply(),
        /// });
        /// # let mut world = springtide::test::World::new(1);
        /// # world.serve(server);
        /// # let mut peer = world.connect();
        /// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
        /// # world.settle();
        /// # let reply = peer.reply().unwrap();
        /// # assert_eq!((reply.status().as_u16(), &reply.body()[..17]), (404, &b"<h1>Low tide</h1>"[..]));
        /// ```
        #[must_use]
        pub fn error_page<R: crate::IntoResponse>(
            self,
            page: impl Fn(&crate::ServerError) -> R + Send + Sync + 'static,
        ) -> Self {
            self.wrap(crate::problem::ErrorPage::new(page))
        }
    };
}

pub(crate) use verbs;
