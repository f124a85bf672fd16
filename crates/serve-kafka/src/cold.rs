//! Reads that would have to wait for a device: handed out of the connection, run by whoever may
//! block, and given back as an outcome.

use crate::handlers::Door;
use base::batch::Compression;
use base::{Batch, Offset};
use bytes::Bytes;
use log::{Files, ReadFault, ReadPlan, TimePlan};
use std::collections::VecDeque;
use std::sync::Arc;
use wire_kafka::compress;

/// Most bytes that the records of one batch may unpack to. A larger batch is answered with its
/// first offset when a timestamp is looked for, and isn't taken by a compacted topic.
pub const UNPACK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What one request waits for. Independent of the connection that it came from.
pub struct ColdRead {
    files: Arc<Files>,
    plans: VecDeque<(usize, Plan)>,
    found: Vec<(usize, Result<Found, ReadFault>)>,
}

/// Plans that are carried out in one step: a request may have a hundred thousand, and others wait behind it.
const PLANS_PER_STEP: usize = 32;

impl std::fmt::Debug for ColdRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ColdRead({} plans)", self.plans.len())
    }
}

enum Plan {
    Records(ReadPlan),
    Time(TimePlan),
}

/// What came of a [`ColdRead`]; goes back to its connection.
#[derive(Debug)]
pub struct ColdOutcome(pub(crate) Vec<(usize, Result<Found, ReadFault>)>);

/// What one plan found.
#[derive(Debug)]
pub(crate) enum Found {
    Records(Vec<Bytes>),
    Time(Option<(Offset, i64)>),
}

/// Somebody met damage: the shard looks at it.
pub(crate) fn report(door: &Door, fault: &ReadFault) {
    if let ReadFault::Corrupt { group, record, .. } = fault {
        door.broker.check_soon(*group, *record);
    }
}

impl ColdRead {
    pub(crate) fn new(files: Arc<Files>) -> ColdRead {
        ColdRead {
            files,
            plans: VecDeque::new(),
            found: Vec::new(),
        }
    }

    /// Adds a fetch; the answer's place is `at`.
    pub(crate) fn records(&mut self, at: usize, plan: ReadPlan) {
        self.plans.push_back((at, Plan::Records(plan)));
    }

    /// Adds a look-up; the answer's place is `at`.
    pub(crate) fn time(&mut self, at: usize, plan: TimePlan) {
        self.plans.push_back((at, Plan::Time(plan)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// Reads some, waiting for the device: the outcome, or what is left to be read.
    pub fn step(mut self) -> Result<ColdOutcome, ColdRead> {
        let now = self.plans.len().min(PLANS_PER_STEP);
        for (at, plan) in self.plans.drain(..now) {
            self.found.push((at, plan.run(&self.files)));
        }
        match self.plans.is_empty() {
            true => Ok(ColdOutcome(self.found)),
            false => Err(self),
        }
    }

    /// Reads all.
    pub fn run(mut self) -> ColdOutcome {
        loop {
            match self.step() {
                Ok(outcome) => return outcome,
                Err(rest) => self = rest,
            }
        }
    }
}

impl Plan {
    fn run(&self, files: &Files) -> Result<Found, ReadFault> {
        match self {
            Plan::Records(plan) => plan
                .run(files, true)?
                .map(Found::Records)
                .ok_or(ReadFault::Gone),
            Plan::Time(plan) => plan
                .run_with(files, true, &unpack)?
                .map(Found::Time)
                .ok_or(ReadFault::Gone),
        }
    }
}

/// How compaction comes by the records of compressed batches, and packs what stays of them.
pub const CODEC: log::Codec = log::Codec {
    unpack,
    pack: |compression, plain| compress::compress(compression, plain).ok(),
};

fn unpack(batch: &Batch) -> Option<Bytes> {
    let compression = batch.header().compression().ok()?;
    if compression == Compression::None {
        return Some(batch.body().clone());
    }
    let plain = compress::decompress(compression, batch.body(), UNPACK_BYTES_MAX);
    plain.ok().map(Bytes::from)
}
