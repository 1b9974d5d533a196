//! What is known of one function of one contract: all ways through it that were seen.
//!
//! A template is a tree. A node is a run of steps that always follow each other; it ends in a
//! branch where executions went different ways, with the formula of the condition that decided.
//! Conditions that have always been the same are steps like others: a later execution that
//! differs splits the node there.

mod history;
mod order;

use crate::{
    expr::{Arena, Expr, ExprId, Piece},
    predictor::Care,
    trace::{Step, Trace, Turn},
};
pub(crate) use history::Kept;
use history::{History, absorb, is_same};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Formulas that a template may have.
const FORMULAS: usize = 8192;

/// Steps that a template may have in all.
const STEPS: usize = 16_384;

/// Ways that may part at one branch.
const ARMS: usize = 64;

/// All ways through one function.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) exprs: Arena,
    pub(crate) nodes: Vec<Node>,
    /// What the places in the steps were.
    histories: Vec<History>,
    steps: usize,
    /// Pieces in all steps.
    pieces: usize,
    /// When it was last learned from or made use of.
    pub(crate) used: u64,
    /// Formulas there were when they were last put in order.
    ordered: usize,
    /// How many came first then: those that quick predictions may compute.
    computed: usize,
}

/// Steps without an alternative, and what may follow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) steps: Vec<Step<Kept>>,
    pub(crate) branch: Option<Branch>,
    /// How often it was gone through.
    pub(crate) count: u32,
    /// Which steps are not conditions.
    live: Vec<u32>,
}

impl Node {
    /// The steps a prediction looks at: conditions are among them only if it is to be thorough.
    pub(crate) fn steps_of(&self, care: Care) -> impl Iterator<Item = &Step<Kept>> {
        let (all, live) = match care {
            Care::Thorough | Care::Analytic => (&self.steps[..], &[][..]),
            Care::Quick => (&[][..], &self.live[..]),
        };
        all.iter().chain(live.iter().map(|at| &self.steps[*at as usize]))
    }

    fn push(&mut self, step: Step<Kept>) {
        if !matches!(step, Step::Guard { .. }) {
            self.live.push(self.steps.len() as u32);
        }
        self.steps.push(step);
    }
}

impl FromIterator<Step<Kept>> for Node {
    fn from_iter<I: IntoIterator<Item = Step<Kept>>>(steps: I) -> Self {
        let mut node = Self::default();
        steps.into_iter().for_each(|step| node.push(step));
        node
    }
}

/// Where executions part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Branch {
    /// What decides; `None` where it could not be seen.
    pub(crate) condition: Option<ExprId>,
    pub(crate) arms: Vec<Arm>,
    /// The arm that was taken last.
    pub(crate) last: usize,
}

/// One way on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Arm {
    /// What the condition is. Where none decides, the ways differ in their first steps.
    pub(crate) turn: Turn,
    pub(crate) node: usize,
}

