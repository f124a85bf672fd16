//! Configurations, quotas, partitions and the quorum in binary. Records use the layouts of
//! resources and entities too, so those are frozen.

use super::{read_result, write_result};
use crate::codec::{Malformed, Reader, Writer};
use crate::{
    Amount, Command, ConfigChange, Edit, Entity, Home, Level, Levels, MorePartitions, Quorum,
    QuorumMember, QuotaChange, Reassignment, Resource, ResourceKind, Whom, records,
};
use base::{GroupId, Member, NodeId, Partition, RaftIndex, Refusal, Term, WallMs};

pub(crate) fn write_resource(w: &mut Writer, resource: &Resource) {
    w.byte(match resource.kind {
        ResourceKind::Topic => 0,
        ResourceKind::Node => 1,
        ResourceKind::ClientMetrics => 2,
        ResourceKind::Group => 3,
    });
    w.text(&resource.name);
}

pub(crate) fn read_resource(r: &mut Reader<'_>) -> Result<Resource, Malformed> {
    let kind = match r.byte()? {
        0 => ResourceKind::Topic,
        1 => ResourceKind::Node,
        2 => ResourceKind::ClientMetrics,
        3 => ResourceKind::Group,
        _ => return Err(Malformed),
    };
    Ok(Resource::new(kind, r.text()?))
}

/// The kind without and with a generation, and what follows.
pub(crate) fn write_unregister(w: &mut Writer, node: NodeId, generation: Option<u32>) {
    w.byte(if generation.is_none() { 8 } else { 43 });
    w.node(&node);
    if let Some(generation) = generation {
        w.number(u64::from(generation));
    }
}

pub(crate) fn read_unregister(r: &mut Reader<'_>, named: bool) -> Result<Command, Malformed> {
    let node = r.node()?;
    let generation = if named { Some(r.small()?) } else { None };
    Ok(Command::UnregisterNode { node, generation })
}

fn write_whom(w: &mut Writer, whom: &Option<Whom>) {
    match whom {
        None => w.byte(0),
        Some(Whom::Default) => w.byte(1),
        Some(Whom::Named(name)) => {
            w.byte(2);
            w.text(name);
        }
    }
}

fn read_whom(r: &mut Reader<'_>) -> Result<Option<Whom>, Malformed> {
    Ok(match r.byte()? {
        0 => None,
        1 => Some(Whom::Default),
        2 => Some(Whom::Named(r.text()?)),
        _ => return Err(Malformed),
    })
}

pub(crate) fn write_entity(w: &mut Writer, entity: &Entity) {
    write_whom(w, &entity.user);
    write_whom(w, &entity.client);
    write_whom(w, &entity.ip);
}

pub(crate) fn read_entity(r: &mut Reader<'_>) -> Result<Entity, Malformed> {
    Ok(Entity {
        user: read_whom(r)?,
        client: read_whom(r)?,
        ip: read_whom(r)?,
    })
}

/// The bits of a number, eight bytes.
pub(crate) fn write_amount(w: &mut Writer, amount: Option<Amount>) {
    w.option(amount, |w, amount| {
        w.0.extend_from_slice(&amount.get().to_bits().to_be_bytes());
    });
}

pub(crate) fn read_amount(r: &mut Reader<'_>) -> Result<Option<Amount>, Malformed> {
    r.option(|r| {
        let mut bits = 0u64;
        for _ in 0..8 {
            bits = bits << 8 | u64::from(r.byte()?);
        }
        Ok(Amount::new(f64::from_bits(bits)))
    })
}

pub(super) fn write_change(w: &mut Writer, change: &ConfigChange) {
    write_resource(w, &change.resource);
    w.bool(change.replace);
    w.list(&change.edits, |w, (key, edit)| {
        w.text(key);
        let (kind, value) = match edit {
            Edit::Set(value) => (0, Some(value)),
            Edit::Delete => (1, None),
            Edit::Append(items) => (2, Some(items)),
            Edit::Subtract(items) => (3, Some(items)),
        };
        w.byte(kind);
        if let Some(value) = value {
            w.text(value);
        }
    });
}

pub(super) fn read_change(r: &mut Reader<'_>) -> Result<ConfigChange, Malformed> {
    Ok(ConfigChange {
        resource: read_resource(r)?,
        replace: r.bool()?,
        edits: r.list(|r| {
            let key = r.text()?;
            let edit = match r.byte()? {
                0 => Edit::Set(r.text()?),
                1 => Edit::Delete,
                2 => Edit::Append(r.text()?),
                3 => Edit::Subtract(r.text()?),
                _ => return Err(Malformed),
            };
            Ok((key, edit))
        })?,
    })
}

pub(super) fn write_more(w: &mut Writer, more: &MorePartitions) {
    w.text(&more.topic);
    w.signed(i64::from(more.count));
    w.option(more.assignment.as_deref(), |w, parts| {
        w.list(parts, |w, nodes| w.nodes(nodes));
    });
}

