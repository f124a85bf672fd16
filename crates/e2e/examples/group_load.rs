//! Groups as a load: thousands of members of either protocol with a connection each, commits at
//! a rate, joins to a large group, a member that dies. For `cargo xtask bench groups`; one thread,
//! so that it costs little beside what it measures. What this is not: a consumer.
//!
//! ```text
//! group_load idle BOOTSTRAP TOPIC classic|consumer GROUPS MEMBERS INTERVAL_MS SECONDS
//! group_load commits BOOTSTRAP TOPIC GROUPS RATE SECONDS
//! group_load joins BOOTSTRAP TOPIC MEMBERS
//! group_load death BOOTSTRAP TOPIC classic|consumer SESSION_MS
//! ```

#![expect(clippy::disallowed_methods, reason = "measures time")]

#[path = "group_load/link.rs"]
mod link;
#[path = "group_load/member.rs"]
mod member;
#[path = "group_load/modes.rs"]
mod modes;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [
            "idle",
            bootstrap,
            topic,
            protocol,
            groups,
            members,
            interval,
            seconds,
        ] => {
            let protocol = modes::protocol(protocol);
            let common = modes::common(bootstrap, topic, protocol, number(interval), 45_000);
            modes::idle(&common, number(groups), number(members), number(seconds));
        }
        ["commits", bootstrap, topic, groups, rate, seconds] => {
            modes::commits(
                bootstrap,
                topic,
                number(groups),
                number(rate),
                number(seconds),
            );
        }
        ["joins", bootstrap, topic, members] => modes::joins(bootstrap, topic, number(members)),
        ["death", bootstrap, topic, protocol, session] => {
            let protocol = modes::protocol(protocol);
            let session = number(session) as i32;
            modes::death(&modes::common(bootstrap, topic, protocol, 20, session));
        }
        _ => panic!("usage: group_load idle|commits|joins|death ARGS; see the head of its source"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
