//! The descriptors that this process may have, shared out at the start: a client too many is turned
//! away, and never costs the storage its next file, which would end the process.

use base::limits;
use broker::Settings;

/// For everything but clients and segments: the write-ahead log, peers, the flusher, who asks about health,
/// who is turned away. None of it gets less where there are fewer.
const APART: u64 = 256 + limits::CONNECTIONS_HELD_MAX as u64;

/// With fewer there is no share that leaves the storage enough.
pub const LEAST: u64 = 2 * APART;

/// Makes what the settings allow fit into `limit` descriptors, with a warning if it didn't.
pub fn share(settings: &mut Settings, limit: u64) {
    let (segments, clients) = (settings.open_files, settings.connections.max);
    if segments as u64 + clients as u64 + APART <= limit {
        return;
    }
    let quarter = (limit / 4).max(1);
    settings.open_files = segments.min(fit(quarter));
    let left = limit.saturating_sub(APART + settings.open_files as u64);
    settings.connections.max = clients.min(fit(left.max(1)));
    let changes = [
        ("open.files.max", segments, settings.open_files),
        ("max.connections", clients, settings.connections.max),
    ];
    for (key, given, now) in changes.into_iter().filter(|(_, given, now)| given != now) {
        settings.warnings.push(format!(
            "{key} is {now} instead of {given}: this process may open {limit} files (ulimit -n)"
        ));
    }
}

fn fit(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(limit: u64) -> Settings {
        let mut settings = Settings::parse::<&str, &str>(&[]).expect("defaults");
        share(&mut settings, limit);
        settings
    }

    #[test]
    fn clients_and_segments_together_never_have_more_files_than_the_process() {
        let defaults = Settings::parse::<&str, &str>(&[]).expect("defaults");
        assert_eq!(shared(u64::MAX), defaults);
        assert_eq!(shared(1 << 19), defaults);
        for limit in [LEAST, 1024, 4096, 16_384, 20_000] {
            let settings = shared(limit);
            let used = settings.open_files as u64 + settings.connections.max as u64;
            assert!(used + APART <= limit, "{limit}: {used}");
            assert!(settings.connections.max as u64 >= limit / 4, "{limit}");
            assert!(settings.warnings.len() > defaults.warnings.len());
        }
    }
}
