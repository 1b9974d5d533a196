//! The time of new blocks, which callers of a development chain may move, within what every client
//! can read and every later block has room after.

use crate::NodeError;
use std::time::{SystemTime, UNIX_EPOCH};

/// The latest time that a caller may choose, in seconds since 1970: the largest number that every
/// JavaScript library takes.
const MOST_TIME: u64 = (1 << 53) - 1;

/// What the next block's time is, in seconds since 1970.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    /// How far it is ahead of the time of day.
    offset: i64,
    /// The time of the next block, where somebody has chosen it.
    next: Option<u64>,
    /// Seconds between blocks, where they do not follow the time of day.
    interval: Option<u64>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Clock {
    /// The present time here.
    pub(crate) fn now(&self) -> u64 {
        now().saturating_add_signed(self.offset)
    }

    /// The time that a block after one of `last` would have now.
    pub(crate) fn peek(&self, last: u64) -> u64 {
        let after = last.saturating_add(1);
        match (self.next, self.interval) {
            (Some(next), _) => next.max(after),
            // There it goes on by seconds.
            (None, Some(interval)) => last.saturating_add(interval).min(MOST_TIME).max(after),
            (None, None) => self.now().max(after),
        }
    }

    /// A block has been made at this time.
    pub(crate) fn made(&mut self, time: u64) {
        if self.next.take().is_some() {
            self.set(time);
        }
    }

    /// Moves on by a number of seconds; returns how far it is ahead then.
    pub(crate) fn increase(&mut self, seconds: u64) -> Result<i64, NodeError> {
        let time = within(self.now().saturating_add(seconds))?;
        Ok(self.set(time))
    }

    /// Makes this the present, whatever it is; returns how far it is ahead then.
    fn set(&mut self, time: u64) -> i64 {
        self.offset = i64::try_from(i128::from(time) - i128::from(now())).unwrap_or(i64::MAX);
        self.offset
    }

    /// Makes this the present; returns how far it is ahead then.
    pub(crate) fn choose(&mut self, time: u64) -> Result<i64, NodeError> {
        within(time).map(|time| self.set(time))
    }

    /// Chooses the time of the next block.
    pub(crate) fn set_next(&mut self, time: u64, last: u64) -> Result<(), NodeError> {
        if time <= last {
            return Err(NodeError::Timestamp { wanted: time, last });
        }
        self.next = Some(within(time)?);
        Ok(())
    }

    /// Chooses the seconds between blocks.
    pub(crate) fn set_interval(&mut self, seconds: u64) -> Result<(), NodeError> {
        self.interval = Some(within(seconds)?);
        Ok(())
    }

    /// Whether there was an interval.
    pub(crate) fn remove_interval(&mut self) -> bool {
        self.interval.take().is_some()
    }
}

/// Refuses a time after which there is too little room.
pub(crate) fn within(time: u64) -> Result<u64, NodeError> {
    match time <= MOST_TIME {
        true => Ok(time),
        false => Err(NodeError::TimeTooFar { wanted: time, most: MOST_TIME }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_in_the_order_of_time_whatever_the_clock_says() {
        let mut clock = Clock::default();
        let ahead = now() + 1_000;
        assert_eq!(clock.peek(ahead), ahead + 1);
        assert!(clock.set_next(ahead, ahead).is_err());
        clock.set_next(ahead + 50, ahead).unwrap();
        assert_eq!(clock.peek(ahead), ahead + 50);
        clock.made(ahead + 50);
        assert!(clock.peek(ahead + 50) > ahead + 50);
        assert!(clock.now() >= ahead + 50);
        clock.set_interval(7).unwrap();
        assert_eq!(clock.peek(ahead + 100), ahead + 107);
        assert!(clock.remove_interval() && !clock.remove_interval());
    }

    #[test]
    fn time_can_be_moved_on_and_back() {
        let mut clock = Clock::default();
        assert!((60..=61).contains(&clock.increase(60).unwrap()));
        assert!((100..=102).contains(&clock.increase(40).unwrap()));
        assert!(clock.now() >= now() + 100);
        assert!(clock.choose(1_000).unwrap() < 0);
        assert!(clock.now() < 2_000);
    }

    #[test]
    fn no_time_is_taken_after_which_no_block_can_be_made() {
        let mut clock = Clock::default();
        for far in [MOST_TIME + 1, u64::MAX] {
            let refused = clock.set_next(far, 7).unwrap_err();
            assert!(refused.to_string().contains("9007199254740991"), "{refused}");
            assert!(clock.choose(far).is_err() && clock.increase(far).is_err());
            assert!(clock.set_interval(far).is_err());
        }
        assert!(clock.now() <= now() && clock.increase(MOST_TIME).is_err());
        clock.choose(MOST_TIME).unwrap();
        assert_eq!(clock.peek(MOST_TIME), MOST_TIME + 1, "there is room after it");
        clock.set_interval(MOST_TIME).unwrap();
        assert_eq!((clock.peek(9), clock.peek(MOST_TIME)), (MOST_TIME, MOST_TIME + 1));
    }
}
