//! Room on the disk. Below the reserve data is refused; metadata stays writable.

use crate::Shard;
use base::limits;
use std::time::Duration;

impl Shard {
    /// No data is taken.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_free < self.settings.disk_reserve_bytes
    }

    /// Nor are records of leaders elsewhere. They are taken for longer than those of clients: what is on its
    /// way when the disks of all replicas fill up is committed, and retention, which is an entry behind it
    /// in the log, makes room.
    pub(crate) fn is_disk_exhausted(&self) -> bool {
        self.disk_free < self.settings.disk_reserve_bytes / 2
    }

    /// Why no data is taken, in words.
    pub(crate) fn lack_of_room(&self) -> String {
        format!(
            "the data directory has {} bytes free, below the reserve of {} (disk.reserve.bytes)",
            self.disk_free, self.settings.disk_reserve_bytes
        )
    }

    /// So many bytes are free. Whoever reads the log learns why writes are refused, and when they no
    /// longer are.
    ///
    /// What storage hasn't written yet takes room as well, so that what comes between two looks can't fill
    /// the disk.
    pub(crate) fn on_disk_free(&mut self, measured: u64) {
        let free = measured.saturating_sub(self.unsettled.bytes());
        self.disk_free = free;
        let (was_full, is_full) = (self.told_full, self.is_disk_full());
        self.told_full = is_full;
        match (was_full, is_full) {
            (false, true) => {
                let soon = self.now.mono.after(self.between_retentions());
                self.next_retention = self.next_retention.min(soon);
                self.alarm(format!(
                    "{}: records are refused until there is room",
                    self.lack_of_room()
                ));
            }
            (true, false) => self.note(format!(
                "the data directory has {free} bytes free again: records are taken"
            )),
            _ => {}
        }
    }

    /// How long after a look at what is past its retention the next one is.
    pub(crate) fn between_retentions(&self) -> Duration {
        between(self.settings.retention_check, self.is_disk_full())
    }
}

/// On a full disk somebody may have shortened retention just to make room.
fn between(usual: Duration, is_full: bool) -> Duration {
    match is_full {
        true => usual.min(limits::RETENTION_WHEN_FULL),
        false => usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_full_disk_retention_is_looked_after_often() {
        let (minutes, second) = (Duration::from_secs(300), Duration::from_secs(1));
        assert_eq!(between(minutes, false), minutes);
        assert_eq!(between(minutes, true), limits::RETENTION_WHEN_FULL);
        assert_eq!(between(second, true), second);
    }
}
