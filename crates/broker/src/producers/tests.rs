use super::*;
use crate::tests::World;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

fn call(world: &World, ticket: u64) {
    let now = Now {
        mono: Mono(ticket),
        ..Now::default()
    };
    let wait = Duration::from_micros(100);
    world
        .broker
        .init_producer(now, &Principal::ANONYMOUS, wait, world.to(ticket));
}

/// Answers the one allocation that is under way.
fn allocate(world: &World, answer: Result<i64, Refusal>) -> Mono {
    let (command, Some(to)) = world.post.one() else {
        panic!("nobody to answer")
    };
    let Command::Meta {
        command: asked,
        deadline,
    } = command
    else {
        panic!("{command:?}")
    };
    assert_eq!(asked, meta::Command::AllocateProducerIds { count: BLOCK });
    let answer = answer.map(|first| meta::Reply::ProducerIds(ProducerId(first)));
    to.sink.reply(to.ticket, Reply::Meta(answer));
    deadline
}

fn ids(world: &World) -> Vec<(u64, Result<i64, Refusal>)> {
    let id = |(ticket, reply)| match reply {
        Reply::Meta(Ok(meta::Reply::ProducerIds(id))) => (ticket, Ok(id.0)),
        Reply::Meta(Err(why)) => (ticket, Err(why)),
        other => panic!("an answer to something else: {other:?}"),
    };
    world.inbox.take().into_iter().map(id).collect()
}

#[test]
fn callers_wait_for_one_allocation_and_the_rest_of_the_block_is_at_hand() {
    let world = World::new(&[]);
    (1..=3).for_each(|ticket| call(&world, ticket));
    assert!(ids(&world).is_empty());
    allocate(&world, Ok(5000));
    assert_eq!(ids(&world), [(1, Ok(5000)), (2, Ok(5001)), (3, Ok(5002))]);
    call(&world, 4);
    assert_eq!(ids(&world), [(4, Ok(5003))]);
    assert!(world.post.take().is_empty());
}

#[test]
fn more_callers_than_a_block_has_ids_get_a_second_block() {
    let world = World::new(&[]);
    let callers = u64::from(BLOCK) + 2;
    (0..callers).for_each(|ticket| call(&world, ticket));
    allocate(&world, Ok(0));
    assert_eq!(ids(&world).len(), BLOCK as usize);
    let deadline = allocate(&world, Ok(7000));
    assert_eq!(deadline, Mono(callers - 1 + 100));
    assert_eq!(ids(&world), [(1000, Ok(7000)), (1001, Ok(7001))]);
}

#[test]
fn a_refused_allocation_refuses_who_waits_and_the_next_caller_asks_again() {
    let world = World::new(&[]);
    (1..=2).for_each(|ticket| call(&world, ticket));
    allocate(&world, Err(Refusal::NoController));
    let no = Err(Refusal::NoController);
    assert_eq!(ids(&world), [(1, no.clone()), (2, no)]);
    world.post.full.store(true, Ordering::Relaxed);
    call(&world, 3);
    assert!(matches!(ids(&world)[..], [(3, Err(Refusal::Busy(_)))]));
    world.post.full.store(false, Ordering::Relaxed);
    call(&world, 4);
    allocate(&world, Ok(0));
    assert_eq!(ids(&world), [(4, Ok(0))]);
}

#[test]
fn too_many_waiting_callers_are_refused() {
    let world = World::new(&[]);
    (0..=WAITERS_MAX as u64).for_each(|ticket| call(&world, ticket));
    assert!(matches!(ids(&world)[..], [(_, Err(Refusal::Busy(_)))]));
}

/// A controller that answers while it is asked.
#[derive(Default)]
struct Controller(Mutex<i64>);

impl Mailbox for Controller {
    fn post(&self, event: Event) -> Result<(), Refusal> {
        let Event::Command(_, Some(to)) = event else {
            panic!("a call with an answer")
        };
        let first = {
            let mut next = lock(&self.0);
            *next += i64::from(BLOCK);
            ProducerId(*next)
        };
        to.sink
            .reply(to.ticket, Reply::Meta(Ok(meta::Reply::ProducerIds(first))));
        Ok(())
    }
}

#[test]
fn concurrent_callers_never_get_the_same_id() {
    const CALLS: u64 = 2500;
    let pool = Arc::new(Pool::new(Arc::new(Controller::default())));
    let world = World::new(&[]);
    std::thread::scope(|threads| {
        for thread in 0..4u64 {
            let (pool, world) = (&pool, &world);
            threads.spawn(move || {
                for ticket in 0..CALLS {
                    let to = world.to(thread * CALLS + ticket);
                    if let Some(answer) = pool.call(Mono(1), &to) {
                        give(&to, answer);
                    }
                }
            });
        }
    });
    let answers = ids(&world);
    let tickets: BTreeSet<u64> = answers.iter().map(|(ticket, _)| *ticket).collect();
    let given: BTreeSet<i64> = answers
        .iter()
        .map(|(_, id)| *id.as_ref().unwrap())
        .collect();
    assert_eq!(
        (tickets.len(), given.len()),
        (4 * CALLS as usize, 4 * CALLS as usize)
    );
}
