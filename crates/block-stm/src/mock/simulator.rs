//! One thread plays all actors, and a seed decides who takes the next step: a failure is a seed.

use super::{
    GROUPS, KEYS, MockBlock, MockTx, Op,
    actors::{Actor, Counts, Front, Helper, Shared, Step},
    within,
};
use crate::TxPlan;
use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64.
struct Rng(u64);

impl Rng {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    const fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

/// None, one for all groups, or one for some of them.
fn random_families(rng: &mut Rng) -> Vec<u32> {
    match rng.below(3) {
        0 => vec![],
        1 => vec![0; GROUPS as usize],
        _ => (0..GROUPS).map(|group| group / 2).collect(),
    }
}

fn random_block(rng: &mut Rng) -> MockBlock {
    // From hardly any conflicts to nothing but conflicts.
    let (keys, groups) = (1 + rng.below(u64::from(KEYS)), 1 + rng.below(u64::from(GROUPS)));
    let picky = 1 + rng.below(8);
    let count = 1 + rng.below(24);
    let tx = |rng: &mut Rng| {
        let op = |rng: &mut Rng| {
            let key = rng.below(keys) as u8;
            match (rng.one_in(3), rng.one_in(picky)) {
                (false, false) => Op::Read(key),
                (false, true) => Op::ReadPicked,
                (true, false) => Op::Write(key),
                (true, true) => Op::WritePicked,
            }
        };
        let plan = match rng.one_in(8) {
            true => TxPlan::Front,
            false => TxPlan::Ahead { group: rng.below(groups) as u32 },
        };
        let ops = (0..rng.below(7)).map(|_| op(rng)).collect();
        MockTx { plan, ops, fails_ahead: rng.one_in(20) }
    };
    MockBlock {
        txs: (0..count).map(|_| tx(rng)).collect(),
        families: random_families(rng),
        lead: rng.below(4),
        work: if rng.one_in(2) { (0..count).map(|_| rng.below(50)).collect() } else { vec![] },
        first: (0..rng.below(4)).map(|_| rng.below(count) as usize).collect(),
        needs: random_needs(rng, count),
        stops_at: rng.one_in(8).then(|| rng.below(count) as usize),
    }
}

/// Nothing is expected of half of the blocks, and of the others rarely what is true.
fn random_needs(rng: &mut Rng, count: u64) -> Vec<Vec<u32>> {
    if rng.one_in(2) {
        return Vec::new();
    }
    let needs =
        |rng: &mut Rng, tx: u64| (0..rng.below(3)).map(|_| rng.below(tx + 1) as u32).collect();
    (0..count).map(|tx| needs(rng, tx)).collect()
}

/// The actors of one block and what each last did. The front is actor 0.
struct Simulation<'s, 'b> {
    shared: &'s Shared<'b>,
    front: Front<'s, 'b>,
    helpers: Vec<Helper<'s, 'b>>,
    last: Vec<Step>,
}

impl<'s, 'b> Simulation<'s, 'b> {
    fn new(shared: &'s Shared<'b>, helpers: usize) -> Self {
        Self {
            shared,
            front: Front::new(shared),
            helpers: (0..helpers).map(|_| Helper::new(shared)).collect(),
            last: vec![Step::Ran; helpers + 1],
        }
    }

    fn owned(&self, actor: usize) -> Vec<usize> {
        if actor == 0 { self.front.owned() } else { self.helpers[actor - 1].owned() }
    }

    /// The transactions that somebody other than `actor` has.
    fn owned_by_others(&self, actor: usize) -> Vec<usize> {
        let others = (0..self.last.len()).filter(|other| *other != actor);
        others.flat_map(|other| self.owned(other)).collect()
    }

