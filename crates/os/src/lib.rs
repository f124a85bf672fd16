//! Floor 1: the real disk, clock, entropy and sockets; the only room with unsafe code.
