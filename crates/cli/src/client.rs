//! A small synchronous Kafka client: connections, the cluster's map, an idempotent producer, a
//! reader. It blocks, retries what may be retried until a deadline, and starts no thread.

pub mod call;
pub mod cluster;
pub mod code;
pub mod connection;
pub mod coordinator;
pub mod deadline;
pub mod groups;
pub mod member;
pub mod partitioner;
pub mod producer;
pub mod reader;
pub mod trouble;

pub use cluster::Cluster;
pub use code::Code;
pub use connection::Connection;
pub use deadline::Deadline;
pub use producer::Producer;
pub use trouble::Trouble;

#[cfg(test)]
pub(crate) mod tests;
