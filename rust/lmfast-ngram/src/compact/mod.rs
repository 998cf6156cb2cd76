//! Models in a few bytes an n-gram, queried as they lie in the file.
//!
//! A trie from the first word on, like that of [`Model`](crate::Model), with four savings:
//!
//! - *Words as ranks.* The children of a context are among those of its suffix, the context without its first word. So of
//!   a child no word is kept but its place among the children of the suffix, a small number. (Pibiri and Venturini 2017,
//!   "Efficient data structures for massive n-gram datasets", section 3.2.) A query goes from the shortest context up and
//!   finds the ranks on its way. Words of bigrams, and all words of a model that leaves out ends of its n-grams, are ids.
//! - *No links.* The state of a query is the nodes of all contexts, the shortest to the longest; what is found of the next
//!   word in them is the next state. Where children begin is told by the [groups](group) they lie in.
//! - *Counts for probabilities.* Of a model that was estimated here and pruned by nothing, adjusted counts are kept, mostly
//!   1, and interpolated Kneser-Ney smoothing is done at query time, by the same operations as in
//!   [`interpolate`](crate::interpolate), so that every bit of every score is the same.
//! - *Tables.* Of any other model, probabilities and back-off weights are kept as they are, or as places in a table of
//!   those that occur; or, if that is asked for, in a table of averages, which is not exact.

mod bits;
mod build;
mod column;
mod expand;
mod format;
mod group;
mod model;
mod recount;
mod score;
mod step;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::OnceLock;

pub(crate) use format::{Loaded, is_compact};
pub(crate) use recount::Recipe;
pub(crate) use step::State;

use crate::discount::Discount;
use crate::initial;
use crate::model::Column;
use group::Group;

/// A node that is not there.
const NOWHERE: u32 = u32::MAX;

/// A model of few bytes, in memory or mapped.
#[derive(Debug)]
pub(crate) struct Compact {
    /// How many n-grams there are of each order.
    sizes: Vec<u32>,
    /// Whether the words of trigrams and longer n-grams are ranks.
    is_ranked: bool,
    /// What gave the model, if n-grams have counts.
    recipe: Option<Recipe>,
    /// Of each word the probability, if n-grams have counts, else its logarithm.
    unigrams: Column<f32>,
    /// Of every order but the highest, its n-grams as contexts.
    levels: Vec<Level>,
    /// Of each group of contexts its first child among the n-grams of the next order, and where it begins; for each order
    /// one more, which ends the last group.
    groups: Column<[u32; 2]>,
    /// Tables of probabilities and back-off weights.
    tables: Column<f32>,
    bodies: Column<u8>,
    /// The probabilities of unigrams, once something asked for them.
    probabilities: OnceLock<Vec<f32>>,
}

/// Where what belongs to an order is.
#[derive(Debug, Clone, Default)]
struct Level {
    groups: Range<usize>,
    bodies: Range<usize>,
    /// Of the children.
    probabilities: Range<usize>,
    backoffs: Range<usize>,
}

impl Compact {
    /// The length of the longest n-grams.
    pub(crate) fn order(&self) -> usize {
        self.sizes.len()
    }

    /// How many n-grams there are of each order.
    pub(crate) fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    fn view(&self) -> View<'_> {
        let (groups, bodies, tables) = (self.groups.as_slice(), self.bodies.as_slice(), self.tables.as_slice());
        let levels = self.levels.iter().enumerate().map(|(number, level)| LevelView {
            groups: groups.get(level.groups.clone()).unwrap_or_default(),
            bodies: bodies.get(level.bodies.clone()).unwrap_or_default(),
            values: match &self.recipe {
                Some(recipe) => Values::Counts(recipe.discount(number + 1)),
                None => Values::Floats {
                    probabilities: Table(tables.get(level.probabilities.clone()).unwrap_or_default()),
                    backoffs: Table(tables.get(level.backoffs.clone()).unwrap_or_default()),
                },
            },
        });
        View {
            is_ranked: self.is_ranked,
            has_counts: self.recipe.is_some(),
            unigrams: self.unigrams.as_slice(),
            levels: levels.collect(),
        }
    }
}

