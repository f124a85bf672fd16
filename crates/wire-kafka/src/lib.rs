//! Floor 1: the Kafka wire format: generated messages, headers, compression, the segmented fetch answer.
