//! Floor 5: the built binary under real clients, kills and faults.
//!
//! What the tests and `cargo xtask e2e` are made of: processes that are started and killed, the
//! command line tool, a fleet of three nodes, and a recorder and judge of what clients were told.
//! Nothing here looks into the engine; it sees what a user sees.

pub mod binary;
pub mod disk;
pub mod faults;
pub mod fleet;
pub mod footprint;
pub mod history;
pub mod http;
pub mod judge;
pub mod lan;
pub mod mixed;
pub mod narrow;
pub mod node;
pub mod replicas;
pub mod scratch;
pub mod skip;
pub mod tool;
pub mod upgrade;
pub mod wait;
pub mod wire;
pub mod writers;

pub use fleet::Fleet;
pub use node::{Node, Setup};
pub use scratch::Scratch;
pub use tool::Tool;
