//! What a node says of its disk. Said with each heartbeat, so nothing has to be remembered: a node that
//! says nothing of the kind is of a release that doesn't know of it, and is taken to have room.

use crate::frame::{FrameError, Reader, Writer};

/// What a node's disk still takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Everything.
    #[default]
    Ample,
    /// It is below its reserve: no records but those without which a group can't commit what it has.
    Scarce,
    /// No records at all.
    Gone,
}

impl Room {
    pub(crate) fn encode(self, out: &mut Writer) {
        out.u8(match self {
            Room::Ample => 0,
            Room::Scarce => 1,
            Room::Gone => 2,
        });
    }

    pub(crate) fn decode(r: &mut Reader) -> Result<Room, FrameError> {
        match r.u8()? {
            0 => Ok(Room::Ample),
            1 => Ok(Room::Scarce),
            2 => Ok(Room::Gone),
            _ => Err(FrameError::Malformed("room")),
        }
    }
}
