//! Floor 5: the one binary: threads, sockets, configuration, peers.

mod cluster;
mod formation;
mod peers;
#[cfg(test)]
mod scratch;
mod stop;

fn main() {}
