//! Who walks which tokens.

/// A stretch of one sequence's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The sequence.
    pub sequence: usize,
    /// Its first token.
    pub from: usize,
    /// Behind its last.
    pub to: usize,
}

/// Shares `batch` sequences of `context` tokens out to `threads` threads, evenly to the token's tile: the pieces of each.
///
/// Threads take equal parts of all tokens laid end to end, so that no more sequences are split than there are threads, and none where the
/// batch is a multiple of them.
#[must_use]
pub fn pieces(batch: usize, context: usize, threads: usize, tile: usize) -> Vec<Vec<Piece>> {
    let all = batch * context;
    let edge = |i: usize| {
        let at = all * i / threads;
        // To the nearest tile of the sequence it falls in; sequences' ends stay where they are.
        let (sequence, token) = (at / context, at % context);
        (sequence * context + ((token + tile / 2) / tile * tile).min(context)).min(all)
    };
    (0..threads)
        .map(|i| {
            let (mut at, end) = (edge(i), if i + 1 == threads { all } else { edge(i + 1) });
            let mut mine = Vec::new();
            while at < end {
                let sequence = at / context;
                let to = end.min((sequence + 1) * context);
                mine.push(Piece { sequence, from: at - sequence * context, to: to - sequence * context });
                at = to;
            }
            mine
        })
        .collect()
}
