//! The merges of a BPE model, and the order in which plain BPE, with a rank for each, does the same with them.
//!
//! Every way to cut a piece in two is a merge, of the rank of the piece's score. Of these one alone ever happens: no
//! merge goes across the ends of what becomes a piece, so its inside is merged as if it stood alone, and the last of
//! these merges makes it. So pieces of different scores may have ranks of their own, in the order of their scores.
//!
//! Of pieces of one score the leftmost comes first in `SentencePiece`, in plain BPE the one of the lower rank. That is
//! the same where no two of their merges share a symbol, be it one that the other makes. Else it can be for runs of one
//! character, as Llama and Mistral have them of spaces: a run grows to the longest before the next is begun, and so it
//! does if longer runs have the lower ranks. Encodings being [local](crate::bpe::merge), it is enough to compare the two
//! orders on runs of up to twice the longest piece.

use std::cmp::Reverse;

use lmfast_base::Control;
use rustc_hash::{FxHashMap, FxHashSet};

use super::merger::{Merge, Merger, Symbol};
use crate::format::sentencepiece::{Kind, Settings};
use crate::vocabulary::Vocabulary;

/// The most characters of a piece of which it is found out how it is made.
const LONGEST: usize = 256;

/// A vocabulary as symbols that merge.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// The symbol of each character that is a piece or in one; those that are no piece are numbered behind the pieces.
    pub(crate) symbols: FxHashMap<char, u32>,
    /// By rank, and pieces of one score have one.
    pub(crate) merges: Vec<Merge>,
}

/// Merges with a rank each, which is their place.
#[derive(Debug, Default)]
pub(crate) struct Ranked {
    pub(crate) merges: Vec<(u32, u32, u32)>,
    /// Which of them can ever happen.
    pub(crate) happen: Vec<bool>,
}

impl Pairs {
    pub(crate) fn new(settings: &Settings, vocabulary: &Vocabulary) -> Self {
        let kind = |id: u32| settings.pieces[id as usize].kind;
        let is_merged = |id: u32| matches!(kind(id), Kind::Normal | Kind::Unused);
        let size = vocabulary.size();
        let mut symbols: FxHashMap<char, u32> = FxHashMap::default();
        let characters = vocabulary.iter().filter(|&(_, id)| is_merged(id)).flat_map(|(piece, _)| piece.chars());
        for character in characters {
            let next = size + symbols.len() as u32;
            let mut spelled = [0; 4];
            symbols
                .entry(character)
                .or_insert_with(|| vocabulary.id(character.encode_utf8(&mut spelled)).unwrap_or(next));
        }
        let single = vocabulary.iter().filter_map(|(piece, id)| {
            let mut characters = piece.chars();
            characters.next().filter(|_| characters.next().is_none()).map(|character| (character, id))
        });
        for (character, id) in single {
            symbols.insert(character, id);
        }
        let mut scores: Vec<f32> = settings.pieces.iter().map(|piece| piece.score + 0.0).collect();
        scores.sort_by(|one, other| other.total_cmp(one));
        scores.dedup();
        let rank = |id: u32| {
            let score = settings.pieces[id as usize].score + 0.0;
            scores.partition_point(|&other| other > score) as u32
        };
        let side = |part: &str| {
            let mut characters = part.chars();
            let symbol = match (characters.next(), characters.next()) {
                (Some(character), None) => symbols.get(&character).copied(),
                _ => vocabulary.id(part).filter(|&id| is_merged(id)),
            };
            symbol.filter(|&symbol| symbol >= size || kind(symbol) != Kind::UserDefined)
        };
        let mut merges = Vec::new();
        for (piece, id) in vocabulary.iter().filter(|&(_, id)| is_merged(id)) {
            for (at, _) in piece.char_indices().skip(1) {
                if let (Some(left), Some(right)) = (side(&piece[..at]), side(&piece[at..])) {
                    merges.push(Merge { left, right, rank: rank(id), merged: id });
                }
            }
        }
        merges.sort_by_key(|merge| merge.rank);
        Self { symbols, merges }
    }

