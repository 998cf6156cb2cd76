//! The obvious encoder, the oracle of the fast one.

/// Merges, as long as anything merges, the leftmost of the pairs whose rank is lowest.
pub(crate) fn encode(byte_ids: &[u32; 256], merges: &[(u32, u32, u32)], piece: &[u8]) -> Vec<u32> {
    let mut ids: Vec<u32> = piece.iter().map(|&byte| byte_ids[usize::from(byte)]).collect();
    loop {
        let rank = |at: usize| merges.iter().rposition(|&(left, right, _)| (left, right) == (ids[at], ids[at + 1]));
        let lowest = (1..ids.len()).filter_map(|end| rank(end - 1).map(|rank| (rank, end - 1))).min();
        let Some((rank, at)) = lowest else { return ids };
        ids.splice(at..at + 2, [merges[rank].2]);
    }
}
