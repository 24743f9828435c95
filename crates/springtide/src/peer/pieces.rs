//! What can be pushed: one piece of bytes, or several that leave together, each owned or static.
//! Nothing is copied here, and nothing is joined.

use bytes::{Bytes, BytesMut};

use crate::task::{Ended, Operation, Push, PushAll};

/// Bytes to be pushed, and what the task gives back: one piece comes back as [`Bytes`], an array or a
/// vector of them as a vector.
///
/// ```
/// use springtide::{Bytes, Peer, Server};
///
/// let tide = Bytes::from("high tide");
/// let server = Server::new().raw(move |peer: Peer| {
///     let head = format!("{} ", tide.len());
///     peer.push([Bytes::from(head), tide.clone(), "\n".into()]).then(|peer, pieces| {
///         assert_eq!(pieces[1], "high tide");
///         peer.close().detach();
///     });
/// });
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # world.settle();
/// # let mut received = Vec::new();
/// # peer.read(usize::MAX, &mut received);
/// # assert_eq!(received, b"9 high tide\n");
/// ```
#[diagnostic::on_unimplemented(
    message = "these bytes cannot be pushed",
    note = "what is pushed is owned or static: `Vec<u8>`, `String`, `Bytes`, `&'static str`, an array or \
            a vector of such; `bytes.to_vec()` makes a copy"
)]
pub trait Pieces: sealed::Sealed {
    /// What is done with them.
    type Operation: Operation;

    #[doc(hidden)]
    fn into_pushed(self) -> Pushed;
}

mod sealed {
    pub trait Sealed {}
}

/// What was pushed.
#[doc(hidden)]
#[derive(Debug)]
pub enum Pushed {
    One(Bytes),
    All(Vec<Bytes>),
}

impl Pushed {
    pub(crate) const fn pieces(&self) -> &[Bytes] {
        match self {
            Self::One(bytes) => std::slice::from_ref(bytes),
            Self::All(pieces) => pieces.as_slice(),
        }
    }

    /// In bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::All(pieces) => pieces.iter().map(Bytes::len).sum(),
        }
    }

    /// Nobody wants them sent any more.
    pub(crate) fn forget(&mut self) {
        *self = Self::One(Bytes::new());
    }

    /// They have been sent.
    #[inline]
    pub(crate) fn ended(self) -> Ended {
        match self {
            Self::One(bytes) => Ended::Bytes(bytes),
            Self::All(pieces) => Ended::Pieces(pieces),
        }
    }
}

macro_rules! one_piece {
    ($($type:ty),* $(,)?) => {
        $(
            impl sealed::Sealed for $type {}

            impl Pieces for $type {
                type Operation = Push;

                #[inline]
                fn into_pushed(self) -> Pushed {
                    Pushed::One(self.into())
                }
            }
        )*
    };
}

one_piece!(Bytes, BytesMut, Vec<u8>, Box<[u8]>, String, &'static [u8], &'static str);

impl<T: Into<Bytes>, const COUNT: usize> sealed::Sealed for [T; COUNT] {}

impl<T: Into<Bytes>, const COUNT: usize> Pieces for [T; COUNT] {
    type Operation = PushAll;

    fn into_pushed(self) -> Pushed {
        Pushed::All(self.into_iter().map(Into::into).collect())
    }
}

impl sealed::Sealed for Vec<Bytes> {}

impl Pieces for Vec<Bytes> {
    type Operation = PushAll;

    fn into_pushed(self) -> Pushed {
        Pushed::All(self)
    }
}
