//! Sockets with the options that a broker needs.

use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

/// Connections that the kernel holds ready before they are accepted.
pub const BACKLOG: i32 = 1024;
/// A peer host that doesn't acknowledge what was sent for this long is gone.
pub const PEER_SILENCE: Duration = Duration::from_secs(2);
/// A client connection without traffic is probed after this time, so that dead ones go away.
pub const CLIENT_PROBE: Duration = Duration::from_secs(60);

/// Binds and listens, not blocking. Port 0 picks a free one.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listen_on(tcp(Domain::for_address(address))?, address)
}

/// The same at every address of this machine, of both families where it has both.
pub fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    let both = tcp(Domain::IPV6).and_then(|socket| {
        socket.set_only_v6(false)?;
        Ok(socket)
    });
    let outcome = both.and_then(|both| listen_on(both, (Ipv6Addr::UNSPECIFIED, port).into()));
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            listen((Ipv4Addr::UNSPECIFIED, port).into())
        }
        outcome => outcome,
    }
}

fn tcp(family: Domain) -> io::Result<Socket> {
    Socket::new(family, Type::STREAM, Some(Protocol::TCP))
}

fn listen_on(socket: Socket, address: SocketAddr) -> io::Result<TcpListener> {
    // A restarted node takes its port back although old connections linger in the kernel.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Options of a client's connection: answers leave at once; a dead client is noticed in the end.
pub fn tune_client(socket: impl AsFd) -> io::Result<()> {
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, CLIENT_PROBE)?;
    Ok(())
}

/// Options of a connection between nodes: frames leave at once, and a host that vanished without
/// a word is noticed within [`PEER_SILENCE`] or little more.
pub fn tune_peer(socket: impl AsFd) -> io::Result<()> {
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, Duration::from_secs(1))?;
    sockopt::set_tcp_keepintvl(&socket, Duration::from_secs(1))?;
    sockopt::set_tcp_keepcnt(&socket, 2)?;
    let millis = u32::try_from(PEER_SILENCE.as_millis()).expect("two seconds fit");
    sockopt::set_tcp_user_timeout(&socket, millis)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn a_port_is_taken_back_while_old_connections_linger() {
        let listener = listen(any_port()).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let _client = TcpStream::connect(address).expect("listening");
        listener.set_nonblocking(false).expect("our own socket");
        let (server, _) = listener.accept().expect("one is waiting");
        drop(server);
        drop(listener);
        listen(address).expect("taken back");
    }

    #[test]
    fn two_listeners_never_share_a_port() {
        let first = listen(any_port()).expect("a free port");
        let address = first.local_addr().expect("bound");
        let refused = listen(address).expect_err("taken");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn everywhere_is_both_families() {
        let listener = listen_everywhere(0).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("listening");
        // Without IPv6 there is one family only.
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).expect("listening");
        }
        let refused = listen_everywhere(port).expect_err("taken");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn options_are_accepted_by_the_kernel() {
        let listener = listen(any_port()).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stream = TcpStream::connect(address).expect("listening");
        tune_client(&stream).expect("client options");
        tune_peer(&stream).expect("peer options");
        assert!(stream.nodelay().expect("asked"));
    }
}
