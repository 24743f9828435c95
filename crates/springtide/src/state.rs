//! Values of the application that its handlers ask for by type.
//! A value is one for all shards, or made by each shard for itself.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;

use crate::executor::apart;
use crate::request::Request;

/// Values that all shards share, and how each makes its own.
#[derive(Default)]
pub(crate) struct States {
    shared: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    makers: HashMap<TypeId, Box<dyn Fn() -> Box<dyn Any> + Send + Sync>>,
    /// The runtime beside the shards.
    #[cfg(feature = "tokio")]
    pub(crate) side: crate::on_tokio::Side,
}

/// The values of one shard.
#[derive(Default)]
pub(crate) struct ShardStates {
    own: HashMap<TypeId, Box<dyn Any>>,
}

impl States {
    /// Keeps a value; false when there is one of its type.
    pub(crate) fn add<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        self.shared.insert(TypeId::of::<T>(), Box::new(value)).is_none()
    }

    /// Keeps what makes each shard its own; false when there is one for its type.
    pub(crate) fn add_maker<T: 'static>(
        &mut self,
        make: impl Fn() -> T + Send + Sync + 'static,
    ) -> bool {
        let make = move || -> Box<dyn Any> { Box::new(make()) };
        self.makers.insert(TypeId::of::<T>(), Box::new(make)).is_none()
    }

    /// What a shard has from its start: a maker that panics ends the start.
    pub(crate) fn make(&self) -> ShardStates {
        let own = self.makers.iter().map(|(kind, make)| (*kind, make())).collect();
        ShardStates { own }
    }

    /// The same for a shard that goes on over another engine, maybe in another thread: what panics then
    /// is missing, and ends nothing but the requests that ask for it.
    pub(crate) fn make_again(&self) -> ShardStates {
        let made = self.makers.iter().map(|(kind, make)| Some((*kind, apart(make)?)));
        let own: HashMap<_, _> = made.flatten().collect();
        let missing = self.makers.len() - own.len();
        if missing > 0 {
            crate::report::error(format_args!(
                "a shard goes on without {missing} of its states: what makes them panicked"
            ));
        }
        ShardStates { own }
    }
}

impl Request {
    /// The value of this type that was given to [`Server::state`](crate::Server::state).
    ///
    /// # Panics
    /// When none was: the request is then answered with a 500, and standard error says which type it
    /// is.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> &T {
        let value = self.states().shared.get(&TypeId::of::<T>());
        let value = value.and_then(|value| value.downcast_ref());
        value.unwrap_or_else(|| missing::<T>("state(value)"))
    }

    /// The value of this type that this shard has made with what was given to
    /// [`Server::with_shard_state`](crate::Server::with_shard_state).
    ///
    /// # Panics
    /// When none was, or the handler runs on the pool, which has no shard: the request is then
    /// answered with a 500, and standard error says which type it is.
    #[must_use]
    pub fn shard_state<T: 'static>(&self) -> &T {
        let Some(states) = self.shard_states() else {
            let name = type_name::<T>();
            panic!("the state {name} belongs to a shard, and this handler runs on the pool");
        };
        let value = states.own.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref());
        value.unwrap_or_else(|| missing::<T>("with_shard_state(|| value)"))
    }
}

#[cold]
fn missing<T>(verb: &str) -> ! {
    panic!("the server has no state of the type {}: give it one with `.{verb}`", type_name::<T>())
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared, makers, .. } = self;
        f.debug_struct("States")
            .field("shared", &shared.len())
            .field("makers", &makers.len())
            .finish()
    }
}
