//! The scheduler's transitions, one by one.

use super::*;

fn scheduler(txs: usize, lead: u64) -> Scheduler {
    let txs = vec![TxPlan::Ahead { group: 0 }; txs];
    let s = Scheduler::new(&Plan { txs, groups: 1, lead, ..Plan::default() });
    s.calm.store(CALM, Ordering::Relaxed);
    s
}

#[test]
fn helpers_leave_the_lead_to_the_front() {
    let s = scheduler(6, 1);
    assert_eq!(s.claim(), Some(2));
    assert_eq!(s.claim(), Some(3));
    assert_eq!(s.front_step(0), FrontStep::Execute);
    s.advance(0);
    assert_eq!(s.front_step(1), FrontStep::Execute);
    s.advance(1);
    assert_eq!(s.front_step(2), FrontStep::Busy);
    s.finish(2);
    assert_eq!(s.front_step(2), FrontStep::Validate);
    s.advance(2);
    assert_eq!(s.claim(), Some(5));
    assert_eq!(s.claim(), None);
}

#[test]
fn the_lead_grows_while_all_goes_well_and_shrinks_with_a_conflict() {
    let txs = vec![TxPlan::Ahead { group: 0 }; 40];
    let s = Scheduler::new(&Plan { txs, groups: 1, lead: 8, ..Plan::default() });
    assert_eq!(s.claim(), Some(1));
    for _ in 0..CALM {
        s.report_useful(0);
    }
    assert_eq!(s.claim(), Some(9));
    s.report_wasted(0);
    s.advance(9);
    assert_eq!(s.claim(), Some(15));
}

#[test]
fn long_transactions_are_handed_out_first() {
    let txs = vec![TxPlan::Ahead { group: 0 }; 5];
    let s = Scheduler::new(&Plan { txs, groups: 1, first: vec![4, 2, 9], ..Plan::default() });
    let order: Vec<_> = core::iter::from_fn(|| s.claim()).collect();
    assert_eq!(order, [4, 2, 1, 3]);
}

#[test]
fn the_waiting_front_takes_the_nearest_transaction() {
    let s = scheduler(6, 0);
    assert_eq!(s.front_step(0), FrontStep::Execute);
    assert_eq!(s.claim(), Some(1));
    s.advance(0);
    assert_eq!(s.front_step(1), FrontStep::Busy);
    assert_eq!(s.claim_near(8), Some(2));
    assert_eq!(s.claim_near(0), None);
}

#[test]
fn an_abandoned_transaction_is_executed_by_the_front() {
    let s = scheduler(2, 0);
    assert_eq!(s.claim(), Some(1));
    s.abandon(1);
    assert_eq!(s.claim_near(8), None);
    assert_eq!(s.front_step(0), FrontStep::Execute);
    s.advance(0);
    assert_eq!(s.front_step(1), FrontStep::Execute);
}

#[test]
fn a_recalled_transaction_is_handed_out_again_before_new_ones() {
    let s = scheduler(6, 0);
    assert_eq!(s.claim(), Some(1));
    assert!(!s.recall(1), "still running");
    s.finish(1);
    assert!(s.recall(1));
    assert!(!s.recall(1), "recalled once");
    assert_eq!(s.front_step(1), FrontStep::Busy);
    s.give_back(1);
    assert_eq!(s.claim(), Some(1));
    assert_eq!(s.claim(), Some(2));
    s.finish(2);
    assert!(s.recall(2));
    s.give_back(2);
    assert_eq!(s.front_step(2), FrontStep::Execute);
    assert_eq!(s.claim(), Some(3), "the front was first");
}

#[test]
fn a_transaction_for_the_front_is_never_handed_out() {
    let txs = vec![TxPlan::Front, TxPlan::Front, TxPlan::Ahead { group: 0 }];
    let s = Scheduler::new(&Plan { txs, groups: 1, ..Plan::default() });
    assert_eq!(s.claim(), Some(2));
    assert_eq!(s.claim(), None);
    assert_eq!(s.claim_near(8), None);
}

#[test]
fn a_group_that_only_conflicts_is_left_to_the_front() {
    let s = scheduler(100, 0);
    let claims = core::iter::from_fn(|| s.claim().inspect(|_| s.report_wasted(0)));
    let claims = claims.count() as u32;
    assert!((GROUP_MEMORY / 2..2 * GROUP_MEMORY).contains(&claims), "{claims}");
}

#[test]
fn a_family_is_given_up_only_after_many_conflicts_of_its_groups() {
    let txs = (0..100).map(|tx| TxPlan::Ahead { group: tx }).collect();
    let s = Scheduler::new(&Plan { txs, groups: 100, families: vec![0; 100], ..Plan::default() });
    let claims = core::iter::from_fn(|| s.claim().inspect(|tx| s.report_wasted(*tx as u32)));
    let claims = claims.count() as u32;
    assert!((FAMILY_MEMORY / 2..2 * FAMILY_MEMORY).contains(&claims), "{claims}");
}

#[test]
fn a_group_that_often_succeeds_survives_a_conflict() {
    let s = scheduler(1000, 0);
    for round in 0..900 {
        assert!(s.claim().is_some(), "round {round}");
        if round % 3 == 0 { s.report_wasted(0) } else { s.report_useful(0) }
    }
}

#[test]
fn a_reader_waits_for_running_and_gives_up_on_unstarted_writers() {
    let s = scheduler(8, 2);
    assert_eq!(s.claim(), Some(3));
    assert_eq!(s.claim(), Some(4));
    // Nothing between version 4 (transaction 3) and transaction 4.
    assert_eq!(s.ahead_of(4, 4, 0), Ahead::Clear);
    assert_eq!(s.ahead_of(4, 3, 0), Ahead::WaitFor(3));
    assert_eq!(s.ahead_of(4, 0, 0), Ahead::Hopeless);
    assert_eq!(s.ahead_of(4, 0, 9), Ahead::Clear);
    s.finish(3);
    assert_eq!(s.ahead_of(4, 3, 0), Ahead::Clear);
}

