//! Several models as one: the linear mixture `p(w|h) = sum of weight_i p_i(w|h)`, written down as a back-off model.
//!
//! The new model has every n-gram that any of the models has, with the mixture of the probabilities that they give it, by
//! backing off where they lack it; the back-off weights make each context sum to one. (As `SRILM`'s
//! `ngram -mix-lm -write-lm`; Stolcke 2002, section 3.) For n-grams that none of the models has, this is not what mixing at
//! every word gives, but near to it.
//!
//! Its words are those of all models. A model's probability of its unknown word is shared evenly by the words that it does not
//! know: those of the other models, and the unknown word of the mixture. So each still sums to one.

use lmfast_base::source::Documents;
use lmfast_base::{Control, Error, Result};
use rayon::prelude::*;

use crate::corpus::{SPECIALS, UNKNOWN};
use crate::filter::check_now_and_then;
use crate::model::{ArpaEntry, Builder, Kind, Model, ROOT, View, probability};
use crate::vocabulary::{self, Vocabulary};
use crate::words::lines;

/// A model among others.
struct Part<'a> {
    view: View<'a>,
    weight: f64,
    /// The id of each of its words in the mixture, and of each of the mixture's words here; unknown where there is none.
    to_mixture: Vec<u32>,
    from_mixture: Vec<u32>,
    /// How many words of the mixture share the unknown word.
    unknown: f64,
    /// The node of the mixture that each node of the order at work is.
    nodes: Vec<u32>,
    /// Of each n-gram of the mixture of the order at work the longest end of it that is a context here.
    states: Vec<u32>,
}

impl Part<'_> {
    /// Scores a word of the mixture after a state: its probability, and the state after it.
    fn step(&self, state: u32, word: u32) -> (f64, u32) {
        let own = self.from_mixture[word as usize];
        let (log10_prob, _, state) = self.view.step(state, own);
        let probability = probability(log10_prob.into());
        (if own == UNKNOWN { probability / self.unknown } else { probability }, state)
    }
}

/// The linear mixture of models with these weights, as one model. Uses the current pool of threads.
///
/// # Errors
/// [`Error::Invalid`] for weights that are not positive and sum to one, one for each model; models of different kinds, or
/// of the tokens of different tokenizers; a model of scores that are no probabilities.
pub fn interpolate(models: &[&Model], weights: &[f64], control: &Control) -> Result<Model> {
    let Some(first) = models.first() else { return Err(Error::invalid("models: at least one is needed")) };
    let sum: f64 = weights.iter().sum();
    if weights.len() != models.len() || weights.iter().any(|weight| weight.is_nan() || *weight < 0.0) {
        return Err(Error::invalid(format!("weights={weights:?}: a number from 0 up was expected for each model")));
    }
    if (sum - 1.0).abs() > 1e-6 {
        return Err(Error::invalid(format!("weights={weights:?}: their sum is {sum} and should be 1")));
    }
    for model in models {
        model.need_distribution("mixed with others")?;
        model.verify(control)?;
    }
    let expanded: Vec<Option<Model>> = models
        .iter()
        .map(|model| model.compact.is_some().then(|| model.expanded(control)).transpose())
        .collect::<Result<_>>()?;
    let models: Vec<&Model> =
        models.iter().zip(&expanded).map(|(&model, expanded)| expanded.as_ref().unwrap_or(model)).collect();
    let models = models.as_slice();
    let vocabulary = union(models)?;
    let mut parts: Vec<Part<'_>> =
        models.iter().zip(weights).map(|(model, &weight)| part(model, weight / sum, &vocabulary)).collect();
    let order = models.iter().map(|model| model.order()).max().unwrap_or(1);
    control.begin("mixing", models.iter().map(|model| model.counts().iter().sum::<u64>()).sum());

    let words = 0..vocabulary.len() as u32;
    let mut unigrams = vec![0.0; vocabulary.len()];
    for part in &mut parts {
        let steps: Vec<(f64, u32)> = words.clone().map(|word| part.step(ROOT, word)).collect();
        unigrams.iter_mut().zip(&steps).for_each(|(sum, (probability, _))| *sum += part.weight * probability);
        part.states = steps.iter().map(|&(_, state)| state).collect();
        part.nodes = part.to_mixture.iter().map(|&word| 1 + word).collect();
    }
    let mut builder = Builder::new(order, unigrams.iter().map(|&probability| log10(probability)));
    let mut first_context = 1;
    for level in 2..=order {
        let entries = next_level(&mut parts, level, first_context, control)?;
        first_context = builder.end();
        builder.append_sorted(&entries);
        builder.normalize(None, control)?;
    }
    let mut model = builder.finish(vocabulary, first.kind());
    model.set_method("interpolated".to_owned());
    Ok(model)
}