impl Template {
    pub(crate) fn new() -> Self {
        Self {
            exprs: Arena::new(FORMULAS),
            nodes: vec![Node::default()],
            histories: Vec::new(),
            steps: 0,
            pieces: 0,
            used: 0,
            ordered: 0,
            computed: 0,
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let arms = size_of::<Node>() + size_of::<Arm>();
        self.exprs.size()
            + self.steps * (size_of::<Step<Kept>>() + 4)
            + self.histories.len() * size_of::<History>()
            + self.pieces * size_of::<Piece>()
            + self.nodes.len() * arms
    }

    /// Takes in one execution. `changed` says whether a slot ended with another value than it had
    /// before the transaction, if that tells anything.
    pub(crate) fn learn(&mut self, trace: &Trace, changed: impl Fn(usize) -> Option<bool>) {
        let mut import = Import { from: &trace.exprs, known: vec![None; trace.exprs.len()] };
        let mut at = Position { node: 0, step: 0 };
        self.nodes[0].count = self.nodes[0].count.saturating_add(1);
        let mut stores = 0;
        for (done, step) in trace.steps.iter().enumerate() {
            let left = trace.steps.len() - done;
            let mut step = import.step(step, &mut self.exprs);
            if let Step::Store { changed: own, written, .. } = &mut step {
                let changed = changed(stores);
                (*own, *written) = (u16::from(changed == Some(true)), u16::from(changed.is_some()));
                stores += 1;
            }
            match self.advance(at, step, left) {
                Some(next) => at = next,
                None => break,
            }
        }
        self.keep_in_order();
    }

    /// Goes on from `at` with `step`, the first of `left`, adding it where it is new. `None` where
    /// there is no room for all of them, or the paths cannot be brought together.
    fn advance(&mut self, at: Position, step: Step, left: usize) -> Option<Position> {
        if let Some(known) = self.nodes[at.node].steps.get_mut(at.step) {
            if is_same(known, &step) {
                absorb(known, &step, &mut self.histories);
                return Some(Position { step: at.step + 1, ..at });
            }
            self.split(at, &step);
        }
        let Some(branch) = &self.nodes[at.node].branch else {
            return self.append(at.node, step);
        };
        let decided = match (&step, branch.condition) {
            (Step::Guard { condition, turn }, Some(own)) if *condition == own => Some(*turn),
            (_, Some(_)) => return None,
            (_, None) => None,
        };
        let leads_there = |arm: &&Arm| match decided {
            Some(turn) => arm.turn == turn,
            None => self.nodes[arm.node].steps.first().is_some_and(|first| is_same(first, &step)),
        };
        let arm = branch.arms.iter().find(leads_there).map(|arm| arm.node);
        let node = match arm {
            Some(node) => node,
            None => self.add_arm(at.node, decided.unwrap_or(Turn::Holds), left)?,
        };
        if let Some(branch) = &mut self.nodes[at.node].branch {
            branch.last = node;
        }
        self.nodes[node].count = self.nodes[node].count.saturating_add(1);
        if decided.is_some() {
            return Some(Position { node, step: 0 });
        }
        match self.nodes[node].steps.first_mut() {
            None => self.append(node, step),
            Some(known) => {
                absorb(known, &step, &mut self.histories);
                Some(Position { node, step: 1 })
            }
        }
    }

    fn append(&mut self, node: usize, step: Step) -> Option<Position> {
        if self.steps >= STEPS {
            return None;
        }
        self.steps += 1;
        self.pieces += step.pieces().len();
        let step = step.with_places(|place| History::begin(place, &mut self.histories));
        let own = &mut self.nodes[node];
        own.push(step);
        Some(Position { node, step: own.steps.len() })
    }

    /// A way that breaks off is a worse guess than the usual one, so it is not begun.
    fn add_arm(&mut self, node: usize, turn: Turn, left: usize) -> Option<usize> {
        let new = self.nodes.len();
        let arms = &mut self.nodes[node].branch.as_mut()?.arms;
        if arms.len() >= ARMS || self.steps + left > STEPS {
            return None;
        }
        arms.push(Arm { turn, node: new });
        self.nodes.push(Node::default());
        Some(new)
    }

    /// Makes a branch before a step that `other` differs from.
    fn split(&mut self, at: Position, other: &Step) {
        let new = self.nodes.len();
        let node = &mut self.nodes[at.node];
        let mut rest = node.steps.split_off(at.step);
        node.live.retain(|live| (*live as usize) < at.step);
        let (condition, turn) = match (&rest[0], other) {
            (Step::Guard { condition, turn }, Step::Guard { condition: same, .. })
                if condition == same =>
            {
                (Some(*condition), *turn)
            }
            _ => (None, Turn::Holds),
        };
        if condition.is_some() {
            rest.remove(0);
            self.steps -= 1;
        }
        let arms = vec![Arm { turn, node: new }];
        let branch = node.branch.replace(Branch { condition, arms, last: new });
        let count = node.count.saturating_sub(1);
        self.nodes.push(Node { branch, count, ..rest.into_iter().collect() });
    }
}

/// What a template is made of, to be written down or read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TemplateParts<'a> {
    exprs: Cow<'a, [Expr]>,
    histories: Cow<'a, [History]>,
    nodes: Vec<NodeParts<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NodeParts<'a> {
    steps: Cow<'a, [Step<Kept>]>,
    branch: Option<Cow<'a, Branch>>,
    count: u32,
}

