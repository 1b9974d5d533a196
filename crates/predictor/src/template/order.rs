//! The order of formulas in memory: what a quick prediction computes lies side by side.
//!
//! Most formulas are only what a condition is made of that always came out the same. Between them,
//! each of the others would be a place of its own that a prediction has to wait for.

use super::Template;
use crate::{expr::ExprId, trace::Step};

/// By which part of them the formulas grow before they are put in order again.
const GROWN: usize = 4;

/// Formulas, and steps, that are looked at together.
const GLANCE: usize = 96;

impl Template {
    /// Puts the formulas in order where many are new.
    pub(super) fn keep_in_order(&mut self) {
        if self.exprs.len() > self.ordered + self.ordered / GROWN {
            self.put_in_order();
            self.ordered = self.exprs.len();
        }
    }

    /// Moves the formulas that quick predictions compute before all others.
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
        trace::{Content, Place, Trace, Turn},
    };
    use alloy_primitives::U256;
    use revm::bytecode::opcode as op;

    /// An execution that looks at the caller's number plus `slot`, after conditions that each come
    /// out as given.
    fn execution(slot: u64, conditions: &[u64]) -> Trace {
        let mut exprs = Arena::new(1000);
        let caller = exprs.insert(Expr::Input(Input::Caller));
        let mut steps = Vec::new();
        for (n, value) in (0..).zip(conditions) {
            let other = exprs.constant_of(U256::from(1000_u64 + n));
            let condition = exprs.op(op::LT, &[caller, other]);
            steps.push(Step::Guard { condition, turn: Turn::of_condition(*value == 1) });
        }
        let formula = exprs.plus(caller, U256::from(slot));
        steps.push(Step::Load { slot: Place::new(formula, U256::from(slot)), transient: false });
        let (tail, length) = (ExprId::OPAQUE, ExprId::ZERO);
        let output = Content { head: Box::default(), tail, length };
        steps.push(Step::End { ok: true, output });
        Trace { exprs, steps, stored: Vec::new() }
    }

    /// Takes in an execution. How many nodes it went through, and how many nodes and steps there are.
    fn learn(template: &mut Template, slot: u64, conditions: &[u64]) -> (u32, [usize; 2]) {
        let gone = |template: &Template| template.nodes.iter().map(|node| node.count).sum::<u32>();
        let before = gone(template);
        template.learn(&execution(slot, conditions), |_| None);
        (gone(template) - before, [template.nodes.len(), template.steps])
    }

    #[test]
    fn ways_are_known_again_after_formulas_moved() {
        let (mut template, many) = (Template::new(), [1; 40]);
        // Ways that no condition tells apart, and one that the last of five conditions does.
        let ways = [1, 2, 3].map(|slot| (slot, &many[..5]));
        let ways = [&ways[..], &[(4, &[1, 1, 1, 1, 0])]].concat();
        for (slot, conditions) in &ways {
            learn(&mut template, *slot, conditions);
        }
        let before = template.exprs.exprs().to_vec();
        let (_, known) = learn(&mut template, 9, &many);
        assert_ne!(template.exprs.exprs()[..before.len()], before, "nothing has moved");
        for (slot, conditions) in ways.iter().chain(&ways) {
            // The root, what follows the condition, and for most the way that none tells apart.
            let nodes = if *slot == 4 { 2 } else { 3 };
            assert_eq!(learn(&mut template, *slot, conditions), (nodes, known), "slot {slot}");
        }
    }

    #[test]
    fn what_quick_predictions_compute_comes_first_as_soon_as_much_is_new() {
        let (mut template, many) = (Template::new(), [1; 40]);
        learn(&mut template, 7, &many);
        // Zero, the caller, seven, and the sum.
        assert_eq!(template.computed, 4);
        let Some(Step::Load { slot, .. }) = template.nodes[0].steps.get(40) else {
            panic!("the load is not where it was");
        };
        assert_eq!(slot.formula.index(), 3);
        let ordered = template.ordered;
        learn(&mut template, 8, &many);
        assert!(template.exprs.len() > ordered);
        assert_eq!((template.computed, template.ordered), (4, ordered));
    }
}
