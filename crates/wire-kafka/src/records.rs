//! The records of a Produce or Fetch message: one slice of a frame where they were received,
//! any number of pieces where they are sent. Never copied together on the way out.

use base::Batch;
use base::batch::HEADER_BYTES;
use bytes::{Bytes, BytesMut};

/// A part of the records of a partition.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes of whole batches, or of a part of one.
    Bytes(Bytes),
    /// A batch as its stamped header and its body.
    Batch(Batch),
}

impl Piece {
    /// Bytes it takes on the wire.
    pub fn len(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Batch(batch) => HEADER_BYTES + batch.body().len(),
        }
    }

    /// True for a piece without bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Record batches, in order.
#[derive(Clone, Debug)]
pub enum Records {
    /// In one piece, as they are received.
    Whole(Bytes),
    /// In several.
    Pieces(Vec<Piece>),
}

impl Records {
    /// No records.
    pub const EMPTY: Records = Records::Whole(Bytes::new());

    /// Bytes they take on the wire.
    pub fn len(&self) -> usize {
        match self {
            Records::Whole(bytes) => bytes.len(),
            Records::Pieces(pieces) => pieces.iter().map(Piece::len).sum(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Piece) {
        match self {
            Records::Pieces(pieces) => pieces.push(piece),
            Records::Whole(bytes) => {
                let first = std::mem::take(bytes);
                let before = (!first.is_empty()).then_some(Piece::Bytes(first));
                *self = Records::Pieces(before.into_iter().chain([piece]).collect());
            }
        }
    }

    /// All bytes in one piece: shared if they are in one piece already, otherwise a copy.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Records::Whole(bytes) => bytes.clone(),
            Records::Pieces(pieces) => match pieces.as_slice() {
                [Piece::Bytes(bytes)] => bytes.clone(),
                pieces => joined(pieces, self.len()),
            },
        }
    }
}

fn joined(pieces: &[Piece], length: usize) -> Bytes {
    let mut whole = BytesMut::with_capacity(length);
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => whole.extend_from_slice(bytes),
            Piece::Batch(batch) => {
                whole.extend_from_slice(batch.head());
                whole.extend_from_slice(batch.body());
            }
        }
    }
    whole.freeze()
}

impl Default for Records {
    fn default() -> Records {
        Records::EMPTY
    }
}

/// Two are equal if their bytes are, however they are cut.
impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Records {}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records::Whole(bytes)
    }
}

impl From<Vec<Bytes>> for Records {
    fn from(pieces: Vec<Bytes>) -> Records {
        Records::Pieces(pieces.into_iter().map(Piece::Bytes).collect())
    }
}

impl From<Vec<Batch>> for Records {
    fn from(batches: Vec<Batch>) -> Records {
        Records::Pieces(batches.into_iter().map(Piece::Batch).collect())
    }
}

impl From<Batch> for Records {
    fn from(batch: Batch) -> Records {
        Records::Pieces(vec![Piece::Batch(batch)])
    }
}
