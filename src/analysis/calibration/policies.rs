//! Policies that a fit tries: how public decode kernels cut work.

use crate::hardware::kernel::{Kind, Policy, SplitRule, Tiling};

/// Policies for kernels of `kind`.
pub(super) fn of(kind: Kind) -> Vec<Policy> {
    match kind {
        Kind::Mha | Kind::Gqa => attention(),
        Kind::Mla | Kind::SlimK => latent(),
        Kind::Gemm => product(),
    }
}

fn attention() -> Vec<Policy> {
    let mut policies = Vec::new();
    let mut push = |split, block, unsplit, items_per_core| {
        policies.push(Policy {
            split,
            block,
            unsplit,
            items_per_core,
            heads: 1,
            tiling: None,
            ..Policy::PLAIN
        });
        if items_per_core == 1 {
            for pipelined in [false, true] {
                policies.push(Policy {
                    split,
                    block,
                    unsplit,
                    items_per_core,
                    padded_rows: Some(64),
                    pipelined,
                    ..Policy::PLAIN
                });
            }
        }
    };
    for items_per_core in [1, 2] {
        push(SplitRule::None, 128, 0, items_per_core);
        for block in [64, 128, 256] {
            for unsplit in [0, 256, 512] {
                push(SplitRule::FillDown, block, unsplit, items_per_core);
                push(SplitRule::FillUp, block, unsplit, items_per_core);
            }
        }
        for block in [64, 128] {
            push(SplitRule::FullestRounds, block, 0, items_per_core);
        }
        for block in [64, 112, 128, 176] {
            for unsplit in [0, 4 * block] {
                push(SplitRule::EvenBlocks, block, unsplit, items_per_core);
            }
        }
    }
    // Where parts are added up one after the other, it is so after every rule.
    let serial: Vec<_> = policies
        .iter()
        .filter(|p| p.split == SplitRule::FullestRounds && p.padded_rows.is_none())
        .map(|p| Policy { serial_combine: true, ..*p })
        .collect();
    // And where short sequences have a kernel of their own, others write parts whether they are split or not.
    let quick: Vec<_> = policies
        .iter()
        .filter(|p| p.unsplit > 0 && p.split == SplitRule::EvenBlocks)
        .map(|p| Policy { quick_unsplit: true, ..*p })
        .collect();
    policies.extend(serial);
    policies.extend(quick);
    policies
}

fn latent() -> Vec<Policy> {
    let mut policies = Vec::new();
    for split in [SplitRule::FillDown, SplitRule::FillUp, SplitRule::EvenBlocks] {
        for block in [64, 128] {
            for heads in [16, 64, 128] {
                policies.push(Policy { split, block, unsplit: 0, items_per_core: 1, heads, ..Policy::PLAIN });
            }
        }
    }
    policies
}

fn product() -> Vec<Policy> {
    let blocks = [64, 128].into_iter().flat_map(|rows| [64, 128].map(|columns| Tiling { rows, columns }));
    let tilings: Vec<_> = blocks.map(Some).chain([None]).collect();
    let mut policies = Vec::new();
    for split in [SplitRule::None, SplitRule::FillDown, SplitRule::FillUp] {
        for block in [64, 128] {
            for items_per_core in [1, 2] {
                for &tiling in &tilings {
                    policies.push(Policy {
                        split,
                        block,
                        unsplit: 0,
                        items_per_core,
                        tiling,
                        ..Policy::PLAIN
                    });
                }
            }
        }
    }
    policies
}
