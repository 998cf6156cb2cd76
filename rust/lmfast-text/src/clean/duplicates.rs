//! Documents seen before, exactly or nearly.
//!
//! Exactly: a set of 128-bit hashes of the text. Nearly: `MinHash` (Broder, "On the resemblance and containment of
//! documents", 1997) over shingles of consecutive words; a document's signature is cut into bands (locality sensitive
//! hashing, Leskovec et al., "Mining of Massive Datasets", section 3.4), and an earlier document that shares a band is
//! compared by the share of equal values, which estimates the Jaccard similarity of the sets of shingles. Words are runs
//! of letters and digits, without regard to case. Documents without a word are no near duplicates of any.
//!
//! Pages of one template share bands without being near. So that their number does not count twice, a band's newest
//! [`CANDIDATES`] are compared and no others.
//!
//! Memory, for a document kept: 20 to 40 bytes for exact duplicates; for near ones 2 to 4 bytes a permutation and 20 to
//! 40 bytes a band, as tables double when they are full.

use lmfast_base::{Error, Result};
use rustc_hash::{FxHashMap, FxHashSet};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// How many earlier documents of a band a document is compared with.
const CANDIDATES: usize = 1000;

/// How near duplicates are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearOptions {
    /// Words of a shingle.
    pub ngram: usize,
    /// Values of a signature.
    pub permutations: usize,
    /// The estimated Jaccard similarity from which a document is a duplicate.
    pub threshold: f64,
}

impl Default for NearOptions {
    fn default() -> Self {
        Self { ngram: 5, permutations: 128, threshold: 0.8 }
    }
}

/// Makes signatures; shared by all threads.
#[derive(Debug)]
pub(super) struct Signer {
    ngram: usize,
    /// Odd factors and addends: `x * factor + addend` permutes the numbers of 32 bits.
    factors: Vec<u32>,
    addends: Vec<u32>,
}

impl Signer {
    pub(super) fn new(options: NearOptions) -> Self {
        let random = |number: usize, kind: u8| xxh3_64(&[&(number as u64).to_le_bytes()[..], &[kind]].concat()) as u32;
        Self {
            ngram: options.ngram,
            factors: (0..options.permutations).map(|number| random(number, 0) | 1).collect(),
            addends: (0..options.permutations).map(|number| random(number, 1)).collect(),
        }
    }

    /// The signature of a text: the low halves of each permutation's least value; empty for a text without words.
    pub(super) fn signature(&self, text: &str) -> Vec<u16> {
        let words = word_hashes(text);
        if words.is_empty() {
            return Vec::new();
        }
        let mut least = vec![u32::MAX; self.factors.len()];
        for shingle in words.windows(self.ngram.min(words.len())) {
            let joined = shingle
                .iter()
                .fold(0u64, |hash, &word| (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let value = ((joined ^ (joined >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32) as u32;
            for ((least, factor), addend) in least.iter_mut().zip(&self.factors).zip(&self.addends) {
                *least = (*least).min(value.wrapping_mul(*factor).wrapping_add(*addend));
            }
        }
        // The least values of many shingles are small, so their high halves say little.
        least.into_iter().map(|value| (value ^ (value >> 16)) as u16).collect()
    }
}

fn word_hashes(text: &str) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(text.len() / 6);
    let mut folded = String::new();
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        folded.clear();
        if word.is_ascii() {
            folded.push_str(word);
            folded.make_ascii_lowercase();
        } else {
            folded.extend(word.chars().flat_map(char::to_lowercase));
        }
        hashes.push(xxh3_64(folded.as_bytes()));
    }
    hashes
}

/// Documents kept so far.
#[derive(Debug)]
pub(super) struct Duplicates {
    exact: Option<FxHashSet<u128>>,
    near: Option<Near>,
    memory: u64,
}

#[derive(Debug)]
struct Near {
    threshold: f64,
    rows: usize,
    permutations: usize,
    /// For each band, which documents have its hash: the first, and further ones of the same hash in `chains`.
    bands: Vec<FxHashMap<u64, u32>>,
    chains: FxHashMap<(u32, u32), u32>,
    signatures: Vec<u16>,
}

/// Which kind of duplicate a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicate {
    Exact,
    Near,
}

impl Duplicates {
    pub(super) fn new(exact: bool, near: Option<NearOptions>, memory: u64) -> Self {
        let near = near.map(|options| {
            let (bands, rows) = bands_of(options.permutations, options.threshold);
            Near {
                threshold: options.threshold,
                rows,
                permutations: options.permutations,
                bands: vec![FxHashMap::default(); bands],
                chains: FxHashMap::default(),
                signatures: Vec::new(),
            }
        });
        Self { exact: exact.then(FxHashSet::default), near, memory }
    }

