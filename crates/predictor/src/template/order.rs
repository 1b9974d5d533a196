//! The order of formulas in memory: what a prediction computes lies side by side.
//!
//! Most formulas are only what a condition is made of that always came out the same. Between them,
//! each of the others would be a place of its own that a prediction has to wait for.

use super::{Template, mark};
use crate::{expr::ExprId, trace::Step};

/// By which part of them the formulas grow before they are put in order again.
const GROWN: usize = 4;

/// Formulas, and steps, that are looked at together.
const GLANCE: usize = 96;

impl Template {
    /// Puts the formulas in order where many are new.
    pub(super) fn keep_in_order(&mut self) {
        if self.exprs.len() >= self.ordered + self.ordered / GROWN {
            self.put_in_order();
            self.ordered = self.exprs.len();
        }
    }

    /// Moves the formulas that predictions compute before all others.
    fn put_in_order(&mut self) {
        let mut needed = vec![false; self.exprs.len()];
        let mut need = |id: ExprId| {
            if let Some(needed) = needed.get_mut(id.index()) {
                *needed = true;
            }
        };
        for node in &mut self.nodes {
            for at in &node.live {
                node.steps[*at as usize].each_formula_mut(|id| need(*id));
            }
            node.branch.iter().filter_map(|branch| branch.condition).for_each(&mut need);
        }
        let (ids, computed) = self.exprs.put_first(needed);
        self.computed = computed;
        self.rename(|id| *id = ids.get(id.index()).copied().unwrap_or(*id));
    }

    /// Gives formulas other numbers, wherever there are any.
    fn rename(&mut self, rename: impl Fn(&mut ExprId)) {
        for node in &mut self.nodes {
            node.steps.iter_mut().for_each(|step| step.each_formula_mut(&rename));
            if let Some(condition) = node.branch.as_mut().and_then(|b| b.condition.as_mut()) {
                rename(condition);
            }
        }
        // Where no condition decides, it is the numbers that tell the ways apart.
        for at in 0..self.nodes.len() {
            let Some(mut branch) = self.nodes[at].branch.take() else { continue };
            for arm in branch.arms.iter_mut().filter(|_| branch.condition.is_none()) {
                if let Some(first) = self.nodes[arm.node].steps.first() {
                    arm.value = mark(first);
                }
            }
            self.nodes[at].branch = Some(branch);
        }
    }

    /// Looks into what a prediction is about to need, so that the waiting times overlap.
    pub(crate) fn glance(&self) {
        let formulas = self.exprs.glance(self.computed.min(GLANCE));
        let steps = self.nodes.first().map_or(&[][..], |node| &node.steps);
        let loads = steps.iter().take(GLANCE).filter(|step| matches!(step, Step::Load { .. }));
        core::hint::black_box(formulas ^ loads.count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        expr::{Arena, Expr, Input},
        trace::{Content, Place, Trace},
    };
    use alloy_primitives::U256;
    use revm::bytecode::opcode as op;

    /// An execution that looks at slot `slot` of the caller's, after so many conditions, of which
    /// only the last can be seen.
    fn execution(slot: u64, conditions: u64) -> Trace {
        let mut exprs = Arena::new(1000);
        let caller = exprs.insert(Expr::Input(Input::Caller));
        let mut steps = Vec::new();
        for n in 0..conditions {
            let other = exprs.constant_of(U256::from(1000 + n));
            let condition = exprs.op(op::LT, &[caller, other]);
            steps.push(Step::Guard { condition, value: 1 });
        }
        let formula = exprs.plus(caller, U256::from(slot));
        steps.push(Step::Load { slot: Place::new(formula, U256::from(slot)), transient: false });
        let length = Place::new(ExprId::ZERO, U256::ZERO);
        let output = Content { head: Box::default(), tail: ExprId::OPAQUE, length };
        steps.push(Step::End { ok: true, output });
        Trace { exprs, steps, stored: Vec::new() }
    }

    #[test]
    fn ways_that_no_condition_tells_apart_are_known_again_after_formulas_moved() {
        let mut template = Template::new();
        for slot in 0..4 {
            template.learn(&execution(slot, 1), |_| None);
        }
        let (nodes, steps) = (template.nodes.len(), template.steps);
        let before: Vec<_> = template.exprs.exprs().to_vec();
        template.learn(&execution(9, 40), |_| None);
        let (grown, more) = (template.nodes.len(), template.steps);
        assert!(grown > nodes && more > steps);
        assert_ne!(template.exprs.exprs()[..before.len()], before, "nothing has moved");
        for slot in (0..4).chain(0..4) {
            template.learn(&execution(slot, 1), |_| None);
        }
        template.learn(&execution(9, 40), |_| None);
        assert_eq!((template.nodes.len(), template.steps), (grown, more));
    }

    #[test]
    fn what_predictions_compute_comes_first() {
        let mut template = Template::new();
        template.learn(&execution(7, 40), |_| None);
        // Zero, the caller, seven, and the sum.
        assert_eq!(template.computed, 4);
        let Some(Step::Load { slot, .. }) = template.nodes[0].steps.get(40) else {
            panic!("the load is not where it was");
        };
        assert_eq!(slot.formula.index(), 3);
        assert!(template.exprs.len() > 40);
    }
}