    /// The same merges, each with a rank of its own.
    ///
    /// # Errors
    /// Gives two pieces of one score of which no order of ranks is known to do the same.
    pub(crate) fn ranked(&self, vocabulary: &Vocabulary) -> Result<Ranked, (u32, u32)> {
        let merger = Merger::new(self.merges.iter().copied());
        let mut last: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
        let mut happens = |merge: &Merge| {
            let piece = vocabulary.token(merge.merged).unwrap_or_default();
            let symbols = || piece.chars().filter_map(|character| self.symbols.get(&character).copied());
            let is_long = piece.chars().nth(LONGEST).is_some();
            is_long || *last.entry(merge.merged).or_insert_with(|| merger.last(symbols())) == (merge.left, merge.right)
        };
        let happening: Vec<Merge> = self.merges.iter().filter(|merge| happens(merge)).copied().collect();
        let ties = Ties::new(&self.merges, &happening, vocabulary);
        let mut families = Families::default();
        for tied in happening.chunk_by(|one, other| one.rank == other.rank).filter(|tied| tied.len() > 1) {
            families.extend(ties.settle(tied)?);
        }
        let mut merges = self.merges.clone();
        merges.sort_by_key(|merge| (merge.rank, families.get(&merge.merged).map(|&length| Reverse(length))));
        Ok(Ranked {
            happen: merges.iter().map(&mut happens).collect(),
            merges: merges.iter().map(|merge| (merge.left, merge.right, merge.merged)).collect(),
        })
    }
}

impl Ranked {
    /// The merges that can ever happen.
    pub(crate) fn happening(&self) -> Vec<(u32, u32, u32)> {
        self.merges.iter().zip(&self.happen).filter(|&(_, &happens)| happens).map(|(&merge, _)| merge).collect()
    }
}

/// The symbols of runs of one character, and their lengths.
type Families = FxHashMap<u32, usize>;

/// What is to be known of all merges to tell whether the order of some matters.
struct Ties<'a> {
    vocabulary: &'a Vocabulary,
    /// The lowest rank of the merges of each symbol that happen.
    soonest: FxHashMap<u32, u32>,
    /// The merges that make runs of each character.
    runs: FxHashMap<char, Vec<Merge>>,
}

impl<'a> Ties<'a> {
    fn new(merges: &[Merge], happening: &[Merge], vocabulary: &'a Vocabulary) -> Self {
        let mut ties = Self { vocabulary, soonest: FxHashMap::default(), runs: FxHashMap::default() };
        for merge in happening {
            for part in [merge.left, merge.right] {
                ties.soonest.entry(part).or_insert(merge.rank);
            }
        }
        for merge in merges {
            if let Some(character) = ties.repeated(merge.merged) {
                ties.runs.entry(character).or_default().push(*merge);
            }
        }
        ties
    }

    /// The character of which a piece is a run.
    fn repeated(&self, id: u32) -> Option<char> {
        let piece = self.vocabulary.token(id)?;
        let first = piece.chars().next()?;
        piece.chars().all(|character| character == first).then_some(first)
    }

    /// Of pieces of one rank, those runs of which the longer ones are to be made first; the order of others is free.
    fn settle(&self, tied: &[Merge]) -> Result<Families, (u32, u32)> {
        let made: FxHashSet<u32> = tied.iter().map(|merge| merge.merged).collect();
        let characters: FxHashSet<char> = tied.iter().filter_map(|merge| self.repeated(merge.merged)).collect();
        let families = characters.into_iter().filter_map(|character| self.family(character, tied[0].rank));
        let families: Families = families.flatten().collect();
        let others = || tied.iter().filter(|merge| !families.contains_key(&merge.merged));
        let mut lefts: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        others().for_each(|merge| lefts.entry(merge.left).or_default().push(merge.merged));
        for merge in tied {
            if self.soonest.get(&merge.merged).is_some_and(|&rank| rank < merge.rank) {
                return Err((merge.merged, tied[usize::from(tied[0].merged == merge.merged)].merged));
            }
        }
        for merge in others() {
            let parts = [merge.left, merge.right];
            let part = parts.into_iter().find(|part| made.contains(part) || families.contains_key(part));
            let shared = || lefts.get(&merge.right)?.iter().copied().find(|&other| other != merge.merged);
            if let Some(other) = part.or_else(shared) {
                return Err((merge.merged, other));
            }
        }
        Ok(families)
    }

    /// The symbols that are runs of a character, if all are made by merges of one rank, and equally if the longer ones
    /// are made first.
    fn family(&self, character: char, rank: u32) -> Option<Families> {
        let merges = self.runs.get(&character)?;
        let single = merges.iter().find(|merge| self.length(merge.merged) == 2)?.left;
        let mut family: Families = merges.iter().map(|merge| (merge.merged, self.length(merge.merged))).collect();
        family.insert(single, 1);
        let longest = family.values().copied().max()?;
        if longest > LONGEST || merges.iter().any(|merge| merge.rank != rank) {
            return None;
        }
        let ordered = merges.iter().map(|merge| Merge { rank: (longest - family[&merge.merged]) as u32, ..*merge });
        let mergers = [Merger::new(merges.iter().copied()), Merger::new(ordered)];
        let is_equal = (2..=2 * longest).all(|length| {
            let [one, other] = mergers.each_ref().map(|merger| {
                let mut symbols = vec![Symbol { id: single, count: 1 }; length];
                merger.merge(&mut symbols, &Control::default()).ok().map(|()| symbols)
            });
            one == other
        });
        is_equal.then_some(family)
    }

