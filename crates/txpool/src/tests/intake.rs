//! Transactions taken in by a server.

use super::{World, head, key_address, tx};
use crate::{Added, Intake, IntakeError, IntakeLimits, Origin, Pool, PoolConfig, PoolError};
use parking_lot::Mutex;
use std::{
    sync::{Arc, mpsc},
    thread,
};

type Replies = mpsc::Receiver<(usize, Result<Added, PoolError>)>;

fn pool() -> Arc<Pool> {
    Arc::new(Pool::new(PoolConfig::dev(), head(0), Arc::new(World::default())))
}

fn submit_all(intake: &Intake, raw: Vec<alloy_primitives::Bytes>) -> Replies {
    let (send, replies) = mpsc::channel();
    for (index, raw) in raw.into_iter().enumerate() {
        let send = send.clone();
        let reply = Box::new(move |result| send.send((index, result)).expect("somebody listens"));
        intake.submit(raw, Origin::Local, reply).expect("there is room");
    }
    replies
}

#[test]
fn everybody_gets_their_reply_and_nonces_stay_in_order() {
    let pool = pool();
    let intake = Intake::start(&pool, IntakeLimits::default()).unwrap();
    let mut raw: Vec<_> = (0..300).map(|nonce| tx(1, nonce).signed()).collect();
    raw.insert(100, vec![9].into());
    raw.push(vec![3, 0xc0].into());
    let results: Vec<_> = {
        let mut results: Vec<_> = submit_all(&intake, raw).iter().collect();
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    };
    assert_eq!(results.len(), 302);
    for (index, result) in results.iter().enumerate() {
        match index {
            100 | 301 => assert!(matches!(result, Err(PoolError::Decode(_)))),
            _ => assert!(result.as_ref().unwrap().pending, "{index} waits for a nonce"),
        }
    }
    assert_eq!(pool.pending_nonce(&key_address(1)), Some(300));
}

#[test]
fn many_threads_may_submit() {
    let pool = pool();
    let intake = Intake::start(&pool, IntakeLimits::default()).unwrap();
    thread::scope(|scope| {
        for sender in 0..8 {
            let intake = &intake;
            scope.spawn(move || {
                let raw = (0..50).map(|nonce| tx(sender, nonce).signed()).collect();
                assert!(submit_all(intake, raw).iter().all(|(_, result)| result.is_ok()));
            });
        }
    });
    assert_eq!(pool.status(), (400, 0));
    assert_eq!(intake.waiting(), 0);
}

#[test]
fn what_was_taken_in_is_finished_at_the_end() {
    let pool = pool();
    let intake = Intake::start(&pool, IntakeLimits::default()).unwrap();
    let replies = submit_all(&intake, (0..500).map(|nonce| tx(1, nonce).signed()).collect());
    drop(intake);
    assert_eq!(pool.status(), (500, 0));
    assert_eq!(replies.try_iter().count(), 500);
}

#[test]
fn no_more_is_taken_in_than_may_wait() {
    let pool = pool();
    let limits = IntakeLimits { transactions: 2, bytes: 1000 };
    let intake = Intake::start(&pool, limits).unwrap();
    // The first reply keeps the thread until it may go on.
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let (send, entered) = mpsc::channel();
    let inner = gate.clone();
    let hold = Box::new(move |_| {
        send.send(()).expect("somebody listens");
        drop(inner.lock());
    });
    intake.submit(tx(1, 0).signed(), Origin::Local, hold).unwrap();
    entered.recv().unwrap();
    let submit = |raw| intake.submit(raw, Origin::Local, Box::new(|_| ()));
    let large = super::Tx { input: 900, ..tx(1, 3) };
    submit(tx(1, 1).signed()).unwrap();
    assert_eq!(submit(large.signed()), Err(IntakeError::Busy));
    submit(tx(1, 2).signed()).unwrap();
    assert_eq!(submit(tx(1, 3).signed()), Err(IntakeError::Busy));
    drop(closed);
    drop(intake);
    assert_eq!(pool.status(), (3, 0));
}

#[test]
fn a_thread_that_dies_says_so() {
    let pool = pool();
    let intake = Intake::start(&pool, IntakeLimits::default()).unwrap();
    let (send, replies) = mpsc::channel::<()>();
    let die = Box::new(move |_| {
        let _keep = &send;
        panic!("on purpose");
    });
    intake.submit(tx(1, 0).signed(), Origin::Local, die).unwrap();
    assert!(replies.recv().is_err());
    while intake.submit(tx(1, 1).signed(), Origin::Local, Box::new(|_| ())).is_ok() {
        thread::yield_now();
    }
    let after = intake.submit(tx(1, 1).signed(), Origin::Local, Box::new(|_| ()));
    assert_eq!(after, Err(IntakeError::Closed));
}
