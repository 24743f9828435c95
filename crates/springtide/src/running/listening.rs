//! How a shard listens: where its server says, and on what listens already.
//! Nobody is accepted here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use springtide_engine::{Address, Descriptor, Handle, ListenOptions, SocketFile, keep_alive};

use super::Plan;
use crate::error::Error;
use crate::server::Settings;

/// How often a busy address is tried again: the system frees the listener of an io_uring that has
/// just ended some milliseconds after its process.
const LISTEN_TRIES_MAX: u32 = 6;
const LISTEN_TRY_AGAIN: Duration = Duration::from_millis(10);

/// The files of the Unix sockets that the server has made: they go with its last shard.
pub(crate) type SocketFiles = Mutex<Vec<SocketFile>>;

/// The listeners of a shard, and where they listen.
pub(super) fn listen_everywhere(
    engine: &mut dyn Handle,
    plan: &Plan,
) -> Result<(Vec<Descriptor>, Vec<Address>), Error> {
    let limits = &plan.settings.limits;
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for address in &plan.addresses {
        let listener = listen(engine, address, &plan.settings, plan.number > 0)?;
        addresses.push(engine.local_address(listener).unwrap_or_else(|_| address.clone()));
        let mut files = plan.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.extend(engine.socket_file(listener));
        listeners.push(listener);
    }
    for socket in &plan.sockets {
        let own = socket.try_clone().map_err(Error::Socket)?;
        if let Some(silence) = limits.keepalive() {
            keep_alive(&own, silence).map_err(Error::Socket)?;
        }
        let listener = engine.adopt(own).map_err(Error::Engine)?;
        addresses.push(engine.local_address(listener).map_err(Error::Engine)?);
        listeners.push(listener);
    }
    Ok((listeners, addresses))
}

fn listen(
    engine: &mut dyn Handle,
    address: &Address,
    settings: &Settings,
    joining: bool,
) -> Result<Descriptor, Error> {
    let (limits, mode) = (&settings.limits, settings.unix_mode);
    let backlog = i32::try_from(limits.backlog_max).unwrap_or(i32::MAX);
    let options = ListenOptions { address, backlog, joining, keepalive: limits.keepalive(), mode };
    let mut tries = 0;
    loop {
        match engine.listen(&options) {
            Err(error) if error.is_busy_address() && tries < LISTEN_TRIES_MAX => {
                tries += 1;
                let again = engine.now() + LISTEN_TRY_AGAIN * tries;
                let mut nothing = Vec::new();
                engine.turn(Some(again), &mut nothing).map_err(Error::Engine)?;
            }
            Err(error) => return Err(Error::Listen { address: address.clone(), error }),
            Ok(listener) => return Ok(listener),
        }
    }
}
