//! Models with fewer n-grams.

use lmfast_base::{Control, Error, Result};

use crate::corpus::SPECIALS;
use crate::model::{ArpaEntry, Builder, Kind, Model};

/// The n-grams of a model that are kept, from unigrams up, by node less the first node of its order; what an n-gram begins
/// with is kept where the n-gram is.
pub(crate) type Flags = Vec<Vec<bool>>;

impl Model {
    /// The n-grams of none but these words and the three special ones, with their probabilities and back-off weights
    /// unchanged: so every sentence of these words keeps its score. Every other word is unknown from here on, and what its
    /// n-grams had is nobody's. As `filter single` of `KenLM`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a model of tokens, whose vocabulary is closed.
    pub fn filter(&self, words: &[String], control: &Control) -> Result<Self> {
        if self.kind() == Kind::Tokens {
            return Err(Error::invalid(
                "every token of the vocabulary belongs to a model of tokens: only a model of words can be filtered",
            ));
        }
        if self.compact.is_some() {
            return self.expanded(control)?.filter(words, control);
        }
        self.verify(control)?;
        let lookup = self.vocabulary().lookup();
        let mut allowed: Vec<bool> = (0..self.vocabulary().len() as u32).map(|id| id < SPECIALS).collect();
        words.iter().filter_map(|word| lookup.find(word.as_bytes())).for_each(|id| allowed[id as usize] = true);
        let view = self.view();
        let mut flags: Flags = vec![allowed.clone()];
        for order in 2..=self.order() {
            let mut level = Vec::new();
            for (context, &is_kept) in (view.level_starts[order - 1]..).zip(&flags[order - 2]) {
                check_now_and_then(context, control)?;
                let children = view.words.get(view.children(context)).unwrap_or_default();
                level.extend(children.iter().map(|&word| is_kept && allowed[word as usize]));
            }
            flags.push(level);
        }
        self.keep(&flags, |_, _| Ok(()), control)
    }

    /// The n-grams that `flags` keeps. `finish` is called with the order of the n-grams that were appended last, from bigrams
    /// up, and may change the weights of their contexts.
    pub(crate) fn keep(
        &self,
        flags: &Flags,
        mut finish: impl FnMut(&mut Builder, usize) -> Result<()>,
        control: &Control,
    ) -> Result<Self> {
        let view = self.view();
        let vocabulary = self.vocabulary().keep(|word| flags[0][word as usize]);
        // The numbers of the words that are kept.
        let mut next = 0;
        let number = |&is_kept: &bool| {
            let number = next;
            next += u32::from(is_kept);
            number
        };
        let numbers: Vec<u32> = flags[0].iter().map(number).collect();
        let kept = || (0..).zip(&flags[0]).filter(|&(_, &is_kept)| is_kept).map(|(word, _)| 1 + word);
        let unigrams: Vec<f32> = kept().map(|node| view.log10_prob(node)).collect();
        let mut builder = Builder::new(self.order(), unigrams.into_iter());
        builder.set_backoffs(kept().map(|node| view.backoff(node)));
        let mut first_context = 1;
        for order in 2..=self.order() {
            let (mut entries, mut context) = (Vec::new(), first_context);
            let mut child_flags = flags[order - 1].iter();
            for (node, &is_kept) in (view.level_starts[order - 1]..).zip(&flags[order - 2]) {
                check_now_and_then(node, control)?;
                for (child, &keeps_child) in view.children(node).zip(child_flags.by_ref()) {
                    if keeps_child {
                        let word = numbers[view.words[child] as usize];
                        let child = child as u32;
                        let (log10_prob, backoff) = (view.log10_prob(child), view.backoff(child));
                        entries.push(ArpaEntry { context, word, log10_prob, backoff });
                    }
                }
                context += u32::from(is_kept);
            }
            first_context = context;
            builder.append_sorted(&entries);
            finish(&mut builder, order)?;
        }
        let mut model = builder.finish(vocabulary, self.kind());
        model.set_method(self.method().to_owned());
        Ok(model)
    }
}

/// Looks at the control at some of the nodes.
pub(crate) fn check_now_and_then(node: u32, control: &Control) -> Result<()> {
    if node.is_multiple_of(1 << 14) { control.check() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::naive::{corpora, smoothed_words};
    use crate::smoothing::Smoothing;

    proptest! {
        #[test]
        fn sentences_of_the_words_keep_their_scores(
            sentences in corpora(),
            order in 1..5_usize,
            keeps in prop::collection::vec(any::<bool>(), 5),
            asked in prop::collection::vec(prop::collection::vec(0..5_usize, 0..6), 9),
        ) {
            let model = smoothed_words(&sentences, order, 3, Smoothing::WittenBell)?;
            let words: Vec<String> = (3..8).zip(&keeps).filter(|&(_, &keep)| keep).map(|(id, _)| format!("w{id}")).collect();
            let filtered = model.filter(&words, &Control::default())?;
            prop_assert_eq!(filtered.vocabulary().len(), 3 + words.len());
            // Nothing is left out but n-grams with another word.
            let own = |model: &Model| {
                let path = tempfile::tempdir().map(|folder| (folder.path().join("m.arpa"), folder));
                let (path, _folder) = path.map_err(lmfast_base::Error::io("m.arpa"))?;
                model.save_arpa(&path, &Control::default())?;
                std::fs::read_to_string(&path).map_err(lmfast_base::Error::io(&path))
            };
            let allowed = |line: &&str| {
                let Some(gram) = line.split('\t').nth(1) else { return false };
                gram.split(' ').all(|word| !word.starts_with('w') || words.iter().any(|other| other == word))
            };
            let lines = |text: &str| {
                let mut lines: Vec<String> = text.lines().filter(allowed).map(str::to_owned).collect();
                lines.sort();
                lines
            };
            prop_assert_eq!(lines(&own(&filtered)?), lines(&own(&model)?));
            for sentence in asked.iter().filter(|_| !words.is_empty()) {
                let text = sentence.iter().map(|&place| words[place % words.len()].as_str()).collect::<Vec<_>>().join(" ");
                let scores = |model: &Model| model.score(&model.word_ids(&text), true, true).to_bits();
                prop_assert_eq!(scores(&filtered), scores(&model));
            }
        }
    }
}
