//! `flotilla group reset-offsets`: where a group goes on, moved by hand. Only a group without
//! running members can be moved; nothing is written unless it is told to --execute.

use super::open;
use crate::args::{Output, Part, ResetOffsets};
use crate::client::deadline::wall_ms;
use crate::client::groups::{self, As, Place};
use crate::client::reader::{Bound, TopicReader};
use crate::client::{Cluster, Deadline, Trouble};
use crate::output::{self, Table};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

type Offsets = BTreeMap<Place, i64>;

/// What is known of the partitions that are to be moved.
struct Scope {
    first: Offsets,
    end: Offsets,
    committed: Offsets,
}

/// Runs the command.
pub fn run(args: &ResetOffsets) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let group = groups::describe(&mut cluster, &args.name, deadline)?;
    if !group.is_idle() {
        let what = format!(
            "group {} is {} with {}: only a group that is not running can be moved",
            args.name,
            group.state,
            output::counted(group.members.len() as u64, "member"),
        );
        return Err(Trouble::Input { what });
    }
    let committed = groups::committed(&mut cluster, &args.name, deadline)?;
    let given = args.from_file.as_deref().map(|path| plan(path, &args.name));
    let given = given.transpose()?;
    let parts = parts(args, &committed, given.as_ref());
    let (first, end) = bounds(&mut cluster, &parts, deadline)?;
    let scope = Scope {
        first,
        end,
        committed,
    };
    let wanted = match given {
        Some(given) => given,
        None => goal(args, &mut cluster, &scope, &parts, deadline)?,
    };
    let moved = scope.clamped(&wanted)?;
    for note in scope.outside(&wanted) {
        output::complain(&note);
    }
    if args.execute && !moved.is_empty() {
        groups::commit(&mut cluster, &args.name, As::OPERATOR, &moved, deadline)?;
    }
    report(args, &scope, &moved)
}

/// Which topics and partitions are meant.
fn parts(args: &ResetOffsets, committed: &Offsets, given: Option<&Offsets>) -> Vec<Part> {
    let of = |places: &Offsets| {
        let mut parts: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in places.keys() {
            parts.entry(topic.clone()).or_default().push(*partition);
        }
        let part = |(topic, partitions)| Part {
            topic,
            partitions: Some(partitions),
        };
        parts.into_iter().map(part).collect()
    };
    match given {
        Some(given) => of(given),
        None if args.all_topics => of(committed),
        None => args.topic.clone(),
    }
}

/// Where the partitions begin and end.
fn bounds(
    cluster: &mut Cluster,
    parts: &[Part],
    deadline: Deadline,
) -> Result<(Offsets, Offsets), Trouble> {
    let first = asked(cluster, parts, Bound::Earliest, deadline)?;
    Ok((first, asked(cluster, parts, Bound::Latest, deadline)?))
}

fn asked(
    cluster: &mut Cluster,
    parts: &[Part],
    bound: Bound,
    deadline: Deadline,
) -> Result<Offsets, Trouble> {
    let mut offsets = Offsets::new();
    for part in parts {
        let mut reader = TopicReader::open(cluster, &part.topic, None, deadline)?;
        let found = match &part.partitions {
            Some(only) => {
                let only = only.iter().copied().collect();
                reader.offsets_of(cluster, &only, bound, deadline)?
            }
            None => reader.offsets(cluster, bound, deadline)?,
        };
        for partition in part.partitions.iter().flatten() {
            if !found.contains_key(partition) {
                let what = format!("{} has no partition {partition}", part.topic);
                return Err(Trouble::Input { what });
            }
        }
        offsets.extend(
            found
                .into_iter()
                .map(|(partition, offset)| ((part.topic.clone(), partition), offset)),
        );
    }
    Ok(offsets)
}

/// Where each partition is to go, before the bounds of its log are looked at.
fn goal(
    args: &ResetOffsets,
    cluster: &mut Cluster,
    scope: &Scope,
    parts: &[Part],
    deadline: Deadline,
) -> Result<Offsets, Trouble> {
    let all = |offset: i64| scope.end.keys().map(|p| (p.clone(), offset)).collect();
    let time = args
        .to_datetime
        .or(args.by_duration.map(|ms| (wall_ms() - ms).max(0)));
    if let Some(time) = time {
        let found = asked(cluster, parts, Bound::At(time), deadline)?;
        // Where nothing is as young as that, the group goes on with what comes.
        let or_end = |(place, offset): (Place, i64)| match offset {
            ..0 => scope.end.get(&place).map(|end| (place.clone(), *end)),
            _ => Some((place, offset)),
        };
        return Ok(found.into_iter().filter_map(or_end).collect());
    }
    if args.to_earliest {
        return Ok(scope.first.clone());
    }
    if let Some(offset) = args.to_offset {
        return Ok(all(offset));
    }
    if let Some(by) = args.shift_by {
        return scope.shifted(by);
    }
    if args.to_current {
        let current = |(place, end): (&Place, &i64)| {
            let offset = scope.committed.get(place).unwrap_or(end);
            (place.clone(), *offset)
        };
        return Ok(scope.end.iter().map(current).collect());
    }
    Ok(scope.end.clone())
}

impl Scope {
    fn shifted(&self, by: i64) -> Result<Offsets, Trouble> {
        let shift = |place: &Place| match self.committed.get(place) {
            Some(offset) => Ok((place.clone(), offset.saturating_add(by))),
            None => Err(Trouble::Input {
                what: format!(
                    "partition {} of {} has no offset that could be shifted",
                    place.1, place.0
                ),
            }),
        };
        self.end.keys().map(shift).collect()
    }

