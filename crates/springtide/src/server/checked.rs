//! Whether what a server was given fits together, and what its connections begin with.
//! Nothing is bound or started here.

use super::{MakeSession, Server};
use crate::error::Error;
use crate::session::peered::Peered;
use crate::session::{Detecting, Framed, Other, Proxied, Session};

impl Server {
    /// Mounts what was added; whether everything fits.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if self.requires_proxy && !self.routes.proxies.is_any() {
            return Err(Error::NoProxy);
        }
        let routes = &self.routes;
        let ways = [routes.raw.intro.is_some(), routes.framed.is_some(), self.requires_proxy];
        if ways.iter().filter(|is_wanted| **is_wanted).count() > 1 {
            return Err(Error::TwoProtocols);
        }
        if let Some(network) = self.no_network.take() {
            return Err(Error::Network(network));
        }
        if let Some(name) = self.state_twice {
            return Err(Error::StateTwice(name));
        }
        self.routes.absorb(&mut self.root, &mut self.hosts).map_err(Error::Route)?;
        self.settings.session = self.first_session();
        Ok(())
    }

    /// What connections begin with, where that is not HTTP.
    fn first_session(&self) -> Option<MakeSession> {
        let routes = &self.routes;
        let (has_raw, has_frames) = (routes.raw.intro.is_some(), routes.framed.is_some());
        if self.requires_proxy {
            return Some(|room| {
                Session::Other(Other::Proxied(Box::new(Proxied::new(room.now_ms))))
            });
        }
        match (routes.has_http(), has_raw, has_frames) {
            (_, false, false) => None,
            (true, ..) => {
                Some(|room| Session::Other(Other::Detecting(Detecting::new(room.now_ms))))
            }
            (false, true, _) => Some(|room| Session::Other(Other::Peered(Peered::new(room)))),
            (false, ..) => Some(|room| Session::Other(Other::Framed(Box::new(Framed::new(room))))),
        }
    }
}
