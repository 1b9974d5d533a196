//! Whether a chain holds what its node has answered.
//!
//! Every accepted transaction has exactly one receipt, the nonces of every sender have no gap, and
//! whoever has read the counter at a block has seen the calls up to that block and no other.

use alloy_primitives::{Address, B256, U256, map::B256Map};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a receipt has to say here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) transaction_hash: B256,
    pub(super) status: alloy_primitives::U64,
    pub(super) to: Option<Address>,
}

/// What was sent by one account.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) address: Address,
    /// Accepted transactions, by nonce, from `first` on.
    pub(super) accepted: Vec<B256>,
    /// The nonce before.
    pub(super) first: u64,
    /// The nonce afterwards, as the node says it.
    pub(super) last: u64,
}

/// What the counter showed as of a block, while the chain went on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    pub(super) block: u64,
    pub(super) count: U256,
}

/// The most problems that are listed.
const MOST: usize = 20;

/// Everything that contradicts itself. `blocks` are the receipts by block, from the first block
/// that may have a transaction on; the counter shows `before` before them.
pub(super) fn problems(
    senders: &[Sender],
    blocks: &BTreeMap<u64, Vec<Receipt>>,
    counter: Address,
    before: U256,
    observations: &[Observation],
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut found: B256Map<u32> = B256Map::default();
    for receipt in blocks.values().flatten() {
        *found.entry(receipt.transaction_hash).or_default() += 1;
        if receipt.status.is_zero() {
            problems.push(format!("{} has failed", receipt.transaction_hash));
        }
    }
    for sender in senders {
        let accepted = sender.accepted.len() as u64;
        if sender.last != sender.first + accepted {
            let Sender { address, first, last, .. } = sender;
            problems.push(format!("{address}: nonce {last} after {accepted} from {first} on"));
        }
        for hash in &sender.accepted {
            match found.remove(hash) {
                Some(1) => {}
                Some(times) => problems.push(format!("{hash} has {times} receipts")),
                None => problems.push(format!("{hash} was accepted and has no receipt")),
            }
        }
    }
    problems.extend(found.keys().map(|hash| format!("{hash} was mined and not accepted")));
    let mut counts = BTreeMap::new();
    let mut count = before;
    for (number, receipts) in blocks {
        let bumps = receipts.iter().filter(|receipt| receipt.to == Some(counter)).count();
        count += U256::from(bumps);
        counts.insert(*number, count);
    }
    for Observation { block, count } in observations {
        let expected = counts.range(..=*block).next_back().map_or(before, |(_, count)| *count);
        if *count != expected {
            problems.push(format!("block {block} shows a count of {count}, has {expected}"));
        }
    }
    let more = problems.len().saturating_sub(MOST);
    problems.truncate(MOST);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U64;

    const COUNTER: Address = Address::repeat_byte(0xc0);

    fn hash(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    fn receipt(byte: u8, bumps: bool) -> Receipt {
        let to = if bumps { COUNTER } else { Address::ZERO };
        Receipt { transaction_hash: hash(byte), status: U64::from(1), to: Some(to) }
    }

    /// Two senders, three blocks, and what was seen meanwhile.
    fn right() -> (Vec<Sender>, BTreeMap<u64, Vec<Receipt>>, Vec<Observation>) {
        let sender = |accepted: &[u8], first| Sender {
            address: Address::with_last_byte(accepted[0]),
            accepted: accepted.iter().map(|byte| hash(*byte)).collect(),
            first,
            last: first + accepted.len() as u64,
        };
        let senders = vec![sender(&[1, 2], 0), sender(&[3, 4], 7)];
        let blocks = BTreeMap::from([
            (5, vec![receipt(1, true), receipt(3, false)]),
            (6, vec![]),
            (7, vec![receipt(2, true), receipt(4, true)]),
        ]);
        let observation = |(block, count)| Observation { block, count: U256::from(count) };
        let observations = [(4, 10), (5, 11), (6, 11), (7, 13)].map(observation).to_vec();
        (senders, blocks, observations)
    }

    fn of(
        change: impl FnOnce(&mut Vec<Sender>, &mut BTreeMap<u64, Vec<Receipt>>, &mut Vec<Observation>),
    ) -> String {
        let (mut senders, mut blocks, mut observations) = right();
        change(&mut senders, &mut blocks, &mut observations);
        problems(&senders, &blocks, COUNTER, U256::from(10), &observations).join("\n")
    }

    #[test]
    fn a_chain_that_holds_what_was_answered_has_no_problems() {
        assert_eq!(of(|_, _, _| {}), "");
    }

    #[test]
    fn whatever_is_wrong_is_found() {
        let twice = of(|_, blocks, _| blocks.entry(6).or_default().push(receipt(4, false)));
        assert_eq!(twice, format!("{} has 2 receipts", hash(4)));
        let none = of(|_, blocks, _| blocks.entry(5).or_default().truncate(1));
        assert_eq!(none, format!("{} was accepted and has no receipt", hash(3)));
        let strange = of(|_, blocks, _| blocks.entry(6).or_default().push(receipt(9, false)));
        assert_eq!(strange, format!("{} was mined and not accepted", hash(9)));
        let gap = of(|senders, _, _| senders[1].last += 1);
        assert!(gap.ends_with("nonce 10 after 2 from 7 on"), "{gap}");
        let early = of(|_, _, seen| seen[2].count = U256::from(13));
        assert_eq!(early, "block 6 shows a count of 13, has 11");
        let failed = of(|_, blocks, _| {
            blocks.entry(5).or_default()[1].status = U64::ZERO;
        });
        assert_eq!(failed, format!("{} has failed", hash(3)));
    }

    #[test]
    fn many_problems_are_counted_and_not_listed() {
        let many = of(|senders, _, _| {
            senders[0].accepted.extend((10..90).map(hash));
            senders[0].last += 80;
        });
        assert_eq!(many.lines().count(), MOST + 1);
        assert!(many.ends_with("and 60 more"), "{many}");
    }
}