pub(super) fn read_more(r: &mut Reader<'_>) -> Result<MorePartitions, Malformed> {
    Ok(MorePartitions {
        topic: r.text()?,
        count: i32::try_from(r.signed()?).map_err(|_| Malformed)?,
        assignment: r.option(|r| r.list(Reader::nodes))?,
    })
}

pub(super) fn write_quota(w: &mut Writer, change: &QuotaChange) {
    write_entity(w, &change.entity);
    w.list(&change.edits, |w, (key, amount)| {
        w.text(key);
        write_amount(w, *amount);
    });
}

pub(super) fn read_quota(r: &mut Reader<'_>) -> Result<QuotaChange, Malformed> {
    Ok(QuotaChange {
        entity: read_entity(r)?,
        edits: r.list(|r| Ok((r.text()?, read_amount(r)?)))?,
    })
}

pub(super) fn write_each(w: &mut Writer, parts: &[Result<(), Refusal>]) {
    w.list(parts, |w, part| write_result(w, part, |_, ()| {}));
}

pub(super) fn read_each(r: &mut Reader<'_>) -> Result<Vec<Result<(), Refusal>>, Malformed> {
    r.list(|r| read_result(r, |_| Ok(())))
}

pub(super) fn write_quorum(w: &mut Writer, quorum: &Quorum) {
    w.number(u64::from(quorum.leader.0));
    w.number(u64::from(quorum.term.0));
    w.number(quorum.committed.0);
    w.list(&quorum.voters, |w, voter| {
        w.number(u64::from(voter.node.0));
        w.number(voter.matched.0);
        w.option(voter.heard, |w, at| w.signed(at.0));
        w.option(voter.caught_up, |w, at| w.signed(at.0));
    });
}

pub(super) fn read_quorum(r: &mut Reader<'_>) -> Result<Quorum, Malformed> {
    Ok(Quorum {
        leader: r.node()?,
        term: Term(r.small()?),
        committed: RaftIndex(r.number()?),
        voters: r.list(|r| {
            Ok(QuorumMember {
                node: r.node()?,
                matched: RaftIndex(r.number()?),
                heard: r.option(|r| Ok(WallMs(r.signed()?)))?,
                caught_up: r.option(|r| Ok(WallMs(r.signed()?)))?,
            })
        })?,
    })
}

pub(crate) fn write_reassignment(w: &mut Writer, change: &Reassignment) {
    w.text(&change.topic);
    w.number(u64::from(change.partition.0));
    w.option(change.target.as_ref(), |w, nodes| w.nodes(nodes));
}

pub(crate) fn read_reassignment(r: &mut Reader<'_>) -> Result<Reassignment, Malformed> {
    Ok(Reassignment {
        topic: r.text()?,
        partition: Partition(r.small()?),
        target: r.option(Reader::nodes)?,
    })
}

pub(crate) fn write_voters(w: &mut Writer, (group, voters): &(GroupId, Vec<Member>)) {
    w.number(group.0);
    w.list(voters, records::write_member);
}

pub(crate) fn read_voters(r: &mut Reader<'_>) -> Result<(GroupId, Vec<Member>), Malformed> {
    Ok((GroupId(r.number()?), r.list(records::read_member)?))
}

pub(super) fn write_counted(w: &mut Writer, (group, count): &(GroupId, u32)) {
    w.number(group.0);
    w.number(u64::from(*count));
}

pub(super) fn read_counted(r: &mut Reader<'_>) -> Result<(GroupId, u32), Malformed> {
    Ok((GroupId(r.number()?), r.small()?))
}

pub(super) fn write_of_group(w: &mut Writer, (group, member): &(GroupId, Member)) {
    w.number(group.0);
    records::write_member(w, member);
}

pub(super) fn read_of_group(r: &mut Reader<'_>) -> Result<(GroupId, Member), Malformed> {
    Ok((GroupId(r.number()?), records::read_member(r)?))
}

pub(super) fn write_on_node(w: &mut Writer, (group, node): &(GroupId, NodeId)) {
    w.number(group.0);
    w.node(node);
}

pub(super) fn read_on_node(r: &mut Reader<'_>) -> Result<(GroupId, NodeId), Malformed> {
    Ok((GroupId(r.number()?), r.node()?))
}

/// Where a node lives; records use it too, so its layout is frozen.
pub(crate) fn write_home(w: &mut Writer, home: &Home) {
    w.text(&home.address);
    w.uuid(&home.directory);
    w.text(&home.release);
    w.number(u64::from(home.generation));
}

pub(crate) fn write_levels(w: &mut Writer, levels: Levels) {
    w.number(u64::from(levels.min.0));
    w.number(u64::from(levels.max.0));
}

pub(crate) fn read_levels(r: &mut Reader<'_>) -> Result<Levels, Malformed> {
    Ok(Levels {
        min: Level(r.small()?),
        max: Level(r.small()?),
    })
}

pub(crate) fn read_home(r: &mut Reader<'_>) -> Result<Home, Malformed> {
    Ok(Home {
        address: r.text()?,
        directory: r.uuid()?,
        release: r.text()?,
        generation: r.small()?,
    })
}
