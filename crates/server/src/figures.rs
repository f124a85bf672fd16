//! The node's figures as families of samples: what its parts counted, under the names that
//! operators see. Nothing is counted here.

use crate::health::Running;
use crate::kafka::Door;
use broker::{Broker, Verb};
use serve_http::metrics::{Family, Kind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything that a running node counts.
pub fn of(running: &Running, families: &mut Vec<Family>) {
    connections(&running.door, families);
    requests(&running.door, families);
    pushed(&running.door, families);
    calls(&running.broker, families);
    let stats = running
        .shard
        .lock()
        .expect("nobody panics while copying figures")
        .clone();
    replicas(&stats, families);
    checks(&stats, families);
    laggards(&stats, families);
    compaction(&stats, families);
    work(&stats, families);
    ways(running, families);
    storage(running, families);
}

fn connections(door: &Door, families: &mut Vec<Family>) {
    families.extend([
        Family::gauge(
            "flotilla_connections",
            "Connections of Kafka clients.",
            door.open(),
        ),
        Family::counter(
            "flotilla_connections_total",
            "Connections let in.",
            door.accepted(),
        ),
        Family::counter(
            "flotilla_connections_turned_away_total",
            "Connections turned away because there were too many, or too many came in a second.",
            door.turned_away(),
        ),
        Family::counter(
            "flotilla_connections_delayed_total",
            "Connections that waited because too many came in a second.",
            door.delayed(),
        ),
        Family::counter(
            "flotilla_connections_closed_total",
            "Connections closed because of what the client sent.",
            door.counters().closed_connections(),
        ),
    ]);
}

fn requests(door: &Door, families: &mut Vec<Family>) {
    let counts = door.counters().counts();
    families.extend([
        Family::counters(
            "flotilla_requests_total",
            "Requests by API.",
            "api",
            counts.iter().map(|c| (c.api, c.requests)),
        ),
        Family::counters(
            "flotilla_request_bytes_total",
            "Bytes of requests by API.",
            "api",
            counts.iter().map(|c| (c.api, c.request_bytes)),
        ),
        Family::counters(
            "flotilla_answer_bytes_total",
            "Bytes of answers by API.",
            "api",
            counts.iter().map(|c| (c.api, c.answer_bytes)),
        ),
        Family::times(
            "flotilla_request_seconds",
            "Time from a request to its answer by API, with what it waited for.",
            "api",
            counts.iter().map(|c| (c.api, c.waits.clone())),
        ),
    ]);
}

/// What clients pushed of their own metrics, a family for each name.
fn pushed(door: &Door, families: &mut Vec<Family>) {
    let telemetry = door.counters().telemetry();
    let mut last: Option<Family> = None;
    for (series, value) in telemetry.series(os::clock::mono()) {
        let kind = match series.counts {
            true => Kind::Counter,
            false => Kind::Gauge,
        };
        if last
            .as_ref()
            .is_none_or(|family| family.name != series.name)
        {
            families.extend(last.take());
            let help = format!("Pushed by clients, who call it {}.", series.origin);
            last = Some(Family::empty(series.name, help, kind));
        }
        if let Some(family) = &mut last {
            family.push_labelled(series.labels, value);
        }
    }
    families.extend(last);
    families.push(Family::counter(
        "flotilla_pushed_metrics_dropped_total",
        "Values pushed by clients that were not kept.",
        telemetry.dropped(),
    ));
}

fn calls(broker: &Broker, families: &mut Vec<Family>) {
    let budget = broker.budget();
    let calls = Verb::ALL
        .iter()
        .map(|verb| (verb.name(), broker.stats().calls(*verb)));
    let refused = Verb::ALL
        .iter()
        .map(|verb| (verb.name(), broker.stats().refusals(*verb)));
    families.extend([
        Family::counters(
            "flotilla_calls_total",
            "Calls of the broker by verb.",
            "verb",
            calls,
        ),
        Family::counters(
            "flotilla_refusals_total",
            "Parts of calls refused before they reached the shard, by verb.",
            "verb",
            refused,
        ),
        Family::gauge(
            "flotilla_requests_in_flight_bytes",
            "Bytes of requests in flight.",
            budget.used(),
        ),
        Family::gauge(
            "flotilla_answers_in_flight_bytes",
            "Bytes of records in answers that are read or wait to be written.",
            broker.answers().used(),
        ),
    ]);
}

fn compaction(stats: &shard::Stats, families: &mut Vec<Family>) {
    families.extend([
        Family::counter(
            "flotilla_compactions_total",
            "Rewrites of logs that were compacted.",
            stats.compactions,
        ),
        Family::counter(
            "flotilla_compaction_bytes_read_total",
            "Bytes of segments that compaction has rewritten.",
            stats.compacted_bytes_before,
        ),
        Family::counter(
            "flotilla_compaction_bytes_kept_total",
            "Bytes that compaction has left of them.",
            stats.compacted_bytes_after,
        ),
        Family::counter(
            "flotilla_compaction_records_removed_total",
            "Records that compaction has taken away.",
            stats.compacted_records,
        ),
        Family::gauge(
            "flotilla_compaction_bytes_left",
            "Bytes that the compaction under way has still to go through.",
            stats.compaction_bytes_left,
        ),
    ]);
}

fn replicas(stats: &shard::Stats, families: &mut Vec<Family>) {
    families.extend([
        Family::gauge(
            "flotilla_replicas",
            "Replicas on this node.",
            stats.replicas,
        ),
        Family::gauge(
            "flotilla_led_groups",
            "Groups that this node leads.",
            stats.led,
        ),
        Family::gauge(
            "flotilla_leaderless_groups",
            "Groups of this node without a known leader.",
            stats.leaderless,
        ),
        Family::gauge(
            "flotilla_leaders_elsewhere",
            "Partitions that aren't led by their preferred leader, as the node that leads the metadata saw it last; zero elsewhere.",
            stats.leaders_elsewhere,
        ),
        Family::counter(
            "flotilla_leaders_asked_back_total",
            "Times that this node asked a leader to hand over to the preferred one (auto.leader.rebalance.enable).",
            stats.leaders_asked_back,
        ),
        Family::counter(
            "flotilla_log_starts_moved_total",
            "Times that the start of a log on this node moved.",
            stats.starts_moved,
        ),
        Family::gauge(
            "flotilla_retention_held_bytes",
            "Bytes past their retention that are kept for replicas that lack them.",
            stats.held_bytes,
        ),
        Family::gauge(
            "flotilla_hot_bytes",
            "Bytes of batches in memory.",
            stats.hot_bytes,
        ),
        Family::gauge(
            "flotilla_unsettled_bytes",
            "Bytes of batches that the disk hasn't taken; beyond 256 MiB no more are taken in.",
            stats.unsettled_bytes,
        ),
        Family::gauge(
            "flotilla_uncommitted_bytes",
            "Bytes appended and not committed.",
            stats.uncommitted_bytes,
        ),
        Family::gauge(
            "flotilla_waiting_appends",
            "Appends that wait for their commit.",
            stats.appends_waiting,
        ),
        Family::gauge(
            "flotilla_waiting_reads",
            "Reads that wait for data.",
            stats.reads_waiting,
        ),
    ]);
}

/// What is looked at on disk, and what was found there.
fn checks(stats: &shard::Stats, families: &mut Vec<Family>) {
    families.extend([
        Family::counter(
            "flotilla_check_bytes_total",
            "Bytes that were read to see that replicas are whole and what their leaders have.",
            stats.check_bytes,
        ),
        Family::counter(
            "flotilla_checked_replicas_total",
            "Replicas that were looked at from one end to the other.",
            stats.checks,
        ),
        Family::gauge(
            "flotilla_check_replicas_left",
            "Replicas that the round under way has still to look at.",
            stats.check_left,
        ),
        Family::gauge(
            "flotilla_differing_replicas",
            "Replicas on this node that differ from their leaders although both are whole.",
            stats.replicas_differing,
        ),
        Family::gauge(
            "flotilla_renewals_held_back",
            "Damaged replicas on this node that get no successor before an hour is over, because several of theirs were damaged within it.",
            stats.renewals_held_back,
        ),
        Family::counter(
            "flotilla_renewed_replicas_total",
            "Damaged replicas on this node that gave their place to new ones.",
            stats.replicas_renewed,
        ),
        Family::gauge(
            "flotilla_moving_partitions",
            "Partitions with a replica on this node whose replicas are not yet those that they should be.",
            stats.groups_moving,
        ),
    ]);
}

/// Replicas that are far behind, and what they are given.
fn laggards(stats: &shard::Stats, families: &mut Vec<Family>) {
    families.extend([
        Family::gauge(
            "flotilla_full_nodes",
            "Nodes whose disks are below their reserves and that take no records, as far as this one knows, itself included.",
            stats.nodes_full,
        ),
        Family::counter(
            "flotilla_catch_up_bytes_total",
            "Bytes read from files for replicas that are far behind their leader on this node.",
            stats.catch_up_bytes,
        ),
        Family::counter(
            "flotilla_catch_up_waits_total",
            "Times that such a replica waited for the bound on those bytes.",
            stats.catch_up_waits,
        ),
        Family::counter(
            "flotilla_snapshots_sent_total",
            "Snapshots sent to replicas that were behind the start of their leader's log.",
            stats.snapshots_sent,
        ),
        Family::counter(
            "flotilla_snapshots_installed_total",
            "Snapshots that took the place of a replica's log on this node.",
            stats.snapshots_installed,
        ),
        Family::counter(
            "flotilla_snapshot_bytes_total",
            "Bytes of compacted records that came to this node with snapshots.",
            stats.snapshot_bytes,
        ),
        Family::gauge(
            "flotilla_snapshot_left_bytes",
            "Bytes that the snapshot under way still has to bring to this node.",
            stats.snapshot_bytes_left,
        ),
    ]);
}

fn work(stats: &shard::Stats, families: &mut Vec<Family>) {
    families.extend([
        Family::counter(
            "flotilla_appended_batches_total",
            "Batches appended as leader.",
            stats.batches_appended,
        ),
        Family::counter(
            "flotilla_appended_bytes_total",
            "Bytes appended as leader.",
            stats.bytes_appended,
        ),
        Family::counter(
            "flotilla_campaigns_total",
            "Elections started.",
            stats.campaigns,
        ),
        Family::counter(
            "flotilla_elections_won_total",
            "Elections won.",
            stats.elections_won,
        ),
        Family::counter(
            "flotilla_truncations_total",
            "Logs cut after a conflict.",
            stats.truncations,
        ),
    ]);
}

fn ways(running: &Running, families: &mut Vec<Family>) {
    families.extend([
        Family::gauge(
            "flotilla_mailbox_events",
            "Events that wait.",
            running.mailbox.len(),
        ),
        Family::gauge(
            "flotilla_peers_connected",
            "Reachable peers.",
            running.peers.connected(),
        ),
        Family::counter(
            "flotilla_peer_frames_dropped_total",
            "Frames dropped because a peer was too slow.",
            running.peers.dropped_frames(),
        ),
    ]);
}

fn storage(running: &Running, families: &mut Vec<Family>) {
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
    let seconds = |micros: &AtomicU64| std::time::Duration::from_micros(read(micros));
    let counters = &running.storage;
    let mut writes = Family::empty(
        "flotilla_sync_seconds",
        "Time of a write to the log with its sync.",
        Kind::Histogram,
    );
    writes.push_times(&[], &counters.write_times.read());
    families.extend([
        writes,
        Family::counter(
            "flotilla_turns_total",
            "Turns made durable.",
            read(&counters.turns),
        ),
        Family::counter(
            "flotilla_syncs_total",
            "Writes to the log, each with a sync over all that waited.",
            read(&counters.writes),
        ),
        Family::gauge(
            "flotilla_sync_seconds_max",
            "The longest write and sync since the start.",
            seconds(&counters.write_micros_max),
        ),
        Family::counter(
            "flotilla_log_flushes_total",
            "Flushes that let the write-ahead log be reused.",
            read(&counters.flushes),
        ),
        Family::gauge(
            "flotilla_turns_waiting",
            "Turns that wait.",
            running.orders.len() + counters.held_up.load(Ordering::Relaxed),
        ),
        Family::gauge(
            "flotilla_reads_queued",
            "Cold reads that wait.",
            running.readers.waiting() + running.jobs.waiting(),
        ),
        Family::gauge(
            "flotilla_disk_full",
            "1 while writing waits for room.",
            counters.full.is_so(),
        ),
    ]);
}
