//! What only the leader knows, and only while it leads.

/// Sessions, joins and syncs under way, timers.
#[derive(Debug, Default)]
pub struct Soft {}
