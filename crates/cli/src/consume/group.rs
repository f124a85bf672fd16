//! `flotilla consume --group`: as a member of a group, which goes on where the group stopped.
//! Offsets are committed after their records were printed.

use super::{Filter, WAIT, print::Printer};
use crate::args::{Consume, Protocol};
use crate::client::groups;
use crate::client::member::{Heard, Member, Wish};
use crate::client::reader::{Bound, Received, TopicReader};
use crate::client::{Cluster, Deadline, Trouble};
use crate::output;
use crate::stop::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who has nothing to read for so long hears why.
const WITHOUT: Duration = Duration::from_secs(5);

/// What one run of the command keeps.
struct Run<'a> {
    args: &'a Consume,
    group: &'a str,
    cluster: Cluster,
    member: Member,
    reader: TopicReader,
    stop: Stop,
    /// Where the partitions ended when they became ours.
    ends: BTreeMap<i32, i64>,
    mine: BTreeSet<i32>,
    /// When it is told that it has no partition; none once it was.
    without: Option<Deadline>,
    /// What was printed but isn't committed.
    printed: BTreeMap<i32, i64>,
}

/// Runs the command.
pub fn run(args: &Consume, group: &str) -> Result<(), Trouble> {
    let mut cluster = Cluster::new(&args.target.bootstrap)?;
    let until = || Deadline::after(args.target.timeout);
    let reader = TopicReader::open(&mut cluster, &args.topic, None, until())?;
    let wish = Wish {
        group: group.to_owned(),
        topic: args.topic.clone(),
        instance: args.group_instance_id.clone(),
    };
    let member = match args.group_protocol {
        Protocol::Classic => Member::classic(wish),
        Protocol::Consumer => Member::consumer(wish),
    };
    let mut run = Run {
        args,
        group,
        cluster,
        member,
        reader,
        stop: Stop::listen()?,
        ends: BTreeMap::new(),
        mine: BTreeSet::new(),
        without: Some(Deadline::after(WITHOUT)),
        printed: BTreeMap::new(),
    };
    let mut printer = Printer::new(args);
    let outcome = run.join().and_then(|()| run.work(&mut printer));
    // Who fails leaves as well: the others are not to wait for the end of its session.
    let left = run.member.leave(&mut run.cluster, until());
    outcome.and(left)?;
    printer.finish()
}

impl Run<'_> {
    fn until(&self) -> Deadline {
        Deadline::after(self.args.target.timeout)
    }

    fn work(&mut self, printer: &mut Printer) -> Result<(), Trouble> {
        let mut left = self.args.count.unwrap_or(u64::MAX);
        let filter = Filter::new(self.args);
        loop {
            // Who is told to stop leaves: the others don't wait for the end of its session.
            let done = left == 0 || self.stop.is_told();
            if done || (!self.args.follow && self.is_done()?) {
                return Ok(());
            }
            let received = self.poll()?;
            super::tell_removed(self.args, &mut self.reader)?;
            for record in received {
                if left > 0 {
                    if filter.lets(&record) {
                        printer.record(&record)?;
                        left -= 1;
                    }
                    self.printed.insert(record.partition, record.offset + 1);
                }
            }
            printer.flush()?;
            if !self.commit()? {
                self.join()?;
            }
            self.heartbeat()?;
        }
    }

    /// True if everything is read that is its own and was there when it became so, and nothing
    /// else is to become its own.
    fn is_done(&mut self) -> Result<bool, Trouble> {
        let done = |partition: &i32| {
            let end = self.ends.get(partition).copied().unwrap_or(0);
            self.reader.position(*partition) >= end
        };
        if !self.mine.iter().all(done) {
            return Ok(false);
        }
        let until = self.until();
        self.member.is_settled(&mut self.cluster, until)
    }

    fn poll(&mut self) -> Result<Vec<Received>, Trouble> {
        if self.mine.is_empty() {
            self.member.idle();
            self.tell_why();
            return Ok(Vec::new());
        }
        let until = self.until();
        let polled = self.reader.poll(&mut self.cluster, WAIT, until);
        super::patiently(self.args, polled)
    }

    /// A member that is given nothing would look as if nothing was written.
    fn tell_why(&mut self) {
        if self.without.is_some_and(|when| when.left().is_none()) {
            self.without = None;
            output::complain(&format!(
                "no partition of {} for this member yet: others of the group have them, see `flotilla group members {}`",
                self.args.topic, self.group
            ));
        }
    }

    /// False if the group has gone on without us.
    fn commit(&mut self) -> Result<bool, Trouble> {
        if self.printed.is_empty() {
            return Ok(true);
        }
        let until = self.until();
        let committed = self
            .member
            .commit(&mut self.cluster, &self.printed, until)?;
        self.printed.clear();
        Ok(committed)
    }

    fn heartbeat(&mut self) -> Result<(), Trouble> {
        let until = self.until();
        match self.member.heartbeat(&mut self.cluster, until)? {
            Heard::Nothing => Ok(()),
            // What was printed is committed, so nothing stands in the way of giving some up.
            Heard::Given(partitions) => self.hold(partitions),
            Heard::Outdated => self.join(),
        }
    }

    /// Joins, and begins anew with what becomes ours.
    fn join(&mut self) -> Result<(), Trouble> {
        let until = self.until();
        self.hold(BTreeSet::new())?;
        let given = self.member.join(&mut self.cluster, until)?;
        self.hold(given)
    }

    /// Leaves what isn't ours any more, and begins with what became ours: where the group is, or
    /// where the command says if it never was anywhere.
    fn hold(&mut self, given: BTreeSet<i32>) -> Result<(), Trouble> {
        for partition in self.mine.difference(&given) {
            self.reader.leave(*partition);
            self.ends.remove(partition);
        }
        let new: BTreeSet<i32> = given.difference(&self.mine).copied().collect();
        self.mine = given;
        if new.is_empty() {
            return Ok(());
        }
        let until = self.until();
        let (reader, cluster) = (&mut self.reader, &mut self.cluster);
        let committed = groups::committed(cluster, self.group, until)?;
        reader.take_up(cluster, &new, until)?;
        let first = reader.offsets(cluster, Bound::Earliest, until)?;
        let ends = reader.offsets(cluster, Bound::Latest, until)?;
        let starts = super::starts(self.args, cluster, reader, &first, &ends, until)?;
        for partition in new {
            let place = (self.args.topic.clone(), partition);
            let earliest = first.get(&partition).copied().unwrap_or(0);
            let end = ends.get(&partition).copied().unwrap_or(0);
            let start = starts.get(&partition).copied().unwrap_or(earliest);
            let offset = committed.get(&place).copied().unwrap_or(start);
            self.ends.insert(partition, end);
            self.reader
                .seek(partition, offset.clamp(earliest, end.max(earliest)));
        }
        Ok(())
    }
}