impl Template {
    pub(crate) fn parts(&self) -> TemplateParts<'_> {
        let nodes = self.nodes.iter().map(|node| NodeParts {
            steps: Cow::Borrowed(&node.steps),
            branch: node.branch.as_ref().map(Cow::Borrowed),
            count: node.count,
        });
        TemplateParts {
            exprs: Cow::Borrowed(self.exprs.exprs()),
            histories: Cow::Borrowed(&self.histories),
            nodes: nodes.collect(),
        }
    }

    /// A template of given parts, if they can be those of one.
    pub(crate) fn rebuilt(parts: TemplateParts<'_>) -> Option<Self> {
        let exprs = Arena::rebuilt(parts.exprs.into_owned(), FORMULAS)?;
        let histories = parts.histories.into_owned();
        let mut template = Self { exprs, histories, nodes: Vec::new(), ..Self::new() };
        for NodeParts { steps, branch, count } in parts.nodes {
            template.steps += steps.len();
            template.pieces += steps.iter().map(|step| step.pieces().len()).sum::<usize>();
            let (branch, steps) = (branch.map(Cow::into_owned), steps.into_owned());
            template.nodes.push(Node { branch, count, ..steps.into_iter().collect() });
        }
        if !template.is_sound() {
            return None;
        }
        template.keep_in_order();
        Some(template)
    }

    /// Whether it is a tree, within bounds, of formulas that it has.
    fn is_sound(&self) -> bool {
        let mut steps = self.nodes.iter().flat_map(|node| &node.steps);
        if self.steps > STEPS || !steps.all(|step| self.has(step)) {
            return false;
        }
        let (mut open, mut seen) = (vec![0], vec![false; self.nodes.len()]);
        while let Some(at) = open.pop() {
            match seen.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                _ => return false,
            }
            let Some(branch) = &self.nodes[at].branch else { continue };
            let arms = &branch.arms;
            let sound = branch.condition.is_none_or(|id| self.exprs.has(id))
                && arms.len() <= ARMS
                && arms.iter().any(|arm| arm.node == branch.last);
            if !sound {
                return false;
            }
            open.extend(arms.iter().map(|arm| arm.node));
        }
        seen.into_iter().all(|seen| seen)
    }

    /// Whether a step names only what there is.
    fn has(&self, step: &Step<Kept>) -> bool {
        let mut sound = step.pieces().iter().all(|piece| piece.is_within());
        let mut step = step.clone();
        step.each_formula_mut(|id| sound &= self.exprs.has(*id));
        step.with_places(|place| sound &= self.history(place).is_some());
        sound
    }

    /// What a place was.
    pub(crate) fn history(&self, place: Kept) -> Option<&History> {
        self.histories.get(place.history as usize)
    }
}

/// A place in a template.
#[derive(Clone, Copy, Debug)]
struct Position {
    node: usize,
    step: usize,
}

/// Brings formulas of a trace into a template.
struct Import<'a> {
    from: &'a Arena,
    known: Vec<Option<ExprId>>,
}

impl Import<'_> {
    fn step(&mut self, step: &Step, to: &mut Arena) -> Step {
        let mut step = step.clone();
        step.each_formula_mut(|id| *id = self.expr(*id, to));
        step
    }

    /// The number that a formula has in the template, with all that it depends on.
    fn expr(&mut self, id: ExprId, to: &mut Arena) -> ExprId {
        if self.from.get(id).is_none() {
            return ExprId::OPAQUE;
        }
        let mut open = vec![id];
        while let Some(last) = open.last() {
            let (id, before) = (*last, open.len());
            if let (None, Some(expr)) = (self.known[id.index()], self.from.get(id)) {
                expr.each_part(|part| {
                    let is_open = self.known.get(part.index()).is_some_and(Option::is_none);
                    open.extend(is_open.then_some(part));
                });
                if open.len() > before {
                    continue;
                }
                self.known[id.index()] = Some(self.bring(expr.clone(), to));
            }
            open.pop();
        }
        self.known[id.index()].unwrap_or(ExprId::OPAQUE)
    }

    /// A formula of parts that were brought before.
    fn bring(&self, mut expr: Expr, to: &mut Arena) -> ExprId {
        let mut opaque = false;
        expr.each_part_mut(|part| {
            *part = self.known.get(part.index()).copied().flatten().unwrap_or(ExprId::OPAQUE);
            opaque |= part.is_opaque();
        });
        if opaque { ExprId::OPAQUE } else { to.insert(expr) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A template of nodes of which each leads to those named.
    fn rebuilt(arms: &[&[usize]]) -> Option<Template> {
        let branch = |to: &&[usize]| {
            let arms: Vec<_> =
                to.iter().map(|node| Arm { turn: Turn::Holds, node: *node }).collect();
            let last = to.first().copied()?;
            Some(Cow::Owned(Branch { condition: None, arms, last }))
        };
        let node = |to| NodeParts { steps: Cow::Owned(Vec::new()), branch: branch(to), count: 0 };
        let exprs = Cow::Owned(Template::new().exprs.exprs().to_vec());
        let (histories, nodes) = (Cow::Owned(Vec::new()), arms.iter().map(node).collect());
        Template::rebuilt(TemplateParts { exprs, histories, nodes })
    }

    #[test]
    fn what_is_no_tree_is_no_template() {
        assert!(rebuilt(&[&[1, 2], &[], &[3], &[]]).is_some());
        let none: &[usize] = &[];
        for wrong in [
            &[][..],
            &[&[1, 2], none],
            &[&[1], &[0]],
            &[none, none],
            // As many visits as nodes, but one of these is visited twice and one never.
            &[&[1, 1], none, &[1_000_000_000]],
        ] {
            assert!(rebuilt(wrong).is_none(), "{wrong:?}");
        }
    }
}
