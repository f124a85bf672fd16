//! The sockets a node listens on, bound before anything else so that a taken port stops the start
//! at once, and the address that clients are told.

use crate::start::StartError;
use broker::Settings;
use broker::settings::{HostPort, Listener};
use meta::{Endpoint, NodeInfo};
use std::net::{TcpListener, ToSocketAddrs};

/// The bound sockets.
pub struct Sockets {
    /// For Kafka clients, as the settings list them.
    pub kafka: Vec<TcpListener>,
    /// For health and metrics.
    pub http: Option<TcpListener>,
    /// For other nodes.
    pub peer: Option<TcpListener>,
}

impl Sockets {
    /// Binds everything.
    pub fn bind(settings: &Settings) -> Result<Sockets, StartError> {
        let kafka: Result<Vec<TcpListener>, StartError> = settings
            .listeners
            .iter()
            .map(|listener| bind(&listener.bind))
            .collect();
        let http = settings.http.as_ref().map(bind).transpose()?;
        let peer = settings.peer_listener.as_ref();
        Ok(Sockets {
            kafka: kafka?,
            http,
            peer: peer.map(bind).transpose()?,
        })
    }

    /// Where the first listener for clients listens.
    pub fn kafka_address(&self) -> String {
        address(self.kafka.first())
    }

    /// Where other nodes are told to connect to: this node's place in `peers`, else where it
    /// listens; none if it listens to none.
    pub fn peer_address(&self, settings: &Settings) -> Option<String> {
        let listener = self.peer.as_ref()?;
        let listed = settings
            .peers
            .iter()
            .find(|peer| peer.node == settings.node);
        let told = match listed {
            Some(peer) => peer.address.clone(),
            None => settings.peer_listener.clone()?,
        };
        let port = match told.port {
            0 => listener.local_addr().ok()?.port(),
            port => port,
        };
        let host = match told.is_wildcard() {
            true => os::process::host_name(),
            false => told.host,
        };
        Some(HostPort { host, port }.to_string())
    }

    /// Where health and metrics are asked.
    pub fn http_address(&self) -> String {
        address(self.http.as_ref())
    }
}

fn address(listener: Option<&TcpListener>) -> String {
    let address = listener.and_then(|listener| listener.local_addr().ok());
    address.map_or_else(|| "none".to_owned(), |address| address.to_string())
}

fn bind(at: &HostPort) -> Result<TcpListener, StartError> {
    let wrong = |source| StartError::Listen {
        address: at.to_string(),
        source,
    };
    if at.host.is_empty() {
        return os::socket::listen_everywhere(at.port).map_err(wrong);
    }
    let mut outcome = Err(std::io::ErrorKind::AddrNotAvailable.into());
    for address in (at.host.as_str(), at.port)
        .to_socket_addrs()
        .map_err(wrong)?
    {
        outcome = os::socket::listen(address);
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(wrong)
}

/// What clients of each listener are told to connect to: what is advertised, else where the node
/// listens, else, if it listens everywhere, this machine's name.
pub fn node_info(settings: &Settings, bound: &[TcpListener]) -> Result<NodeInfo, StartError> {
    let listeners = settings.listeners.iter().zip(bound);
    let endpoints: Result<_, _> = listeners.map(|(l, bound)| endpoint(l, bound)).collect();
    Ok(NodeInfo {
        endpoints: endpoints?,
        rack: settings.rack.clone(),
    })
}

fn endpoint(listener: &Listener, bound: &TcpListener) -> Result<Endpoint, StartError> {
    let told = listener.advertised.as_ref().unwrap_or(&listener.bind);
    let wrong = |source| StartError::Listen {
        address: told.to_string(),
        source,
    };
    let port = match told.port {
        0 => bound.local_addr().map_err(wrong)?.port(),
        port => port,
    };
    let host = match told.is_wildcard() {
        true => os::process::host_name(),
        false => told.host.clone(),
    };
    Ok(Endpoint {
        listener: listener.name.clone(),
        host,
        port,
    })
}