    /// What is asked for and isn't in its log.
    fn outside(&self, wanted: &Offsets) -> Vec<String> {
        let note = |(place, offset): (&Place, &i64)| {
            let (first, end) = (self.first.get(place)?, self.end.get(place)?);
            let (topic, partition) = place;
            (offset < first || offset > end).then(|| {
                let to = (*offset).max(*first).min(*end);
                format!("partition {partition} of {topic} has {first} to {end}: {to} instead of {offset}")
            })
        };
        wanted.iter().filter_map(note).collect()
    }

    /// The offsets, moved to where each log begins or ends if they lie outside of it.
    fn clamped(&self, wanted: &Offsets) -> Result<Offsets, Trouble> {
        let clamp = |(place, offset): (&Place, &i64)| {
            let (Some(first), Some(end)) = (self.first.get(place), self.end.get(place)) else {
                let what = format!("there is no partition {} of {}", place.1, place.0);
                return Err(Trouble::Input { what });
            };
            Ok((place.clone(), (*offset).max(*first).min(*end)))
        };
        wanted.iter().map(clamp).collect()
    }
}

fn report(args: &ResetOffsets, scope: &Scope, moved: &Offsets) -> Result<(), Trouble> {
    let executed = args.execute;
    if args.export {
        let line = |((topic, partition), offset): (&Place, &i64)| {
            format!("{topic},{partition},{offset}\n")
        };
        return output::text(&moved.iter().map(line).collect::<String>());
    }
    if args.target.output == Output::Json {
        let row = |((topic, partition), offset): (&Place, &i64)| {
            let place = (topic.clone(), *partition);
            json!({
                "topic": topic,
                "partition": partition,
                "before": scope.committed.get(&place),
                "after": offset,
            })
        };
        return output::json(&json!({
            "group": args.name,
            "executed": executed,
            "partitions": moved.iter().map(row).collect::<Vec<_>>(),
        }));
    }
    let mut table = Table::new(&["topic", "partition", "before", "after"]);
    for (place, offset) in moved {
        let before = scope.committed.get(place);
        table.row(vec![
            place.0.clone(),
            place.1.to_string(),
            before.map_or_else(|| "-".to_owned(), i64::to_string),
            offset.to_string(),
        ]);
    }
    output::text(&table.text())?;
    if !executed {
        output::text("nothing was changed; add --execute to do it\n")?;
    }
    Ok(())
}

/// Lines `topic,partition,offset`, or `group,topic,partition,offset` of which only this group's
/// count. Kafka's tool writes both.
fn plan(path: &Path, group: &str) -> Result<Offsets, Trouble> {
    let unreadable = |what: String| Trouble::Input {
        what: format!("{}: {what}", path.display()),
    };
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    parsed(&text, group).map_err(unreadable)
}

fn parsed(text: &str, group: &str) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    for (number, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line
            .split(',')
            .map(|f| f.trim().trim_matches('"'))
            .collect();
        let (topic, partition, offset) = match fields.as_slice() {
            [""] => continue,
            [topic, partition, offset] => (*topic, *partition, *offset),
            [of, topic, partition, offset] if *of == group => (*topic, *partition, *offset),
            [_, _, _, _] => continue,
            _ => return Err(format!("line {} isn't topic,partition,offset", number + 1)),
        };
        let parsed = partition
            .parse::<i32>()
            .ok()
            .zip(offset.parse::<i64>().ok());
        let Some((partition, offset)) = parsed else {
            return Err(format!("line {} has a bad number", number + 1));
        };
        offsets.insert((topic.to_owned(), partition), offset);
    }
    if offsets.is_empty() {
        return Err(format!("no offsets of group {group}"));
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(rows: &[(&str, i32, i64)]) -> Offsets {
        let row = |(topic, partition, offset): &(&str, i32, i64)| {
            ((topic.to_string(), *partition), *offset)
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn files_of_both_forms_are_read() {
        let text = "a,0,5\n\n\"b\", 1 ,-1\ng,c,2,7\nother,d,0,9\n";
        let expected = offsets(&[("a", 0, 5), ("b", 1, -1), ("c", 2, 7)]);
        assert_eq!(parsed(text, "g"), Ok(expected));
        for bad in ["a,0", "a,x,1", "a,0,", "", "other,d,0,9"] {
            assert!(parsed(bad, "g").is_err(), "{bad}");
        }
    }

    #[test]
    fn offsets_stay_inside_of_their_logs() {
        let scope = Scope {
            first: offsets(&[("a", 0, 10), ("a", 1, 0)]),
            end: offsets(&[("a", 0, 20), ("a", 1, 5)]),
            committed: offsets(&[("a", 0, 15)]),
        };
        let wanted = offsets(&[("a", 0, 3), ("a", 1, 8)]);
        let clamped = scope.clamped(&wanted).expect("both are there");
        assert_eq!(clamped, offsets(&[("a", 0, 10), ("a", 1, 5)]));
        let told = scope.outside(&wanted);
        assert_eq!(told[0], "partition 0 of a has 10 to 20: 10 instead of 3");
        assert_eq!(told.len(), 2);
        assert!(scope.outside(&clamped).is_empty());
        assert!(scope.clamped(&offsets(&[("b", 0, 1)])).is_err());
        assert!(scope.shifted(1).is_err(), "one was never committed");
    }
}
