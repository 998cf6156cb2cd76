//! The merges that can happen.
//!
//! Some files list, for each token, every pair of tokens that it can be cut into. Of these one alone ever happens: no
//! merge goes across the ends of what becomes one token, so its inside evolves as if it stood alone, and the last merge
//! is that of the token's own encoding. What never happens need not be in the table, of which more stays near then.

use super::merges::{MergeTable, NONE};

/// The most bytes of a token that is looked at; the merges of longer ones are all kept.
const LONGEST: usize = 256;

/// The merges without those that never happen, in their order; nothing if each makes another token, or if tokens are not
/// what their merges say.
pub(super) fn reachable(byte_ids: &[u32; 256], merges: &[(u32, u32, u32)]) -> Option<Vec<(u32, u32, u32)>> {
    let largest = merges.iter().map(|&(left, right, merged)| left.max(right).max(merged)).max()?;
    let mut counts = vec![0_u32; byte_ids.iter().fold(largest, |largest, &id| largest.max(id)) as usize + 1];
    for &(_, _, merged) in merges {
        counts[merged as usize] += 1;
    }
    if counts.iter().all(|&count| count < 2) {
        return None;
    }
    let spelled = Spelled::new(byte_ids, merges, counts.len())?;
    let table = MergeTable::new(merges);
    // The rank of the merge that makes each token; `NONE` for none.
    let mut last: Vec<Option<u32>> = vec![None; counts.len()];
    for (id, _) in counts.iter().enumerate().filter(|&(_, &count)| count > 1) {
        let bytes = spelled.of(id as u32);
        if bytes.len() <= LONGEST {
            last[id] = Some(last_merge(byte_ids, &table, bytes));
        }
    }
    let happens = |&(rank, merge): &(u32, &(u32, u32, u32))| last[merge.2 as usize].is_none_or(|last| rank == last);
    Some((0..).zip(merges).filter(happens).map(|(_, &merge)| merge).collect())
}

/// The bytes of tokens.
struct Spelled {
    bytes: Vec<u8>,
    /// Where in them each token begins and ends; nothing where that is not known.
    places: Vec<(usize, usize)>,
}

impl Spelled {
    /// Nothing if a part is never made, or two merges spell one token differently.
    fn new(byte_ids: &[u32; 256], merges: &[(u32, u32, u32)], count: usize) -> Option<Self> {
        let mut spelled = Self { bytes: (0..=u8::MAX).collect(), places: vec![(0, 0); count] };
        for (byte, &id) in byte_ids.iter().enumerate() {
            let place = &mut spelled.places[id as usize];
            if *place != (0, 0) {
                return None;
            }
            *place = (byte, byte + 1);
        }
        // Of some merges the parts are made by later ones.
        let mut waiting: Vec<&(u32, u32, u32)> = merges.iter().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut is_clear = true;
            waiting.retain(|&&merge| match spelled.spell(merge) {
                Some(is_equal) => {
                    is_clear &= is_equal;
                    false
                }
                None => true,
            });
            if !is_clear || waiting.len() == before {
                return None;
            }
        }
        Some(spelled)
    }

    /// Spells what a merge makes, and gives whether that is as before; nothing if a part is not known yet.
    fn spell(&mut self, (left, right, merged): (u32, u32, u32)) -> Option<bool> {
        let start = self.bytes.len();
        for part in [left, right] {
            let (from, to) = self.places[part as usize];
            if from == to {
                self.bytes.truncate(start);
                return None;
            }
            self.bytes.extend_from_within(from..to);
        }
        let (from, to) = self.places[merged as usize];
        if from == to {
            let is_short = self.bytes.len() - start <= 1 << 16;
            self.places[merged as usize] = (start, self.bytes.len());
            return Some(is_short);
        }
        let is_equal = self.bytes[from..to] == self.bytes[start..];
        self.bytes.truncate(start);
        Some(is_equal)
    }

    fn of(&self, id: u32) -> &[u8] {
        let (from, to) = self.places[id as usize];
        &self.bytes[from..to]
    }
}

/// The rank of the merge that makes one token of some bytes, or [`NONE`] if they do not become one.
fn last_merge(byte_ids: &[u32; 256], table: &MergeTable, bytes: &[u8]) -> u32 {
    let mut symbols: Vec<u32> = bytes.iter().map(|&byte| byte_ids[usize::from(byte)]).collect();
    let mut ranks: Vec<u32> = symbols.windows(2).map(|pair| table.rank(pair[0], pair[1])).collect();
    let mut last = NONE;
    while let Some((rank, at)) = (0..).zip(&ranks).map(|(at, &rank)| (rank, at)).min() {
        if rank == NONE {
            return NONE;
        }
        last = rank;
        symbols[at] = table.merged(rank);
        symbols.remove(at + 1);
        ranks.remove(at);
        for at in at.saturating_sub(1)..=at {
            if let (Some(rank), [left, right, ..]) = (ranks.get_mut(at), &symbols[at..]) {
                *rank = table.rank(*left, *right);
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::naive;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_never_happens_changes_nothing(
            picks in prop::collection::vec((0..14_usize, 0..14_usize), 1..40), text in "[abc]{1,40}"
        ) {
            let byte_ids: [u32; 256] = std::array::from_fn(|byte| byte as u32);
            let mut tokens: Vec<(Vec<u8>, u32)> = (b'a'..=b'c').map(|byte| (vec![byte], u32::from(byte))).collect();
            let mut merges = Vec::new();
            for (left, right) in picks {
                let (left, right) = (tokens[left % tokens.len()].clone(), tokens[right % tokens.len()].clone());
                let joined = [left.0, right.0].concat();
                let known = tokens.iter().find(|(token, _)| *token == joined).map(|&(_, id)| id);
                let id = known.unwrap_or(256 + tokens.len() as u32);
                if known.is_none() {
                    tokens.push((joined, id));
                }
                merges.push((left.1, right.1, id));
            }
            if let Some(fewer) = reachable(&byte_ids, &merges) {
                prop_assert!(fewer.len() <= merges.len());
                let bytes = text.as_bytes();
                prop_assert_eq!(naive::encode(&byte_ids, &fewer, bytes), naive::encode(&byte_ids, &merges, bytes));
            }
        }
    }

    #[test]
    fn of_all_ways_to_cut_a_token_one_is_left() {
        let byte_ids: [u32; 256] = std::array::from_fn(|byte| byte as u32);
        let [a, b, c] = [97, 98, 99];
        let merges = [(a, b, 256), (b, c, 257), (256, c, 258), (a, 257, 258)];
        assert_eq!(reachable(&byte_ids, &merges).as_deref(), Some(&merges[..3]));
        assert_eq!(reachable(&byte_ids, &merges[..3]), None);
    }
}
