//! The simulator's command; `cargo xtask sim` builds and starts it.

fn main() {}
