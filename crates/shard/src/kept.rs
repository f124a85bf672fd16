//! What a replica keeps in a checkpoint beside its log, in bytes of the shard's own: its producers,
//! and who belongs to its group if that isn't whom it began with. Both as of one entry. That of
//! group 0 keeps the metadata in front of it, with the entry of its own that it is as of.
//!
//! The layouts are replayable for ever. The first one was the producers alone, and is still what a
//! group has that never changed.

use crate::producers::Producers;
use base::{Configuration, RaftIndex};
use bytes::Bytes;

/// The first byte of the layout with a configuration. That of the producers alone is another one.
const CONFIGURED: u8 = 2;
/// The first byte of the layout with metadata; what follows on that is one of the others.
const WITH_METADATA: u8 = 3;

/// What was kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) producers: Producers,
    /// Who belongs to the group, and the entry that says so; none if it is whom it began with.
    pub(crate) configuration: Option<(Configuration, RaftIndex)>,
    /// What the metadata is, and the entry that it is as of; of group 0 only.
    pub(crate) metadata: Option<(Bytes, RaftIndex)>,
}

/// What group 0 keeps: the metadata as of an entry in front of the rest.
pub(crate) fn with_metadata(
    metadata: &[u8],
    applied: RaftIndex,
    [rest, producers]: [Bytes; 2],
) -> [Bytes; 2] {
    let mut out = vec![WITH_METADATA];
    out.extend_from_slice(&applied.0.to_be_bytes());
    out.extend_from_slice(&(metadata.len() as u32).to_be_bytes());
    out.extend_from_slice(metadata);
    out.extend_from_slice(&rest);
    [out.into(), producers]
}

/// What a checkpoint keeps of the metadata, and the entry that it is as of; none if the log has it all.
pub fn kept_metadata(group: &log::RecoveredGroup) -> Option<(Bytes, RaftIndex)> {
    Kept::restore(&group.app, group.app_index)?.metadata
}

impl Kept {
    /// What to keep, in two parts: that of the producers is shared with them, since it may be large and
    /// be the same for long.
    pub(crate) fn encode(
        producers: &Producers,
        configuration: Option<&(Configuration, RaftIndex)>,
    ) -> [Bytes; 2] {
        let producers = producers.checkpoint();
        let Some((configuration, at)) = configuration else {
            return [Bytes::new(), producers];
        };
        let members = configuration.encode();
        let mut out = vec![CONFIGURED];
        out.extend_from_slice(&at.0.to_be_bytes());
        out.extend_from_slice(&(members.len() as u32).to_be_bytes());
        out.extend_from_slice(&members);
        [out.into(), producers]
    }

    /// Reads it back; `last` is the entry it was taken at. None if the bytes are of another format.
    pub(crate) fn restore(bytes: &[u8], last: RaftIndex) -> Option<Kept> {
        if let Some(rest) = bytes.strip_prefix(&[WITH_METADATA]) {
            let (applied, rest) = rest.split_first_chunk()?;
            let (len, rest) = rest.split_first_chunk()?;
            let (metadata, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            let applied = RaftIndex(u64::from_be_bytes(*applied));
            let metadata = Some((Bytes::copy_from_slice(metadata), applied));
            let inner = Kept::restore(rest, last).filter(|kept| kept.metadata.is_none());
            return inner.map(|kept| Kept { metadata, ..kept });
        }
        let Some(rest) = bytes.strip_prefix(&[CONFIGURED]) else {
            let producers = Producers::restore(bytes, last)?;
            return Some(Kept {
                producers,
                configuration: None,
                metadata: None,
            });
        };
        let (at, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (members, producers) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let configuration = Configuration::decode(members)?;
        Some(Kept {
            producers: Producers::restore(producers, last)?,
            configuration: Some((configuration, RaftIndex(u64::from_be_bytes(*at)))),
            metadata: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Member, NodeId};

    #[test]
    fn what_was_kept_stays_readable() {
        let configuration = Configuration::of_founders(&[NodeId(1)]);
        let kept = Kept {
            producers: Producers::default(),
            configuration: Some((configuration, RaftIndex(9))),
            metadata: None,
        };
        let golden: &[u8] = &[
            2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 21, 3, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0,
        ];
        assert_eq!(
            Kept::encode(&kept.producers, kept.configuration.as_ref()).concat(),
            golden
        );
        assert_eq!(Kept::restore(golden, RaftIndex(0)), Some(kept));
        for cut in 1..golden.len() {
            assert_eq!(Kept::restore(&golden[..cut], RaftIndex(0)), None);
        }
        assert_eq!(Kept::restore(&[], RaftIndex(0)), Some(Kept::default()));
        let with = Kept {
            metadata: Some((Bytes::from_static(b"image"), RaftIndex(7))),
            ..Kept::restore(golden, RaftIndex(0)).expect("read above")
        };
        let mut bytes = vec![3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 5];
        bytes.extend_from_slice(b"image");
        bytes.extend_from_slice(golden);
        let rest = [golden.into(), Bytes::new()];
        let kept = with_metadata(b"image", RaftIndex(7), rest);
        assert_eq!(kept.concat(), bytes);
        assert_eq!(Kept::restore(&bytes, RaftIndex(0)), Some(with));
        for cut in [1, 9, 13, 17, 19] {
            assert_eq!(Kept::restore(&bytes[..cut], RaftIndex(0)), None);
        }
        let member = Member::founder(NodeId(1));
        assert_eq!(member.incarnation, 0);
    }
}