/// The n-grams of an order that any part has, given the first node of the order below.
fn next_level(parts: &mut [Part<'_>], level: usize, first_context: u32, control: &Control) -> Result<Vec<ArpaEntry>> {
    // Context and word of each n-gram, as one number that sorts by them.
    let keys_of = |part: &Part<'_>| -> Result<Vec<u64>> {
        let mut keys = Vec::new();
        // There is no such level of a model of a lower order.
        let contexts = if level + 1 < part.view.level_starts.len() { part.nodes.as_slice() } else { &[] };
        for (node, &context) in (part.view.level_starts[level.min(part.view.level_starts.len()) - 1]..).zip(contexts) {
            check_now_and_then(node, control)?;
            let words = part.view.words.get(part.view.children(node)).unwrap_or_default();
            let key = |&word: &u32| u64::from(context) << 32 | u64::from(part.to_mixture[word as usize]);
            keys.extend(words.iter().map(key));
        }
        Ok(keys)
    };
    let own: Vec<Vec<u64>> = parts.par_iter().map(keys_of).collect::<Result<_>>()?;
    let mut keys = own.concat();
    keys.par_sort_unstable();
    keys.dedup();
    if keys.len() as u64 + u64::from(first_context) >= u64::from(u32::MAX) {
        return Err(Error::invalid("the mixture has more than 2^32 n-grams: prune the models before"));
    }
    let mut probabilities = vec![0.0; keys.len()];
    let first_node = first_context + parts.first().map_or(0, |part| part.states.len() as u32);
    for (part, own) in parts.iter_mut().zip(own) {
        let steps = keys.par_iter().enumerate().map(|(number, &key)| {
            if number.is_multiple_of(1 << 14) {
                control.check()?;
            }
            let context = ((key >> 32) as u32 - first_context) as usize;
            Ok(part.step(part.states[context], key as u32))
        });
        let steps: Vec<(f64, u32)> = steps.collect::<Result<_>>()?;
        probabilities.iter_mut().zip(&steps).for_each(|(sum, (probability, _))| *sum += part.weight * probability);
        part.states = steps.into_iter().map(|(_, state)| state).collect();
        let place = |key: &u64| first_node + keys.partition_point(|other| other < key) as u32;
        part.nodes = own.par_iter().map(place).collect();
        control.advance(own.len() as u64);
    }
    let entry = |(&key, probability): (&u64, f64)| ArpaEntry {
        context: (key >> 32) as u32,
        word: key as u32,
        log10_prob: log10(probability),
        backoff: 0.0,
    };
    Ok(keys.iter().zip(probabilities).map(entry).collect())
}

fn log10(probability: f64) -> f32 {
    probability.log10().min(0.0) as f32
}

/// The words of all models: those of the first by its ids, then those that each of the others adds.
fn union(models: &[&Model]) -> Result<Vocabulary> {
    let [first, others @ ..] = models else { return Ok(Vocabulary::default()) };
    if others.iter().any(|other| other.kind() != first.kind()) {
        return Err(Error::invalid("a model of words and a model of tokens cannot be mixed"));
    }
    let ids = |model: &Model| SPECIALS..model.vocabulary().len() as u32;
    if first.kind() == Kind::Tokens {
        let same = |other: &&Model| {
            ids(other) == ids(first) && ids(first).all(|id| other.vocabulary().word(id) == first.vocabulary().word(id))
        };
        if !others.iter().all(same) {
            return Err(Error::invalid(
                "models of tokens can be mixed only if they have one vocabulary: train them with one tokenizer",
            ));
        }
        return Ok(Vocabulary::of_tokens(ids(first).map(|id| first.vocabulary().word(id))));
    }
    let mut builder = vocabulary::Builder::new();
    for model in models {
        for id in ids(model) {
            builder.find_or_append(model.vocabulary().word(id));
        }
    }
    Ok(builder.finish())
}

fn part<'a>(model: &'a Model, weight: f64, vocabulary: &Vocabulary) -> Part<'a> {
    let (own, lookup) = (model.vocabulary(), vocabulary.lookup());
    let mut from_mixture = vec![UNKNOWN; vocabulary.len()];
    let to_mixture: Vec<u32> = (0..own.len() as u32)
        .map(|id| match model.kind() {
            _ if id < SPECIALS => id,
            Kind::Tokens => id,
            Kind::Words => lookup.id(own.word(id).as_bytes()),
        })
        .collect();
    for (&id, word) in to_mixture.iter().zip(0..) {
        from_mixture[id as usize] = word;
    }
    let unknown = (1 + vocabulary.len() - own.len()) as f64;
    Part { view: model.view(), weight, to_mixture, from_mixture, unknown, nodes: Vec::new(), states: Vec::new() }
}

impl Model {
    /// The log10 probability of every word of text and of the end of every line, each a sentence, and whether it is unknown.
    /// Uses the current pool of threads.
    pub fn text_scores(
        &self,
        batches: impl Iterator<Item = Result<Documents>>,
        control: &Control,
    ) -> Result<(Vec<f32>, Vec<bool>)> {
        let (mut scores, mut unknown) = (Vec::new(), Vec::new());
        for batch in batches {
            let batch = batch?;
            let sentences: Vec<&str> = batch.iter().flat_map(lines).collect();
            let parts = sentences.par_chunks(256).map(|sentences| {
                control.check()?;
                let scores = sentences.iter().flat_map(|text| self.token_scores(&self.word_ids(text), true, true));
                Ok(scores.collect::<Vec<_>>())
            });
            for part in parts.collect::<Result<Vec<_>>>()? {
                scores.extend(part.iter().map(|score| score.log10_prob));
                unknown.extend(part.iter().map(|score| score.is_unknown));
            }
            control.advance(batch.source_bytes);
        }
        Ok((scores, unknown))
    }
}

#[cfg(test)]
mod tests;