    /// Tells whether a document, given by its hash and signature, was there before; remembers it if not.
    pub(super) fn check(&mut self, hash: u128, signature: &[u16]) -> Result<Option<Duplicate>> {
        if self.exact.as_ref().is_some_and(|seen| seen.contains(&hash)) {
            return Ok(Some(Duplicate::Exact));
        }
        if let Some(near) = self.near.as_mut().filter(|_| !signature.is_empty()) {
            if near.finds(signature) {
                return Ok(Some(Duplicate::Near));
            }
            near.add(signature);
        }
        if let Some(seen) = &mut self.exact {
            seen.insert(hash);
        }
        if self.bytes() > self.memory {
            return Err(Error::invalid(format!(
                "memory={}: not enough to remember every document for drop_duplicates; raise it, or clean in parts",
                self.memory
            )));
        }
        Ok(None)
    }

    /// Bytes that the tables take.
    fn bytes(&self) -> u64 {
        let exact = self.exact.as_ref().map_or(0, |seen| table_bytes::<u128>(seen.capacity()));
        let near = self.near.as_ref().map_or(0, |near| {
            let bands: usize = near.bands.iter().map(|band| table_bytes::<(u64, u32)>(band.capacity())).sum();
            2 * near.signatures.capacity() + bands + table_bytes::<((u32, u32), u32)>(near.chains.capacity())
        });
        (exact + near) as u64
    }
}

/// Bytes of a hash table that holds so many entries before it grows: an eighth of its places stay free, and each has a
/// byte of its own beside the entry.
fn table_bytes<T>(capacity: usize) -> usize {
    capacity * 8 / 7 * (size_of::<T>() + 1)
}

impl Near {
    fn band(&self, signature: &[u16], band: usize) -> u64 {
        let rows = signature.get(band * self.rows..(band + 1) * self.rows).unwrap_or_default();
        xxh3_64(bytemuck::cast_slice(rows))
    }

    fn finds(&self, signature: &[u16]) -> bool {
        (0..self.bands.len()).any(|band| {
            let newest = self.bands[band].get(&self.band(signature, band)).copied();
            let chain = std::iter::successors(newest, |&document| self.chains.get(&(band as u32, document)).copied());
            chain.take(CANDIDATES).any(|document| {
                let start = document as usize * self.permutations;
                let other = self.signatures.get(start..start + self.permutations).unwrap_or_default();
                let equal = other.iter().zip(signature).filter(|(one, other)| one == other).count();
                equal as f64 >= self.threshold * self.permutations as f64
            })
        })
    }

