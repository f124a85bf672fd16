//! Floor 4: the command line tool: a Kafka client for people.
