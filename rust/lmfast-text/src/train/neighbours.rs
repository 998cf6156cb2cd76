//! The changes by a merge on one side of the new token, by neighbour.

use super::sequences::Change;

/// Room for so many places is kept from one merge to the next.
const KEPT: usize = 1 << 12;

/// Changes grouped by a counting sort; some of the memory is kept from merge to merge.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// By id.
    groups: Vec<Group>,
    /// The ids that have a group, in the order in which they came up.
    ids: Vec<u32>,
    /// The places of all groups.
    places: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Group {
    count: u64,
    start: u32,
    end: u32,
}

impl Neighbours {
    /// Groups changes, which ascend by place. No id is above `last`.
    pub(super) fn group(&mut self, changes: impl Iterator<Item = Change> + Clone, last: u32) {
        for id in self.ids.drain(..) {
            self.groups[id as usize] = Group::default();
        }
        if self.groups.len() <= last as usize {
            self.groups.resize(last as usize + 1, Group::default());
        }
        for change in changes.clone() {
            let group = &mut self.groups[change.neighbour as usize];
            if group.end == 0 {
                self.ids.push(change.neighbour);
            }
            group.count += change.count;
            group.end += 1; // their number, until the groups are laid out
        }
        let mut end = 0;
        for &id in &self.ids {
            let group = &mut self.groups[id as usize];
            let start = end;
            end += group.end;
            (group.start, group.end) = (start, start);
        }
        self.places.clear();
        self.places.shrink_to(KEPT);
        self.places.resize(end as usize, 0);
        for change in changes {
            let group = &mut self.groups[change.neighbour as usize];
            if group.end == group.start || self.places[group.end as usize - 1] != change.place {
                self.places[group.end as usize] = change.place;
                group.end += 1;
            }
        }
    }

    /// Each neighbour, how often it is one, and the places of its words, each once and ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u64, &[u32])> {
        self.ids.iter().map(|&id| {
            let Group { count, start, end } = self.groups[id as usize];
            (id, count, &self.places[start as usize..end as usize])
        })
    }

    /// The places of one neighbour, if it is one.
    pub(super) fn places(&self, id: u32) -> Option<&[u32]> {
        let Group { start, end, .. } = *self.groups.get(id as usize)?;
        (end > start).then(|| &self.places[start as usize..end as usize])
    }
}