    fn add(&mut self, signature: &[u16]) {
        let document = (self.signatures.len() / self.permutations) as u32;
        for band in 0..self.bands.len() {
            let hash = self.band(signature, band);
            // The newest comes first; a chain leads to those before it.
            if let Some(before) = self.bands[band].insert(hash, document) {
                self.chains.insert((band as u32, document), before);
            }
        }
        self.signatures.extend_from_slice(signature);
    }
}

/// How many bands of how many rows find pairs of the threshold's similarity and few below: the split of least area of
/// wrongly found and wrongly missed, missed counting twice, as the candidates are compared once more.
fn bands_of(permutations: usize, threshold: f64) -> (usize, usize) {
    let area = |from: f64, to: f64, chance: &dyn Fn(f64) -> f64| {
        let step = (to - from) / 64.0;
        (0..64).map(|index| chance(from + (f64::from(index) + 0.5) * step) * step).sum::<f64>()
    };
    let mut best = (f64::INFINITY, (1, permutations));
    for rows in 1..=permutations {
        let bands = permutations / rows;
        let found = |similarity: f64| 1.0 - (1.0 - similarity.powi(rows as i32)).powi(bands as i32);
        let cost = area(0.0, threshold, &found) + 2.0 * area(threshold, 1.0, &|similarity| 1.0 - found(similarity));
        if cost < best.0 {
            best = (cost, (bands, rows));
        }
    }
    best.1
}

/// The hash that tells exact duplicates.
pub(super) fn hash(text: &str) -> u128 {
    xxh3_128(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn text(seed: u64, words: u64) -> Vec<String> {
        (0..words).map(|word| format!("w{}", xxh3_64(&(seed * 100_000 + word).to_le_bytes()) % 5000)).collect()
    }

    #[test]
    fn the_estimate_is_near_the_true_similarity() {
        let signer = Signer::new(NearOptions { permutations: 256, ..NearOptions::default() });
        for changed in [0, 3, 20, 60, 300] {
            let one = text(1, 300);
            let mut other = one.clone();
            for place in 0..changed {
                other[place * 300 / changed.max(1)] = format!("changed{place}");
            }
            let shingles = |words: &[String]| words.windows(5).map(<[String]>::to_vec).collect::<HashSet<_>>();
            let (a, b) = (shingles(&one), shingles(&other));
            let truth = a.intersection(&b).count() as f64 / a.union(&b).count() as f64;
            let (a, b) = (signer.signature(&one.join(" ")), signer.signature(&other.join(", ")));
            let estimate = a.iter().zip(&b).filter(|(one, other)| one == other).count() as f64 / 256.0;
            assert!((estimate - truth).abs() < 0.1, "{changed}: {estimate} for {truth}");
        }
    }

    #[test]
    fn planted_near_duplicates_are_found_and_others_kept() {
        let options = NearOptions::default();
        let signer = Signer::new(options);
        let mut seen = Duplicates::new(true, Some(options), u64::MAX);
        let mut check = |words: &[String]| {
            let text = words.join(" ");
            seen.check(hash(&text), &signer.signature(&text)).unwrap()
        };
        for seed in 0..200 {
            assert_eq!(check(&text(seed, 400)), None);
        }
        let mut found = 0;
        for seed in 0..200 {
            let mut words = text(seed, 400);
            assert_eq!(check(&words), Some(Duplicate::Exact));
            words[200] = "another".to_owned();
            found += u32::from(check(&words) == Some(Duplicate::Near));
        }
        assert!(found >= 199, "{found} of 200");
        assert_eq!(check(&[]), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Duplicates::new(true, None, 100);
        assert!((0..3).all(|hash| seen.check(hash, &[]).is_ok()));
        assert!(seen.check(3, &[]).unwrap_err().to_string().contains("memory=100"));
    }

    #[test]
    fn of_many_documents_in_a_band_the_newest_are_compared() {
        let options = NearOptions::default();
        let (_, rows) = bands_of(options.permutations, options.threshold);
        // In the first band all agree, as pages of one template.
        let signature = |document: u64| -> Vec<u16> {
            let value = |place: usize| xxh3_64(&[document, place as u64].map(u64::to_le_bytes).concat()) as u16;
            (0..options.permutations).map(|place| if place < rows { 7 } else { value(place) }).collect()
        };
        // Like a document in all but one value of every other band.
        let near = |document: u64| {
            let mut near = signature(document);
            near.iter_mut().skip(rows).step_by(rows).for_each(|value| *value ^= 1);
            near
        };
        let mut seen = Duplicates::new(false, Some(options), u64::MAX);
        let documents = CANDIDATES as u64 + 10;
        for document in 0..documents {
            assert_eq!(seen.check(0, &signature(document)).unwrap(), None);
        }
        assert_eq!(seen.check(0, &near(documents - CANDIDATES as u64)).unwrap(), Some(Duplicate::Near));
        assert_eq!(seen.check(0, &signature(0)).unwrap(), Some(Duplicate::Near), "by another band");
        assert_eq!(seen.check(0, &near(0)).unwrap(), None);
    }
}
