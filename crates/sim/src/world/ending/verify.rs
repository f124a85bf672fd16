//! The logs on the disks are held against all that was ever answered.

use crate::checkers::replicas::{self, Replica};
use crate::checkers::{Checked, Part, Seen, contiguous, read_batches, twice, violation};
use crate::net::Place;
use crate::world::World;
use bytes::Bytes;
use std::collections::BTreeSet;

impl World {
    /// Everything has converged: is it right?
    pub(super) fn verify(&mut self) -> Checked {
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(process) = &node.process else {
                continue;
            };
            if self.is_excused(place) {
                continue;
            }
            let names: BTreeSet<String> = process.broker.image().topics.keys().cloned().collect();
            self.checkers.topics.verify(place as u32 + 1, &names)?;
        }
        for part in self.expected_parts() {
            self.verify_part(part)?;
        }
        Ok(())
    }

    fn verify_part(&mut self, part: Part) -> Checked {
        let (group, places) = self.placed(part).expect("it has converged");
        let mut logs: Vec<(Place, Vec<Seen>)> = Vec::new();
        for place in places {
            if self.is_excused(place) {
                continue;
            }
            let log = self.log_on_disk(place, group)?;
            contiguous::log(part, place as u32 + 1, &log)?;
            logs.push((place, log));
        }
        let replica = |(place, log): &(Place, Vec<Seen>)| (*place as u32 + 1, log.clone());
        let owned: Vec<(u32, Vec<Seen>)> = logs.iter().map(replica).collect();
        let compared: Vec<Replica<'_>> = owned
            .iter()
            .map(|(node, batches)| Replica {
                node: *node,
                batches,
                high_watermark: i64::MAX,
            })
            .collect();
        replicas::equal(part, &compared, true)?;
        let Some((place, log)) = logs.first() else {
            return Ok(());
        };
        let who = format!("the disk of node {}", place + 1);
        for batch in log {
            self.checkers.one_value.seen(part, batch, &who)?;
        }
        twice::log(part, log)?;
        self.checkers
            .committed
            .verify(part, log.last().map_or(0, |batch| batch.next))?;
        self.checkers.acked.verify(part, log)
    }

    /// The batches in a replica's segments, up to where it says that its log ends.
    fn log_on_disk(
        &self,
        place: Place,
        group: u64,
    ) -> Result<Vec<Seen>, crate::checkers::Violation> {
        let dir = format!("groups/{group}/");
        let disk = &self.nodes[place].disk;
        let mut bytes = Vec::new();
        let end = self
            .status(place, group)
            .map_or(0, |status| status.end_offset.0);
        for path in disk.files() {
            if path.starts_with(&dir) && path.ends_with(".log") {
                bytes.extend(disk.peek(&path).unwrap_or_default());
            }
        }
        let wrong = |what: String| violation("segments hold batches", what);
        let mut batches = Vec::new();
        let mut rest = Bytes::from(bytes);
        while batches.last().map_or(0, |batch: &Seen| batch.next) < end {
            let mut ahead = rest.clone();
            let cut = base::Batch::split_from(&mut ahead).map_err(|e| {
                wrong(format!(
                    "node {}, group {group}, {} left: {e}",
                    place + 1,
                    rest.len()
                ))
            })?;
            batches.extend(read_batches(rest.split_to(cut.len()), false)?);
        }
        Ok(batches)
    }
}
