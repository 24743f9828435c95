//! Clients and listeners that need no server: connections to others and from them for any thread, on the
//! shard where they are made, or on one in the background.
//! It touches no socket: what is asked is done by a shard.

mod background;
mod calls;
mod client;
mod connector;
mod listener;
mod lobby;
mod reconnect;

pub(crate) use background::Background;
pub use calls::FramedClient;
pub use client::Client;
pub use connector::Connector;
pub use listener::Listener;
pub(crate) use lobby::{Came, Lobbies, Lobby, LobbyAsk, Waiting};
pub use reconnect::{Reconnect, SteadyClient};
