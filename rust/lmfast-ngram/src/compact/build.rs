//! From the nodes of a model to groups.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use super::bits::Writer;
use super::group::{ALIGNMENT, CONTEXTS, Contents};
use super::recount::{Recipe, Recount};
use super::table::Coder;
use super::{Compact, Level};
use crate::discount::Discount;
use crate::initial;
use crate::model::View;

/// Groups are made in pieces of this many.
const PIECE: usize = 1 << 9;

/// Contexts of more children keep their sums.
const MOST_TO_SUM: usize = 8;

/// Nodes between two looks at the control.
pub(super) const CHECK: u32 = 1 << 16;

/// Zeros behind the last group, so that any number in it can be read as part of 8 bytes.
const PADDING: usize = 8;

/// Where values come from.
enum Source<'a> {
    /// The adjusted counts of the children.
    Counts(&'a [u32], Discount),
    Floats {
        probabilities: Coder,
        backoffs: Coder,
    },
}

impl Compact {
    /// Makes the n-grams of a model compact. With `quantize_bits`, probabilities and back-off weights become averages, of
    /// which each order has at most 2 to the power of that.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 16 GiB of n-grams of one order.
    pub(crate) fn build(
        view: View<'_>,
        recipe: Option<&Recipe>,
        quantize_bits: Option<u32>,
        control: &Control,
    ) -> Result<Self> {
        let sizes: Vec<u32> = view.level_starts.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
        control.begin("compacting", u64::from(view.level_starts[sizes.len()]));
        let is_ranked = is_ranked(&view, control)?;
        if let Some(recipe) = recipe.filter(|_| is_ranked && quantize_bits.is_none())
            && let Some(model) = Self::of_counts(&view, recipe, sizes.clone(), control)?
        {
            return Ok(model);
        }
        let unigrams = (0..sizes[0]).map(|word| view.log10_prob(1 + word));
        let mut maker = Maker::new(sizes, is_ranked, None, unigrams.collect());
        for order in 1..maker.sizes.len() {
            let (contexts, children) = (nodes(&view, order), nodes(&view, order + 1));
            let coder = |numbers, bits| match bits {
                Some(bits) => Coder::quantized(numbers, bits),
                None => Coder::exact(numbers),
            };
            let source = Source::Floats {
                probabilities: coder(
                    children.into_par_iter().map(|node| view.log10_prob(node)).collect(),
                    quantize_bits,
                ),
                // Unigrams are few, and stay as they are.
                backoffs: coder(
                    contexts.into_par_iter().map(|node| view.backoff(node)).collect(),
                    quantize_bits.filter(|_| order > 1),
                ),
            };
            maker.append(&view, order, &source, control)?;
        }
        Ok(maker.finish())
    }

    fn of_counts(view: &View<'_>, recipe: &Recipe, sizes: Vec<u32>, control: &Control) -> Result<Option<Self>> {
        let Some(mut recount) = Recount::new(*view, recipe, control)? else { return Ok(None) };
        let mut maker = Maker::new(sizes, true, Some(recipe.clone()), recount.probabilities.to_vec());
        for order in 1..maker.sizes.len() {
            let Some(counts) = recount.next(order, control)? else { return Ok(None) };
            maker.append(view, order, &Source::Counts(&counts, recipe.discount(order)), control)?;
        }
        Ok(Some(maker.finish()))
    }
}

fn nodes(view: &View<'_>, order: usize) -> Range<u32> {
    view.level_starts[order]..view.level_starts[order + 1]
}

/// Whether the end of every n-gram, without its first word, is there.
fn is_ranked(view: &View<'_>, control: &Control) -> Result<bool> {
    let is_ranked = AtomicBool::new(true);
    for order in 2..view.level_starts.len() - 2 {
        nodes(view, order).into_par_iter().try_for_each(|context| {
            if context % CHECK == 0 {
                control.check()?;
            }
            let ends = view.children(view.suffix(context));
            if !view.children(context).all(|child| ends.contains(&(view.suffix(child as u32) as usize))) {
                is_ranked.store(false, Relaxed);
            }
            Ok(())
        })?;
    }
    Ok(is_ranked.into_inner())
}

/// A model while it is made.
struct Maker {
    sizes: Vec<u32>,
    is_ranked: bool,
    recipe: Option<Recipe>,
    unigrams: Vec<f32>,
    levels: Vec<Level>,
    groups: Vec<[u32; 2]>,
    tables: Vec<f32>,
    bodies: Vec<u8>,
}

impl Maker {
    fn new(sizes: Vec<u32>, is_ranked: bool, recipe: Option<Recipe>, unigrams: Vec<f32>) -> Self {
        let (levels, groups, tables, bodies) = Default::default();
        Self { sizes, is_ranked, recipe, unigrams, levels, groups, tables, bodies }
    }

