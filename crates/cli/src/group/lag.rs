//! How far a group is behind: in records, and in time - how old the first record is that it
//! hasn't consumed.

use super::{existing, open, or_dash};
use crate::args::{GroupLag, GroupWatch, Output};
use crate::client::deadline::{sleep, wall_ms};
use crate::client::groups::{self, Group};
use crate::client::reader::{Bound, TopicReader};
use crate::client::{Cluster, Code, Deadline, Trouble};
use crate::output::{self, Table};
use crate::time;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the first record that isn't consumed may take to be read.
const LOOK: Duration = Duration::from_secs(2);

/// One partition.
#[derive(Clone, Debug)]
pub struct Row {
    group: String,
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    /// Milliseconds since 1970 of the first record that isn't consumed.
    oldest_ms: Option<i64>,
    member: Option<String>,
}

impl Row {
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }

    fn age_ms(&self) -> Option<i64> {
        if self.lag()? == 0 {
            return Some(0);
        }
        self.oldest_ms.map(|oldest| (wall_ms() - oldest).max(0))
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        json!({
            "group": self.group,
            "topic": self.topic,
            "partition": self.partition,
            "committed": self.committed,
            "end": self.end,
            "lag": self.lag(),
            "lag_ms": self.age_ms(),
            "member": self.member,
        })
    }
}

/// Every partition that the group has an offset of, or a member for.
pub fn measure(
    cluster: &mut Cluster,
    group: &Group,
    deadline: Deadline,
) -> Result<Vec<Row>, Trouble> {
    let committed = groups::committed(cluster, &group.name, deadline)?;
    let mut places: BTreeSet<(String, i32)> = committed.keys().cloned().collect();
    for (topic, partitions) in group.members.iter().flat_map(|member| &member.assigned) {
        places.extend(partitions.iter().map(|p| (topic.clone(), *p)));
    }
    let topics: BTreeSet<String> = places.iter().map(|(topic, _)| topic.clone()).collect();
    let (mut ends, mut oldest) = (BTreeMap::new(), BTreeMap::new());
    for topic in topics {
        // A topic that was deleted, or that we may not see, has no end; its offsets are shown all the same.
        let mut reader = match TopicReader::open(cluster, &topic, None, deadline) {
            Err(Trouble::Refused { code, .. })
                if code == Code::UNKNOWN_TOPIC_OR_PARTITION || !code.is_retriable() =>
            {
                continue;
            }
            opened => opened?,
        };
        let of_topic = reader.offsets(cluster, Bound::Latest, deadline)?;
        let first = reader.offsets(cluster, Bound::Earliest, deadline)?;
        for (partition, end) in of_topic {
            let place = (topic.clone(), partition);
            if let Some(offset) = committed.get(&place).filter(|offset| **offset < end) {
                let start = first.get(&partition).copied().unwrap_or(0);
                reader.seek(partition, (*offset).max(start));
            }
            ends.insert(place, end);
        }
        oldest.extend(first_records(cluster, &mut reader, &topic, deadline)?);
    }
    let row = |(topic, partition): (String, i32)| {
        let place = (topic.clone(), partition);
        let member = group.owner(&topic, partition);
        Row {
            group: group.name.clone(),
            committed: committed.get(&place).copied(),
            end: ends.get(&place).copied(),
            oldest_ms: oldest.get(&place).copied(),
            member: member.map(|member| member.id.clone()),
            topic,
            partition,
        }
    };
    Ok(places.into_iter().map(row).collect())
}

/// The timestamps of the first records from where the reader stands.
fn first_records(
    cluster: &mut Cluster,
    reader: &mut TopicReader,
    topic: &str,
    deadline: Deadline,
) -> Result<BTreeMap<(String, i32), i64>, Trouble> {
    let mut found = BTreeMap::new();
    let until = deadline.within(LOOK);
    while !reader.partitions().is_empty() && until.left().is_some() {
        for record in reader.poll(cluster, Duration::from_millis(100), deadline)? {
            let place = (topic.to_owned(), record.partition);
            found.entry(place).or_insert(record.timestamp);
            reader.leave(record.partition);
        }
    }
    Ok(found)
}

/// For people.
pub fn table(rows: &[Row]) -> Table {
    let headings = [
        "topic",
        "partition",
        "committed",
        "end",
        "lag",
        "behind",
        "member",
    ];
    let mut table = Table::new(&headings);
    let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for row in rows {
        table.row(vec![
            row.topic.clone(),
            row.partition.to_string(),
            number(row.committed),
            number(row.end),
            number(row.lag()),
            row.age_ms().map_or_else(|| "-".to_owned(), time::spoken),
            or_dash(row.member.clone().unwrap_or_default()),
        ]);
    }
    table
}

/// `flotilla group lag`.
pub fn run(args: &GroupLag) -> Result<(), Trouble> {
    let (mut cluster, deadline) = open(&args.target)?;
    let names = match args.names.is_empty() {
        false => args.names.clone(),
        true => {
            let listed = groups::list(&mut cluster, deadline)?;
            listed.into_iter().map(|group| group.group_id).collect()
        }
    };
    let mut rows = Vec::new();
    for name in &names {
        let group = existing(&mut cluster, name, deadline)?;
        rows.push((name, measure(&mut cluster, &group, deadline)?));
    }
    if args.target.output == Output::Json {
        let all = rows.iter().flat_map(|(_, rows)| rows);
        return output::json(&all.map(Row::json).collect());
    }
    for (name, rows) in &rows {
        let total: i64 = rows.iter().filter_map(Row::lag).sum();
        let behind = rows.iter().filter_map(Row::age_ms).max();
        output::text(&format!(
            "{name}  lag {total}, behind {}\n{}",
            behind.map_or_else(|| "-".to_owned(), time::spoken),
            table(rows).text()
        ))?;
    }
    Ok(())
}

/// `flotilla group watch`: a line per look.
pub fn watch(args: &GroupWatch) -> Result<(), Trouble> {
    let mut last: Option<(i64, i64)> = None;
    for look in 0..args.count.unwrap_or(u64::MAX) {
        if look > 0 {
            sleep(args.interval);
        }
        let (mut cluster, deadline) = open(&args.target)?;
        let group = existing(&mut cluster, &args.name, deadline)?;
        let rows = measure(&mut cluster, &group, deadline)?;
        let lag: i64 = rows.iter().filter_map(Row::lag).sum();
        let behind = rows.iter().filter_map(Row::age_ms).max();
        let consumed: i64 = rows.iter().filter_map(|row| row.committed).sum();
        let now = wall_ms();
        let rate = last.map(|(then, before)| (consumed - before) * 1000 / (now - then).max(1));
        last = Some((now, consumed));
        match args.target.output {
            Output::Json => output::json(&json!({
                "time": now,
                "state": group.state,
                "members": group.members.len(),
                "lag": lag,
                "lag_ms": behind,
                "records_per_second": rate,
            }))?,
            Output::Text => output::text(&format!(
                "{}  {}, lag {lag}, behind {}, {} records/s\n",
                group.state,
                output::counted(group.members.len() as u64, "member"),
                behind.map_or_else(|| "-".to_owned(), time::spoken),
                rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string()),
            ))?,
        }
    }
    Ok(())
}
