//! Floor 4: the Kafka door: a connection as a sync step machine and one file per API.

pub mod refusals;
pub mod validate;
