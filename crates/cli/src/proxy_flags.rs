//! The flags that say which proxies stand in front, and what they write.
//! Whether an address is a network is found out when the server listens.

use clap::{Args, ValueEnum};
use springtide::{ProxyFields, ProxyProtocol, Server};

#[derive(Debug, Args)]
pub(crate) struct ProxyFlags {
    /// Proxies whose word counts for who the client is, in the access log and the limits of an
    /// address: a network (192.0.2.0/24), an address, or unix; see docs/behind-a-proxy.md. May be
    /// given several times
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    trusted_proxies: Vec<String>,

    /// Which fields they write
    #[arg(long, value_enum, value_name = "FIELDS", default_value_t = FieldsName::XForwarded)]
    proxy_fields: FieldsName,

    /// Every connection begins with the header of a trusted proxy, version 1 or 2 of the PROXY
    /// protocol; others are closed
    #[arg(long)]
    proxy_protocol: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FieldsName {
    /// X-Forwarded-For and its like
    XForwarded,
    /// Forwarded (RFC 7239)
    Forwarded,
}

impl From<FieldsName> for ProxyFields {
    fn from(name: FieldsName) -> Self {
        match name {
            FieldsName::XForwarded => Self::XForwarded,
            FieldsName::Forwarded => Self::Forwarded,
        }
    }
}

impl ProxyFlags {
    /// The server behind these proxies.
    pub(crate) fn put_in_front(&self, server: Server) -> Server {
        let protocol = match self.proxy_protocol {
            true => ProxyProtocol::Required,
            false => ProxyProtocol::Off,
        };
        let server = server.trusted_proxies(&self.trusted_proxies);
        server.proxy_fields(self.proxy_fields.into()).proxy_protocol(protocol)
    }
}
