//! The time of new blocks, which callers of a development chain may move.

use crate::NodeError;
use std::time::{SystemTime, UNIX_EPOCH};

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
            (None, Some(interval)) => last.saturating_add(interval).max(after),
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
    pub(crate) fn increase(&mut self, seconds: u64) -> i64 {
        self.offset = self.offset.saturating_add_unsigned(seconds);
        self.offset
    }

    /// Makes this the present.
    pub(crate) fn set(&mut self, time: u64) -> i64 {
        self.offset = i64::try_from(i128::from(time) - i128::from(now())).unwrap_or(i64::MAX);
        self.offset
    }

    /// Chooses the time of the next block.
    pub(crate) fn set_next(&mut self, time: u64, last: u64) -> Result<(), NodeError> {
        if time <= last {
            return Err(NodeError::Timestamp { wanted: time, last });
        }
        self.next = Some(time);
        Ok(())
    }

    /// Chooses the seconds between blocks.
    pub(crate) fn set_interval(&mut self, seconds: Option<u64>) {
        self.interval = seconds;
    }

    /// Whether there was an interval.
    pub(crate) fn remove_interval(&mut self) -> bool {
        self.interval.take().is_some()
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
        clock.set_interval(Some(7));
        assert_eq!(clock.peek(ahead + 100), ahead + 107);
        assert!(clock.remove_interval() && !clock.remove_interval());
    }

    #[test]
    fn time_can_be_moved_on_and_back() {
        let mut clock = Clock::default();
        assert_eq!(clock.increase(60), 60);
        assert_eq!(clock.increase(40), 100);
        assert!(clock.now() >= now() + 100);
        assert!(clock.set(1_000) < 0);
        assert!(clock.now() < 2_000);
    }
}
