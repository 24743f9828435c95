//! Somebody outside a stage who sends and receives datagrams.
//! He never waits.

use std::net::{SocketAddr, UdpSocket};

use springtide_engine::Address;
use springtide_engine::simulated::{self, World};

/// Somebody who sends and receives datagrams.
pub(crate) enum Correspondent {
    Simulated(simulated::Correspondent),
    Udp(UdpSocket),
}

impl Correspondent {
    /// In a world, or on the system's loopback.
    pub(super) fn of(world: Option<&World>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        match world {
            Some(world) => Self::Simulated(world.bind(any).unwrap()),
            None => {
                let socket = UdpSocket::bind(any).unwrap();
                socket.set_nonblocking(true).unwrap();
                Self::Udp(socket)
            }
        }
    }

    pub(crate) fn send_to(&self, bytes: &[u8], to: SocketAddr) {
        match self {
            Self::Simulated(own) => own.send_to(bytes, to),
            Self::Udp(socket) => assert_eq!(socket.send_to(bytes, to).unwrap(), bytes.len()),
        }
    }

    /// What has come, and from where.
    pub(crate) fn receive(&self) -> Option<(Vec<u8>, SocketAddr)> {
        match self {
            Self::Simulated(own) => own.receive_from().map(|came| (came.bytes, came.address)),
            Self::Udp(socket) => {
                let mut buffer = vec![0; 65_536];
                let (count, from) = socket.recv_from(&mut buffer).ok()?;
                buffer.truncate(count);
                Some((buffer, from))
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap(),
            Self::Simulated(own) => match own.address() {
                Address::Internet(address) => address,
                Address::Unix(_) => panic!("it has an address of UDP"),
            },
        }
    }
}
