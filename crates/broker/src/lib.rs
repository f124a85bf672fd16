//! Floor 3: one core API over shards and metadata: routing, authorisation, quotas, settings.
