//! What expectations are worth: the same block with and without them, and with one use of them
//! less at a time.

use crate::prediction::BlockExpectations;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use warpline_executor::{Guidance, HintUses};

/// Where expectations come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HintSource {
    /// There are none.
    #[default]
    Off,
    /// What earlier blocks taught.
    Learned,
    /// The same, and what the bytecode of functions says that were never seen.
    Analysed,
    /// The same without it, and a trial on the state that is expected of every transaction whose
    /// prediction has gaps.
    Trials,
    /// What the transactions really touch: as good as a prediction can be.
    Perfect,
}

/// What the hints did for one block.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HintReport {
    /// Where they came from.
    pub source: HintSource,
    /// Median time of the parallel runs without hints.
    pub without_ms: Option<f64>,
    /// That over the time with hints.
    pub gain: Option<f64>,
    /// Re-executions in one parallel run without hints.
    pub re_executions_without: Option<u64>,
    /// Time that predicting took for all transactions, trials not counted. It is not part of the
    /// timed runs.
    #[serde(rename = "predictingNs")]
    pub predicting_ns: u64,
    /// Transactions that were tried out.
    pub trials: u64,
    /// Time that this took.
    #[serde(rename = "tryingNs")]
    pub trying_ns: u64,
    /// Median times with all uses of hints but the one named.
    pub ablation: BTreeMap<&'static str, f64>,
}

impl HintReport {
    pub(crate) fn new(source: HintSource, expectations: &BlockExpectations) -> Self {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            source,
            without_ms: None,
            gain: None,
            re_executions_without: None,
            predicting_ns: ns(expectations.predicting),
            trials: expectations.trials,
            trying_ns: ns(expectations.trying),
            ablation: BTreeMap::new(),
        }
    }
}

/// A way to use the expectations of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    /// What is switched off; `None` where all is on.
    pub(crate) off: Option<&'static str>,
    uses: HintUses,
}

impl Variant {
    pub(crate) const ALL: Self = Self { off: None, uses: HintUses::ALL };
    pub(crate) const NONE: Self = Self { off: Some("all"), uses: HintUses::NONE };

    /// All uses but one.
    pub(crate) fn ablated() -> [Self; 4] {
        [
            Self { off: Some("order"), uses: HintUses { order: false, ..HintUses::ALL } },
            Self { off: Some("early"), uses: HintUses { early: false, ..HintUses::ALL } },
            Self { off: Some("choose"), uses: HintUses { choose: false, ..HintUses::ALL } },
            Self { off: Some("prefetch"), uses: HintUses { prefetch: false, ..HintUses::ALL } },
        ]
    }

    pub(crate) fn guidance<'a>(&self, expectations: Option<&'a BlockExpectations>) -> Guidance<'a> {
        let expected = expectations.map(|known| &known.accesses);
        Guidance { expected, uses: self.uses, ..Guidance::default() }
    }
}