    fn length(&self, id: u32) -> usize {
        self.vocabulary.token(id).map_or(1, |piece| piece.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bpe::{MergeTable, merge};
    use crate::format::sentencepiece::tests::piece;
    use crate::format::sentencepiece::{Settings, parse};
    use crate::format::{Definition, Model};

    /// The model of some pieces.
    fn model(pieces: &[(String, f32)]) -> (Box<Settings>, Vocabulary) {
        let pieces = pieces.iter().map(|(spelling, score)| piece(spelling, *score, 1));
        let bytes: Vec<u8> = std::iter::once(piece("<unk>", 0.0, 2)).chain(pieces).flatten().collect();
        let Definition { model: Model::SentencePiece(settings), vocabulary, .. } = parse(&bytes).expect("is a model")
        else {
            panic!("another model")
        };
        (settings, vocabulary)
    }

    /// Pieces of one score from left to right, as they are merged in `SentencePiece`.
    fn expected(pairs: &Pairs, text: &str) -> Vec<u32> {
        let mut symbols: Vec<Symbol> =
            text.chars().map(|character| Symbol { id: pairs.symbols[&character], count: 1 }).collect();
        Merger::new(pairs.merges.iter().copied()).merge(&mut symbols, &Control::default()).expect("merges");
        symbols.iter().map(|symbol| symbol.id).collect()
    }

    fn found(pairs: &Pairs, merges: &[(u32, u32, u32)], text: &str) -> Vec<u32> {
        let symbols: Vec<u32> = text.chars().map(|character| pairs.symbols[&character]).collect();
        let mut ids = Vec::new();
        merge(&MergeTable::new(merges), &symbols, &Control::default(), |(id, _)| ids.push(id)).expect("merges");
        ids
    }

    proptest! {
        #[test]
        fn ranks_do_what_scores_do(
            pieces in prop::collection::btree_map("[abc]{2,4}", 0..8_u8, 1..14),
            runs in (prop::collection::btree_set(2..9_usize, 0..7), 0..8_u8),
            text in prop::collection::vec(("[abcd]{0,5}", 0..30_usize), 1..12),
        ) {
            let letters = "abcd".chars().map(|letter| (letter.to_string(), -9.0));
            let runs = runs.0.iter().map(|&length| ("d".repeat(length), -f32::from(runs.1)));
            let pieces = pieces.into_iter().map(|(piece, score)| (piece, -f32::from(score)));
            let (settings, vocabulary) = model(&letters.chain(runs).chain(pieces).collect::<Vec<_>>());
            let pairs = Pairs::new(&settings, &vocabulary);
            let text: String = text.into_iter().map(|(letters, run)| letters + &"d".repeat(run)).collect();
            if let Ok(ranked) = pairs.ranked(&vocabulary) {
                let expected = expected(&pairs, &text);
                prop_assert_eq!(&found(&pairs, &ranked.merges, &text), &expected);
                prop_assert_eq!(&found(&pairs, &ranked.happening(), &text), &expected);
            }
        }
    }

    #[test]
    fn runs_of_one_score_are_ordered_and_what_shares_a_symbol_is_not() {
        let ranked = |pieces: &[&str]| {
            let singles = ["a", "b", "c"].map(|letter| (letter.to_owned(), -1.0));
            let tied = pieces.iter().map(|piece| ((*piece).to_owned(), -2.0));
            let (settings, vocabulary) = model(&singles.into_iter().chain(tied).collect::<Vec<_>>());
            let pairs = Pairs::new(&settings, &vocabulary);
            pairs.ranked(&vocabulary).map(|ranked| ranked.happening())
        };
        // "a", "b" and "c" are 1 to 3. As in Mistral, one length is left out.
        let runs = ranked(&["aa", "aaa", "aaaaa"]).expect("is ordered");
        assert_eq!(runs, [(5, 4, 6), (4, 1, 5), (1, 1, 4)]);
        assert_eq!(ranked(&["ab", "cc"]).expect("is ordered").len(), 2);
        assert_eq!(ranked(&["ab", "bc"]), Err((4, 5)));
        assert_eq!(ranked(&["aa", "ab"]), Err((5, 1)));
        assert_eq!(ranked(&["ab", "abc"]), Err((5, 4)));
    }
}