#[test]
fn a_reader_waits_for_the_transaction_at_the_front() {
    let s = scheduler(3, 0);
    assert_eq!(s.front_step(0), FrontStep::Execute);
    assert_eq!(s.claim(), Some(1));
    assert_eq!(s.ahead_of(1, 0, 0), Ahead::WaitFor(0));
    s.advance(0);
    s.wait_for(0);
    assert_eq!(s.ahead_of(1, 0, 0), Ahead::Clear);
}

#[test]
fn stopping_wakes_everyone_and_hands_out_nothing() {
    let s = scheduler(4, 0);
    assert_eq!(s.claim(), Some(1));
    s.stop();
    s.wait_for(1);
    assert_eq!(s.claim(), None);
    assert_eq!(s.committed(), 4);
}

#[test]
fn a_stopped_block_does_not_hand_out_what_was_given_back() {
    let s = scheduler(4, 0);
    assert_eq!(s.claim(), Some(1));
    assert_eq!(s.claim(), Some(2));
    s.give_back(1);
    s.stop();
    s.give_back(2);
    assert_eq!(s.claim(), None);
}

/// Transactions that need these earlier ones, with the longest lead and a helper that is past all.
fn needing(needs: &[&[u32]], early: bool) -> Scheduler {
    let txs = vec![TxPlan::Ahead { group: 0 }; needs.len()];
    let needs = Arc::new(needs.iter().map(|needs| needs.iter().copied()).collect());
    Scheduler::new(&Plan { txs, groups: 1, families: vec![0], needs, early, ..Plan::default() })
}

#[test]
fn transactions_are_handed_out_when_what_they_need_is_there() {
    let s = needing(&[&[], &[], &[1], &[], &[2]], false);
    assert_eq!(s.claim(), Some(1));
    assert_eq!(s.claim(), Some(3), "2 needs 1, which is running");
    assert_eq!(s.claim(), None);
    s.finish(1);
    assert_eq!(s.claim(), Some(2));
    assert_eq!(s.claim(), None, "4 needs 2");
    s.finish(2);
    assert_eq!(s.claim(), Some(4));
}

#[test]
fn a_commit_of_the_front_is_there_too() {
    let s = needing(&[&[], &[], &[0], &[0]], false);
    assert_eq!(s.front_step(0), FrontStep::Execute);
    assert_eq!(s.claim(), Some(1));
    assert_eq!(s.claim(), None);
    s.advance(0);
    assert_eq!((s.claim(), s.claim(), s.claim()), (Some(2), Some(3), None));
}

#[test]
fn a_transaction_starts_early_when_all_it_needs_is_running() {
    let s = needing(&[&[], &[0], &[1], &[1]], true);
    assert_eq!(s.claim_early(), None, "nobody has begun with 0");
    assert_eq!(s.front_step(0), FrontStep::Execute);
    assert_eq!(s.claim_early(), Some(1));
    assert_eq!(s.claim_early(), Some(2));
    let without = needing(&[&[], &[0]], false);
    assert_eq!(without.front_step(0), FrontStep::Execute);
    assert_eq!(without.claim_early(), None);
}

#[test]
fn starting_early_ends_where_it_is_in_vain() {
    let s = needing(&[&[], &[0], &[1]], true);
    assert_eq!(s.front_step(0), FrontStep::Execute);
    for _ in 0..100 {
        s.report_early(1, false);
    }
    assert_eq!(s.claim_early(), None);
    assert!(s.worth_running_ahead(0), "running ahead is another matter");
}

#[test]
fn a_transaction_that_is_put_off_comes_back_with_what_it_needs() {
    let s = needing(&[&[], &[], &[1]], true);
    assert_eq!(s.claim(), Some(1));
    assert_eq!(s.claim_early(), Some(2));
    s.give_back(1);
    s.put_off(2);
    assert_eq!(s.claim(), Some(1));
    assert_eq!(s.claim(), None);
    s.finish(1);
    assert_eq!(s.claim(), Some(2));
}

#[test]
fn progress_is_that_of_whoever_has_the_transaction() {
    let s = needing(&[&[], &[], &[1]], true);
    assert_eq!(s.progress(0), Progress::NotStarted);
    assert_eq!(s.front_step(0), FrontStep::Execute);
    assert_eq!(s.progress(0), Progress::Running);
    s.advance(0);
    assert_eq!(s.progress(0), Progress::Finished);
    assert_eq!(s.claim_at(2), Some(2));
    assert_eq!(s.progress(2), Progress::Running);
    s.finish(2);
    assert_eq!(s.progress(2), Progress::Finished);
}

#[test]
fn a_helper_waits_for_work_and_leaves_when_the_block_is_over() {
    let s = needing(&[&[], &[], &[0], &[2]], false);
    std::thread::scope(|scope| {
        let helper = scope.spawn(|| {
            core::iter::from_fn(|| {
                let tx = s.claim_or_wait()?;
                s.finish(tx);
                Some(tx)
            })
            .collect::<Vec<_>>()
        });
        while s.progress(1) != Progress::Finished {
            std::thread::yield_now();
        }
        assert_eq!(s.front_step(0), FrontStep::Execute);
        std::thread::sleep(core::time::Duration::from_millis(20));
        s.advance(0);
        while s.progress(3) != Progress::Finished {
            std::thread::yield_now();
        }
        s.stop();
        assert_eq!(helper.join().ok(), Some(vec![1, 2, 3]));
    });
}
