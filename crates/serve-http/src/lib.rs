//! Floor 4: health and metrics over HTTP.
