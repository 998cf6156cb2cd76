//! Merging: again and again the most frequent pair of neighbouring tokens becomes a token.
//!
//! This is algorithm 1 of Sennrich et al. 2016; of equally frequent pairs the one of the lowest ids comes first. Kept
//! are the count of each pair and, in a queue, the words where the pair was when it was queued. A merge visits only
//! those words; a queued pair whose count is out of date is queued again with the right one.
//!
//! Everything that decides the result is that of `tokenizers` (`BpeTrainer::do_train`), its corner cases included: a
//! merge that spells a token which is already there takes that token's id; the count of a merged pair itself is not
//! lowered; when such a pair comes up again it is queued with the new words alone.

use lmfast_base::{Control, Result, memory};
use rayon::ThreadPool;
use rustc_hash::FxHashMap;

use super::neighbours::Neighbours;
use super::pairs::Pairs;
use super::queue::Queue;
use super::sequences::Sequences;

/// A merge of at least this many words is done on all threads.
const MANY: usize = 1 << 13;

/// How far merging goes, and what it makes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) vocab_size: usize,
    pub(super) min_frequency: u64,
    /// A token that is made has fewer characters than this.
    pub(super) max_length: u64,
    /// What the right token of a pair loses in the merged one, if it begins so.
    pub(super) prefix: &'a str,
}

/// Tokens by id and ids by token.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// By id; none where an id is not used.
    spelled: Vec<Option<String>>,
    ids: FxHashMap<String, u32>,
}

impl Tokens {
    /// The id of a token, which is added if it is new.
    pub(super) fn id(&mut self, token: String) -> u32 {
        *self.ids.entry(token).or_insert_with_key(|token| {
            self.spelled.push(Some(token.clone()));
            self.spelled.len() as u32 - 1
        })
    }

    /// Leaves ids out up to one.
    pub(super) fn skip_to(&mut self, id: u32) {
        while self.spelled.len() < id as usize {
            self.spelled.push(None);
        }
    }

    /// The largest id plus one.
    pub(super) fn len(&self) -> usize {
        self.spelled.len()
    }

    /// By id, how many characters each has.
    pub(super) fn lengths(&self) -> Vec<u64> {
        self.spelled.iter().map(|token| token.as_ref().map_or(0, |token| token.chars().count() as u64)).collect()
    }

    /// They by id.
    pub(super) fn into_spelled(self) -> Vec<Option<String>> {
        self.spelled
    }

    fn spelled(&self, id: u32) -> &str {
        self.spelled[id as usize].as_deref().unwrap_or_default()
    }
}

/// Merges until the vocabulary is full, or no pair is frequent enough; gives (left, right, merged) by rank.
///
/// Input: the tokens there are, how many characters of a word each stands for, and the words as tokens.
pub(super) fn merge(
    tokens: &mut Tokens,
    mut lengths: Vec<u64>,
    mut words: Sequences,
    rules: Rules<'_>,
    pool: &ThreadPool,
    control: &Control,
) -> Result<Vec<(u32, u32, u32)>> {
    control.begin("merging", rules.vocab_size.saturating_sub(tokens.len()) as u64);
    memory::give_back(); // of the counts
    let mut queue = Queue::default();
    let mut pairs = Pairs::new(&words, &mut queue, control)?;
    let (mut changes, mut sides) = (Vec::new(), [Neighbours::default(), Neighbours::default()]);
    let mut merges = Vec::new();
    while tokens.len() < rules.vocab_size {
        control.check()?;
        let Some(mut top) = queue.pop() else { break };
        let count = pairs.count(top.pair.0);
        if top.count != count {
            top.count = count;
            queue.push(top);
            continue;
        }
        if count < rules.min_frequency.max(1) {
            break;
        }
        let (left, right) = ((top.pair.0 >> 32) as u32, top.pair.0 as u32);
        let before = tokens.len();
        let behind = tokens.spelled(right);
        let behind = behind.strip_prefix(rules.prefix).unwrap_or(behind);
        let merged = tokens.id([tokens.spelled(left), behind].concat());
        let length = lengths[left as usize] + lengths[right as usize];
        if merged as usize == lengths.len() {
            lengths.push(length);
        }
        control.advance((tokens.len() - before) as u64);
        merges.push((left, right, merged));

        let places = top.places.as_slice();
        let pool = Some(pool).filter(|pool| places.len() >= MANY && pool.current_num_threads() > 1);
        words.merge(places, (left, right, merged), pool, &mut changes, control)?;
        let allowed = |neighbour: u32| lengths[neighbour as usize] + length < rules.max_length;
        pairs.update((left, right, merged), &changes, &mut sides, allowed, &mut queue);
    }
    Ok(merges)
}