    /// Appends the n-grams of `order` words as contexts.
    fn append(&mut self, view: &View<'_>, order: usize, source: &Source<'_>, control: &Control) -> Result<()> {
        let contexts = nodes(view, order);
        let first_child = view.level_starts[order + 1];
        let words = if self.is_ranked && order > 1 { Words::Ranks } else { Words::Ids };
        let piece = PIECE as u32 * CONTEXTS;
        let pieces: Vec<Range<u32>> =
            contexts.clone().step_by(piece as usize).map(|at| at..contexts.end.min(at.saturating_add(piece))).collect();
        let made = pieces.into_par_iter().map(|contexts| {
            control.check()?;
            control.advance(contexts.len() as u64);
            let (mut writer, mut contents) = (Writer::default(), Contents::default());
            let mut groups = Vec::with_capacity(PIECE);
            for start in contexts.clone().step_by(CONTEXTS as usize) {
                groups.push((view.children(start).start as u32 - first_child, writer.align(ALIGNMENT)));
                contents.clear();
                for context in start..contexts.end.min(start.saturating_add(CONTEXTS)) {
                    source.add(&mut contents, view, context, first_child, &words);
                }
                source.write(&contents, &mut writer);
            }
            Ok((groups, writer.finish()))
        });
        let made: Vec<_> = made.collect::<Result<_>>()?;
        let (groups_start, bodies_start) = (self.groups.len(), self.bodies.len());
        for (groups, bytes) in made {
            let before = self.bodies.len() - bodies_start;
            for (first_child, start) in groups {
                let start = u32::try_from((before + start) / ALIGNMENT).map_err(|_| {
                    Error::invalid(format!(
                        "too many n-grams of order {} for a compact file: save it without compact",
                        order + 1
                    ))
                })?;
                self.groups.push([first_child, start]);
            }
            self.bodies.extend(bytes);
        }
        self.groups.push([self.sizes[order], 0]);
        self.bodies.extend([0; PADDING]);
        let table = |coder: &Coder, tables: &mut Vec<f32>| {
            tables.extend(&coder.table);
            tables.len() - coder.table.len()..tables.len()
        };
        let (probabilities, backoffs) = match source {
            Source::Counts(..) => Default::default(),
            Source::Floats { probabilities, backoffs } => {
                (table(probabilities, &mut self.tables), table(backoffs, &mut self.tables))
            }
        };
        let (groups, bodies) = (groups_start..self.groups.len(), bodies_start..self.bodies.len());
        self.levels.push(Level { groups, bodies, probabilities, backoffs });
        Ok(())
    }

    fn finish(self) -> Compact {
        let Self { sizes, is_ranked, recipe, unigrams, levels, groups, tables, bodies } = self;
        let (unigrams, groups, tables, bodies) = (unigrams.into(), groups.into(), tables.into(), bodies.into());
        Compact { sizes, is_ranked, recipe, unigrams, levels, groups, tables, bodies, probabilities: OnceLock::new() }
    }
}

/// How the words of children are written.
enum Words {
    Ids,
    Ranks,
}

impl Source<'_> {
    /// Adds a context to the group.
    fn add(&self, contents: &mut Contents, view: &View<'_>, context: u32, first_child: u32, words: &Words) {
        let children = view.children(context);
        match words {
            Words::Ids => contents.words.extend(view.words.get(children.clone()).unwrap_or_default()),
            Words::Ranks => {
                let ends = view.children(view.suffix(context)).start as u32;
                contents.words.extend(children.clone().map(|child| view.suffix(child as u32) - ends));
            }
        }
        let number = contents.borders.len() as u32;
        contents.borders.push(contents.words.len() as u32);
        match self {
            Source::Counts(counts, discount) => {
                let first = first_child as usize;
                let counts = &counts[children.start - first..children.end - first];
                contents.values.extend(counts.iter().map(|count| count - 1));
                if counts.len() > MOST_TO_SUM {
                    let shares = initial::Context::new(counts.iter().map(|&count| (count, true)), discount);
                    contents.sums.push((number, [shares.denominator, shares.gamma]));
                }
            }
            Source::Floats { probabilities, backoffs } => {
                contents.values.extend(children.map(|child| probabilities.code(view.log10_prob(child as u32))));
                contents.context_values.push(backoffs.code(view.backoff(context)));
            }
        }
    }

    fn write(&self, contents: &Contents, writer: &mut Writer) {
        match self {
            Source::Counts(..) => contents.write(writer, None, 0),
            Source::Floats { probabilities, backoffs } => {
                contents.write(writer, Some(probabilities.width()), backoffs.width());
            }
        }
    }
}
