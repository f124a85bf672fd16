//! Floor 5: the built binary under real clients, kills and faults.
