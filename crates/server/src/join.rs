//! Joining a cluster that runs: an empty directory asks a member to be taken in, and is given the
//! cluster's identity and a generation of its own, which it makes durable before it does
//! anything else. One that was taken in asks again at each start, so that a directory of another
//! cluster is found out and a new address is known; if nobody answers then it goes on.

use crate::cluster::{Cluster, Identity};
use crate::peers::connect;
use crate::peers::hello::{self, Card, Message};
use crate::start::StartError;
use base::Disk;
use broker::Settings;
use meta::Home;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long a member may take to answer; it asks the controller.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// The same where this node was taken in before, and can do without an answer. After a power cut all start at
/// once: those that are asked may be asking too, and answer nobody before they have gone on.
const ANSWER_WAIT_AGAIN: Duration = Duration::from_millis(500);
/// How long looking up a name and connecting may take.
const REACH_WAIT: Duration = Duration::from_secs(20);
/// Between two rounds over all addresses.
const PAUSE: Duration = Duration::from_millis(200);

/// How many rounds have to end with a refusal before it is believed: a member that has just started
/// may not have read yet that the one before under this number has left.
const REFUSALS_BELIEVED: u32 = 10;

/// The release of this binary, as others are told.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What came of asking one address.
enum Answer {
    In(Cluster, u32),
    No(String),
    Nothing(io::Error),
}

/// Asks until somebody takes this directory in, or all that answer keep refusing to. What came of each
/// round is told.
pub async fn join(
    settings: &Settings,
    identity: &mut Identity,
    address: &str,
    disk: &dyn Disk,
    tell: impl Fn(Vec<String>),
) -> Result<(), StartError> {
    let (mut told, mut refusals) = (false, 0);
    loop {
        let (mut refused, mut asked) = (None, Vec::new());
        for member in &settings.join {
            match ask(&member.to_string(), identity, address).await {
                Answer::In(cluster, generation) => {
                    return take_in(identity, cluster, generation, disk);
                }
                Answer::No(why) => {
                    let member = member.to_string();
                    asked.push(format!("{member}: {why}"));
                    refused = Some(StartError::NotTakenIn { member, why });
                }
                Answer::Nothing(error) => {
                    if !told {
                        tracing::info!("joining by {member}: {error}");
                    }
                    asked.push(format!("{member}: {error}"));
                }
            }
        }
        tell(asked);
        if let Some(refused) = refused {
            refusals += 1;
            if refusals == REFUSALS_BELIEVED {
                return Err(refused);
            }
        } else if identity.cluster.is_some() {
            tracing::info!("none of --join answers; this node belongs to its cluster already");
            return Ok(());
        }
        told = true;
        sleep(PAUSE).await;
    }
}

fn take_in(
    identity: &mut Identity,
    cluster: Cluster,
    generation: u32,
    disk: &dyn Disk,
) -> Result<(), StartError> {
    if identity.cluster.is_none() {
        tracing::info!("joined cluster {} as generation {generation}", cluster.id);
        identity.cluster = Some(cluster);
        identity.generation = generation;
        identity.write(disk)?;
    }
    Ok(())
}

async fn ask(member: &str, identity: &Identity, address: &str) -> Answer {
    let (reach, wait) = match identity.cluster {
        Some(_) => (ANSWER_WAIT_AGAIN, ANSWER_WAIT_AGAIN),
        None => (REACH_WAIT, ANSWER_WAIT),
    };
    let stream = match timeout(reach, connect(member)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Answer::Nothing(error),
        Err(_) => return Answer::Nothing(io::ErrorKind::TimedOut.into()),
    };
    match timeout(wait, talk(stream, identity, address)).await {
        Ok(Ok(Message::Joined {
            cluster,
            generation,
        })) => Answer::In(cluster, generation),
        Ok(Ok(Message::Refused { reason })) => Answer::No(reason),
        Ok(Ok(Message::Later { reason })) => Answer::Nothing(io::Error::other(reason)),
        Ok(Ok(other)) => Answer::Nothing(io::Error::other(format!("unexpected answer {other:?}"))),
        Ok(Err(error)) => Answer::Nothing(told(error)),
        Err(_) => Answer::Nothing(io::ErrorKind::TimedOut.into()),
    }
}

/// Who hangs up without a word may be a node all the same, asked at the wrong port.
fn told(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => io::Error::other(
            "hung up without an answer: --join wants the address where a node listens for other nodes (--peer)",
        ),
        _ => error,
    }
}

async fn talk(mut stream: TcpStream, identity: &Identity, address: &str) -> io::Result<Message> {
    let cluster = identity.cluster.as_ref().map(|cluster| cluster.id);
    let card = Card::new(identity.node, identity.incarnation, cluster);
    let join = Message::Join {
        card,
        address: address.to_owned(),
        release: RELEASE.to_owned(),
        levels: Some((meta::LEVELS.min.0, meta::LEVELS.max.0)),
    };
    hello::write(&mut stream, &join).await?;
    hello::read(&mut stream).await
}

/// Where this node lives, as others are told.
pub fn home(identity: &Identity, address: &str) -> Home {
    Home {
        address: address.to_owned(),
        directory: identity.incarnation,
        release: RELEASE.to_owned(),
        generation: identity.generation,
    }
}