/// The model for many queries.
struct View<'a> {
    is_ranked: bool,
    has_counts: bool,
    unigrams: &'a [f32],
    levels: Vec<LevelView<'a>>,
}

/// The n-grams of one order as contexts.
struct LevelView<'a> {
    groups: &'a [[u32; 2]],
    bodies: &'a [u8],
    values: Values<'a>,
}

/// What the values of children and contexts are.
#[derive(Clone, Copy)]
enum Values<'a> {
    /// Adjusted counts less 1, of children alone.
    Counts(Discount),
    Floats {
        probabilities: Table<'a>,
        backoffs: Table<'a>,
    },
}

/// Numbers for which their places stand; if there are none, the bits of a number stand for it.
#[derive(Clone, Copy)]
struct Table<'a>(&'a [f32]);

impl Table<'_> {
    /// How many bits stand for a number.
    fn width(self) -> u32 {
        match self.0.len().checked_sub(1) {
            Some(last) => bits::width(last as u32),
            None => 32,
        }
    }

    fn get(self, code: u32) -> f32 {
        if self.0.is_empty() { f32::from_bits(code) } else { self.0.get(code as usize).copied().unwrap_or_default() }
    }
}

/// Where a group lies.
#[derive(Clone, Copy, Default)]
struct Spot {
    first_child: u32,
    total: u32,
    start: usize,
}

/// A context, about to be searched.
#[derive(Clone, Copy)]
struct Context<'a> {
    group: Group<'a>,
    /// The context's number in the group.
    number: u32,
    first_child: u32,
    /// The children, as places in the group.
    children: (usize, usize),
}

impl Context<'_> {
    fn len(&self) -> usize {
        self.children.1 - self.children.0
    }

    /// The n-gram that a child is, among those of its order.
    fn node(&self, child: usize) -> u32 {
        self.first_child.wrapping_add(child as u32)
    }

    /// The denominator of the children's probabilities, and the share of the order below.
    #[inline]
    fn shares(&self, discount: &Discount) -> initial::Context {
        let (start, end) = self.children;
        if start == end {
            return initial::Context { denominator: 1.0, gamma: 1.0 };
        }
        if let Some([denominator, gamma]) = self.group.sums(self.number) {
            return initial::Context { denominator, gamma };
        }
        let counts = (start..end).map(|child| (self.group.value(child).wrapping_add(1), true));
        initial::Context::new(counts, discount)
    }
}

impl<'a> LevelView<'a> {
    #[inline]
    fn spot(&self, node: u32) -> Spot {
        match self.groups.get((node / group::CONTEXTS) as usize..) {
            Some([[first_child, start], [end, _], ..]) => Spot {
                first_child: *first_child,
                total: end.saturating_sub(*first_child),
                start: *start as usize * group::ALIGNMENT,
            },
            _ => Spot::default(),
        }
    }

    #[inline]
    fn context(&self, node: u32, spot: Spot) -> Context<'a> {
        let group = Group::new(self.bodies.get(spot.start..).unwrap_or_default(), spot.total);
        let number = node % group::CONTEXTS;
        Context { group, number, first_child: spot.first_child, children: group.children(number) }
    }

    /// The log10 back-off weight of a context.
    #[inline]
    fn backoff(&self, context: &Context<'_>) -> f32 {
        match &self.values {
            Values::Counts(discount) => context.shares(discount).gamma.log10(),
            Values::Floats { backoffs, .. } => {
                backoffs.get(context.group.context_value(context.number, backoffs.width()))
            }
        }
    }

    /// What a child has: from counts its probability, given that of its suffix; else its log10 probability.
    #[inline]
    fn value(&self, context: &Context<'_>, child: usize, lower: f32) -> f32 {
        match &self.values {
            Values::Counts(discount) => {
                let shares = context.shares(discount);
                interpolated(context.group.value(child).wrapping_add(1), discount, shares, lower)
            }
            Values::Floats { probabilities, .. } => probabilities.get(context.group.value(child)),
        }
    }
}

/// The probability of an n-gram with this adjusted count, given that of the n-gram without its first word.
#[inline]
fn interpolated(count: u32, discount: &Discount, shares: initial::Context, lower: f32) -> f32 {
    discount.apply(count) / shares.denominator + shares.gamma * lower
}