    /// Whether an actor can take a step. One that waits cannot, while another one has what it
    /// waits for.
    fn can_run(&self, actor: usize) -> bool {
        match self.last[actor] {
            Step::Ran => true,
            Step::Ended => false,
            // Who looks for work may look at any time.
            Step::WaitForWork => true,
            // Nobody waits for anything any longer after the front gave up.
            Step::WaitFor(_) if self.last[0] == Step::Ended => true,
            Step::WaitFor(tx) | Step::WaitForOutcome(tx) => {
                !self.owned_by_others(actor).contains(&tx)
            }
        }
    }

    fn step(&mut self, actor: usize) {
        // What the model takes for an ended wait must be one for the scheduler too.
        match self.last[actor] {
            Step::WaitFor(tx) => self.shared.scheduler.wait_for(tx),
            Step::WaitForOutcome(tx) => self.shared.scheduler.wait_for_outcome(tx),
            _ => {}
        }
        let step = match actor {
            0 => self.front.step(),
            _ => self.helpers[actor - 1].step(),
        };
        self.last[actor] = step;
        self.check(actor, step);
    }

    fn check(&self, actor: usize, step: Step) {
        let (own, others) = (self.owned(actor), self.owned_by_others(actor));
        let shared = own.iter().find(|tx| others.contains(tx));
        assert_eq!(shared, None, "one transaction in two hands");
        if let Step::WaitFor(tx) = step {
            assert!(own.iter().all(|own| tx < *own), "waits for {tx}, has {own:?}");
            assert!(others.contains(&tx), "waits for {tx}, which nobody runs");
        }
        if let Step::WaitForOutcome(tx) = step {
            assert!(others.contains(&tx), "the front waits for {tx}, which nobody runs");
        }
    }

    fn run(&mut self, rng: &mut Rng) {
        // Some schedules hop at every step, some let an actor go far before another has a turn.
        let stay = [0, 50, 90, 98][rng.below(4) as usize];
        let mut actor = 0;
        for _ in 0..100_000 {
            let runnable: Vec<_> = (0..self.last.len()).filter(|a| self.can_run(*a)).collect();
            if runnable.is_empty() {
                let last = &self.last;
                assert!(last.iter().all(|step| *step == Step::Ended), "deadlock: {last:?}");
                return;
            }
            if !runnable.contains(&actor) || rng.below(100) >= stay {
                actor = runnable[rng.below(runnable.len() as u64) as usize];
            }
            self.step(actor);
        }
        panic!("no end in sight: {:?}", self.last);
    }
}

fn simulate(seed: u64, totals: &mut [u64; 7]) {
    let mut rng = Rng(seed);
    let block = random_block(&mut rng);
    let shared = Shared::new(&block);
    let mut simulation = Simulation::new(&shared, 1 + rng.below(4) as usize);
    simulation.run(&mut rng);
    simulation.front.assert_serial();
    let Counts { accepted, refused, outdated, hopeless, waits, recalled, put_off } = &shared.counts;
    let counts = [accepted, refused, outdated, hopeless, waits, recalled, put_off];
    for (total, count) in totals.iter_mut().zip(counts) {
        *total += count.load(Ordering::Relaxed);
    }
}

/// Says which seed it was when a simulation fails.
struct Seed(u64);

/// The seed under way, for a simulation that hangs.
static CURRENT: AtomicU64 = AtomicU64::new(0);

impl Seed {
    fn begin(seed: u64) -> Self {
        CURRENT.store(seed, Ordering::Relaxed);
        Self(seed)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation of seed {} fails", self.0);
        }
    }
}

#[test]
fn every_simulated_schedule_ends_and_equals_the_serial_fold() {
    within(Duration::from_secs(120), &CURRENT, || {
        let mut totals = [0; 7];
        for seed in 0..20_000 {
            let _seed = Seed::begin(seed);
            simulate(seed, &mut totals);
        }
        let names = ["accepted", "refused", "outdated", "hopeless", "waits", "recalled", "put off"];
        for (name, total) in names.into_iter().zip(totals) {
            assert!(total > 500, "{name}: only {total} in all simulations");
        }
    });
}
