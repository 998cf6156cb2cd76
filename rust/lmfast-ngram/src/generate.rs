//! Drawing text.

use lmfast_base::{Control, Error, Result};

use crate::compact::{Compact, State};
use crate::corpus::{END, UNKNOWN};
use crate::model::Model;

/// How words are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// Probabilities are raised to 1 / temperature; 0 takes the most probable word.
    pub temperature: f64,
    /// Draw among this many most probable words only.
    pub top_k: Option<usize>,
    /// Draw among the fewest most probable words that have at least this probability together.
    pub top_p: Option<f64>,
}

impl Sampling {
    /// # Errors
    /// [`Error::Invalid`] naming the option that is out of range.
    fn check(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(Error::invalid(format!("temperature={}: at least 0 was expected", self.temperature)));
        }
        if self.top_k == Some(0) {
            return Err(Error::invalid("top_k=0: at least one word is needed to draw from"));
        }
        match self.top_p {
            Some(share) if !(share > 0.0 && share <= 1.0) => {
                Err(Error::invalid(format!("top_p={share}: above 0 and at most 1 was expected")))
            }
            _ => Ok(()),
        }
    }

    /// Draws a word; nothing if no word has any probability. `uniform` is from 0 to 1.
    fn draw(&self, distribution: &[f32], uniform: f64) -> Option<u32> {
        let highest = distribution.iter().copied().fold(0.0, f32::max);
        let mut words: Vec<(u32, f64)> = distribution
            .iter()
            .zip(0..)
            .filter(|&(&probability, _)| probability > 0.0)
            .map(|(&probability, word)| (word, f64::from(probability / highest)))
            .collect();
        let best_first = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.temperature == 0.0 {
            return words.into_iter().min_by(best_first).map(|(word, _)| word);
        }
        for (_, weight) in &mut words {
            *weight = weight.powf(1.0 / self.temperature);
        }
        if let Some(number) = self.top_k.filter(|&number| number < words.len()) {
            words.select_nth_unstable_by(number, best_first);
            words.truncate(number);
        }
        if let Some(share) = self.top_p {
            words.sort_unstable_by(best_first);
            let total: f64 = words.iter().map(|(_, weight)| weight).sum();
            let mut sum = 0.0;
            let kept = words.iter().take_while(|(_, weight)| {
                let wanted = sum < share * total;
                sum += weight;
                wanted
            });
            let kept = kept.count();
            words.truncate(kept);
        }
        words.sort_unstable_by_key(|&(word, _)| word);
        let mut left = uniform * words.iter().map(|(_, weight)| weight).sum::<f64>();
        let drawn = words.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        drawn.or(words.last()).map(|&(word, _)| word)
    }
}

impl Model {
    /// Draws the words that follow `<s>` and a context, up to the end of the sentence, which is left out, or
    /// `max_tokens` words. Never draws the unknown word.
    ///
    /// # Errors
    /// [`Error::Invalid`] for sampling options out of range.
    pub fn generate(
        &self,
        context: &[u32],
        max_tokens: usize,
        sampling: &Sampling,
        seed: u64,
        control: &Control,
    ) -> Result<Vec<u32>> {
        sampling.check()?;
        let (mut place, mut random, mut drawn) = (Place::after(self, context), SplitMix(seed), Vec::new());
        control.begin("generating", max_tokens as u64);
        while drawn.len() < max_tokens {
            control.check()?;
            let mut distribution = place.distribution();
            if let Some(unknown) = distribution.get_mut(UNKNOWN as usize) {
                *unknown = 0.0;
            }
            let Some(word) = sampling.draw(&distribution, random.uniform()).filter(|&word| word != END) else { break };
            drawn.push(word);
            place.follow(word);
            control.advance(1);
        }
        Ok(drawn)
    }
}

/// Where a text is, in either form of a model.
enum Place<'a> {
    Plain(&'a Model, u32),
    Compact(&'a Compact, State),
}

impl<'a> Place<'a> {
    fn after(model: &'a Model, context: &[u32]) -> Self {
        match &model.compact {
            Some(compact) => Self::Compact(compact, compact.state_after(context)),
            None => Self::Plain(model, model.state_after(context)),
        }
    }

    fn distribution(&self) -> Vec<f32> {
        match self {
            Self::Plain(model, state) => model.distribution_after(*state),
            Self::Compact(compact, state) => compact.distribution_after(state),
        }
    }

    fn follow(&mut self, word: u32) {
        match self {
            Self::Plain(model, state) => (_, _, *state) = model.view().step(*state, word),
            Self::Compact(compact, state) => compact.follow(state, word),
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    /// The next number, from 0 up to but not including 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) as f64 / 2_f64.powi(64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Sampling = Sampling { temperature: 1.0, top_k: None, top_p: None };
    const DISTRIBUTION: [f32; 4] = [0.1, 0.0, 0.6, 0.3];

    fn frequencies(sampling: Sampling) -> [usize; 4] {
        let (mut random, mut counts) = (SplitMix(1), [0; 4]);
        for _ in 0..10_000 {
            if let Some(word) = sampling.draw(&DISTRIBUTION, random.uniform()) {
                counts[word as usize] += 1;
            }
        }
        counts
    }

    #[test]
    fn draws_follow_the_distribution() {
        let [a, b, c, d] = frequencies(PLAIN);
        assert_eq!(b, 0);
        assert!(a.abs_diff(1000) < 150 && c.abs_diff(6000) < 250 && d.abs_diff(3000) < 250, "{a} {c} {d}");
        let [a, _, c, d] = frequencies(Sampling { temperature: 0.5, ..PLAIN });
        assert!(a.abs_diff(217) < 80 && c.abs_diff(7826) < 250 && d.abs_diff(1957) < 250, "{a} {c} {d}");
    }

    #[test]
    fn draws_are_restricted() {
        assert_eq!(frequencies(Sampling { temperature: 0.0, ..PLAIN }), [0, 0, 10_000, 0]);
        assert_eq!(frequencies(Sampling { top_k: Some(1), ..PLAIN }), [0, 0, 10_000, 0]);
        assert_eq!(frequencies(Sampling { top_p: Some(0.5), ..PLAIN }), [0, 0, 10_000, 0]);
        let [a, _, c, d] = frequencies(Sampling { top_p: Some(0.61), ..PLAIN });
        assert!(a == 0 && c > 6000 && d > 3000);
        assert_eq!(frequencies(Sampling { top_k: Some(2), ..PLAIN }), [a, 0, c, d]);
        assert_eq!(PLAIN.draw(&[0.0; 3], 0.5), None);
    }

    #[test]
    fn options_out_of_range() {
        for wrong in [
            Sampling { temperature: -1.0, ..PLAIN },
            Sampling { temperature: f64::NAN, ..PLAIN },
            Sampling { top_k: Some(0), ..PLAIN },
            Sampling { top_p: Some(0.0), ..PLAIN },
            Sampling { top_p: Some(1.5), ..PLAIN },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
