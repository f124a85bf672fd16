//! Looking at a recovered log block by block, for an operator who wants to know whether it is
//! whole. Nothing is mended here, and nothing that is damaged keeps the rest from being looked at.

use crate::fault::ReadFault;
use crate::files::Files;
use crate::group::GroupLog;
use crate::read::load;

/// What was found.
#[derive(Debug, Default)]
pub struct Examined {
    /// Blocks that were read.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What isn't what was written, or can't be read.
    pub faults: Vec<ReadFault>,
}

impl GroupLog {
    /// Reads every block of the log and compares its checksum.
    pub fn examine(&self, files: &Files) -> Examined {
        let mut examined = Examined::default();
        for located in self.blocks_from(0, 0) {
            examined.blocks += 1;
            examined.bytes += u64::from(located.block.len);
            if let Err(fault) = load(files, self.group(), self.cuts(), &located, true) {
                examined.faults.push(fault);
            }
        }
        examined
    }
}
