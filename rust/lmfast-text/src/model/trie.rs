//! A set of byte strings, each with a number, that is walked byte by byte: a double array (Aoe 1989) in which, as in
//! darts-clone, the child of a node by a byte lies at the node's base XOR the byte.

/// What a node has that ends no string.
pub(crate) const NONE: u32 = u32::MAX;

/// The label of a cell that no node has taken; no byte is so large.
const EMPTY: u32 = 0x100;

/// The label of the root, to which no byte leads.
const ROOT_LABEL: u32 = 0x101;

const LABEL_BITS: u32 = 9;

/// The most cells: what is left of 32 bits for a base.
const MOST_CELLS: usize = 1 << (32 - LABEL_BITS);

/// How many cells behind the first free one are tried for a node's children.
const TRIES: usize = 1 << 10;

#[derive(Debug, Clone, Copy)]
struct Cell {
    /// The base of the node's children and, in the low bits, the byte that leads to this node. No two nodes have one
    /// base, so that the byte alone tells whose child a node is.
    base_label: u32,
    value: u32,
}

/// The strings.
#[derive(Debug, Clone)]
pub(crate) struct Trie {
    cells: Vec<Cell>,
}

/// A place in a [`Trie`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u32);

impl Trie {
    /// The node of the empty string.
    pub(crate) const ROOT: Node = Node(0);

    /// A trie of strings, none of which is there twice; no value is [`NONE`].
    ///
    /// # Errors
    /// Says that they are too many.
    pub(crate) fn new<'a>(strings: impl IntoIterator<Item = (&'a [u8], u32)>) -> Result<Self, String> {
        let mut strings: Vec<(&[u8], u32)> = strings.into_iter().collect();
        strings.sort_unstable();
        let mut builder = Builder::default();
        builder.grow();
        builder.cells[0] = Cell { base_label: ROOT_LABEL, value: NONE };
        builder.taken[0] = true;
        builder.first_free = 1;
        // Nodes whose children are not placed yet: the strings that pass them, and their depth.
        let mut open = vec![(0_usize, 0..strings.len(), 0_usize)];
        let mut labels: Vec<(u8, std::ops::Range<usize>)> = Vec::new();
        while let Some((node, mut range, depth)) = open.pop() {
            if strings[range.clone()].first().is_some_and(|(string, _)| string.len() == depth) {
                builder.cells[node].value = strings[range.start].1;
                range.start += 1;
            }
            labels.clear();
            for at in range {
                let label = strings[at].0[depth];
                match labels.last_mut() {
                    Some((last, strings)) if *last == label => strings.end = at + 1,
                    _ => labels.push((label, at..at + 1)),
                }
            }
            if labels.is_empty() {
                continue;
            }
            let base = builder.place(&labels).ok_or("the tokens are too many or too long to be looked for")?;
            builder.cells[node].base_label |= (base as u32) << LABEL_BITS;
            for (label, strings) in labels.drain(..) {
                open.push((base ^ usize::from(label), strings, depth + 1));
            }
        }
        builder.cells.shrink_to_fit();
        Ok(Self { cells: builder.cells })
    }

    /// The child of a node.
    #[inline]
    pub(crate) fn step(&self, node: Node, byte: u8) -> Option<Node> {
        let base = self.cells[node.0 as usize].base_label >> LABEL_BITS;
        let child = base ^ u32::from(byte);
        let cell = self.cells.get(child as usize)?;
        (cell.base_label & ((1 << LABEL_BITS) - 1) == u32::from(byte)).then_some(Node(child))
    }

    /// The number of the string that ends at a node, or [`NONE`].
    #[inline]
    pub(crate) fn value(&self, node: Node) -> u32 {
        self.cells[node.0 as usize].value
    }

    /// The node that a string leads to.
    pub(crate) fn walk(&self, node: Node, bytes: &[u8]) -> Option<Node> {
        bytes.iter().try_fold(node, |node, &byte| self.step(node, byte))
    }

    /// The number of a string.
    pub(crate) fn get(&self, bytes: &[u8]) -> Option<u32> {
        self.walk(Self::ROOT, bytes).map(|node| self.value(node)).filter(|&value| value != NONE)
    }
}

#[derive(Default)]
struct Builder {
    cells: Vec<Cell>,
    /// The bases in use.
    taken: Vec<bool>,
    /// No cell before this one is free.
    first_free: usize,
}

impl Builder {
    fn grow(&mut self) {
        let size = self.cells.len() + 256;
        self.cells.resize(size, Cell { base_label: EMPTY, value: NONE });
        self.taken.resize(size, false);
    }

    fn is_free(&self, at: usize) -> bool {
        self.cells.get(at).is_none_or(|cell| cell.base_label == EMPTY)
    }

    /// Finds a base with free cells for the children, and takes them.
    fn place(&mut self, labels: &[(u8, std::ops::Range<usize>)]) -> Option<usize> {
        while !self.is_free(self.first_free) {
            self.first_free += 1;
        }
        let first = usize::from(labels.first()?.0);
        let fits = |builder: &Self, base: usize| {
            base != 0
                && !builder.taken.get(base).copied().unwrap_or(false)
                && labels.iter().all(|&(label, _)| builder.is_free(base ^ usize::from(label)))
        };
        let tried = self.first_free..self.first_free + TRIES;
        let found = tried.map(|cell| cell ^ first).find(|&base| fits(self, base));
        // A block that does not exist yet is free all over.
        let base = found.unwrap_or(self.cells.len());
        if base.max(self.cells.len()) >= MOST_CELLS - 512 {
            return None;
        }
        while self.cells.len() <= base | 0xFF {
            self.grow();
        }
        if found.is_none() {
            self.first_free = self.first_free.max(self.cells.len().saturating_sub(TRIES * 2));
        }
        self.taken[base] = true;
        for &(label, _) in labels {
            self.cells[base ^ usize::from(label)] = Cell { base_label: u32::from(label), value: NONE };
        }
        Some(base)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_what_it_was_made_of(
            strings in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..5), 0..9_u32, 0..300),
            others in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..50),
        ) {
            let trie = Trie::new(strings.iter().map(|(string, &value)| (string.as_slice(), value))).expect("builds");
            for string in strings.keys().chain(&others) {
                prop_assert_eq!(trie.get(string), strings.get(string).copied());
            }
        }
    }

    #[test]
    fn many_strings_take_little_room() {
        let strings: BTreeMap<Vec<u8>, u32> =
            (0..50_000_u32).map(|at| (at.wrapping_mul(2_654_435_761).to_string().into_bytes(), at)).collect();
        let trie = Trie::new(strings.iter().map(|(string, &value)| (string.as_slice(), value))).expect("builds");
        assert!(strings.iter().all(|(string, &value)| trie.get(string) == Some(value)));
        assert!(trie.cells.len() < 400_000, "{}", trie.cells.len());
    }
}
