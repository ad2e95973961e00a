//! Numerics of the schemes as tables.

use crate::host::simd::Isa;
use crate::host::verify::{Excess, Numerics, Scheme, SchemeErrors, TOLERABLE};
use crate::report::{TableWriter, significant, thousands, wrapped};
use std::io;

/// Writes both tables: kernels against their bounds, schemes by condition number.
///
/// # Errors
/// The writer's own.
pub fn write_numerics(found: &Numerics, width: Option<u16>, out: &mut dyn io::Write) -> io::Result<()> {
    let heading = "kernel error: kernels against an f64 reference of the same rounded K, V and W_KV, as a part of the bound that f32 \
                   arithmetic allows:";
    wrapped(heading, "", width, out)?;
    kernels(found, width).write(out)?;
    let legend = format!(
        "largest of {} layer shapes and {} condition numbers of W_K. runs: judged on each instruction set. Above 100 % of the \
         bound, a kernel would be wrong. ‖error‖/‖result‖: the largest of a run; the slim schemes' grows with cond(W_K), as f32 sums of large \
         products cancel.",
        found.cases.len(),
        found.conditions.len()
    );
    wrapped(&legend, "", width, out)?;
    for excess in &found.exceeded {
        wrapped(&sentence(excess), "  ", width, out)?;
    }
    let heading =
        "scheme error: ‖error‖/‖result‖ against attention with exact K and V, the largest of all shapes:";
    writeln!(out)?;
    wrapped(heading, "", width, out)?;
    schemes(found, width).write(out)?;
    let legend = "max |W_KV|: before it is rounded; fp16 ends at 65,504, beyond which results are lost. slim, storage alone: what remains \
                  of the slim schemes' error in f64 arithmetic.";
    wrapped(legend, "", width, out)?;
    for line in limits(found) {
        wrapped(&line, "", width, out)?;
    }
    Ok(())
}

/// One row a scheme and type.
fn kernels(found: &Numerics, width: Option<u16>) -> TableWriter {
    let mut isas: Vec<Isa> = Vec::new();
    for kernel in &found.kernel_errors {
        if !isas.contains(&kernel.isa) {
            isas.push(kernel.isa);
        }
    }
    let mut header = vec!["scheme", "type", "runs"];
    header.extend(isas.iter().map(|isa| isa.name()));
    header.push("‖error‖/‖result‖");
    let mut table = TableWriter::new(&header, 2, width);
    for first in found.kernel_errors.iter().filter(|k| k.isa == isas[0]) {
        let all =
            || found.kernel_errors.iter().filter(|k| k.scheme == first.scheme && k.dtype == first.dtype);
        let mut row = vec![first.scheme.name().to_owned(), first.dtype.to_string(), thousands(first.runs)];
        row.extend(all().map(|k| format!("{} %", significant(100.0 * k.error_over_bound, 2))));
        row.push(format!("{:.1e}", all().map(|k| k.relative_error).fold(0.0, f64::max)));
        table.row(row);
    }
    table
}

/// One row a type and condition number.
fn schemes(found: &Numerics, width: Option<u16>) -> TableWriter {
    let mut header = vec!["type", "cond(W_K)", "max |W_KV|"];
    header.extend(Scheme::ALL.map(Scheme::name));
    header.extend(["slim, storage alone", "W_KV overflows"]);
    let mut table = TableWriter::new(&header, 1, width);
    for entry in &found.scheme_errors {
        let SchemeErrors { dtype, condition, largest_weight, overflowed, errors, slim_storage_error } = entry;
        let mut row = vec![dtype.to_string(), format!("{condition:.0e}"), format!("{largest_weight:.1e}")];
        row.extend(errors.iter().chain([slim_storage_error]).map(|&e| percent(e)));
        row.push(match *overflowed {
            0 => "no".to_owned(),
            some => format!("{some} of {}", found.cases.len()),
        });
        table.row(row);
    }
    table
}

/// A part in per cent, with two figures; above a thousand, where nothing of a result is left, as a power of ten.
fn percent(part: f64) -> String {
    match 100.0 * part {
        p if !p.is_finite() => "lost".to_owned(),
        p if (1e-3..1e3).contains(&p) || p == 0.0 => format!("{} %", significant(p, 2)),
        p => format!("{p:.1e} %"),
    }
}

/// From which condition number on each scheme loses its result.
fn limits(found: &Numerics) -> Vec<String> {
    let tolerable = significant(100.0 * TOLERABLE, 1);
    let of = |scheme: Scheme| {
        let limits = found.limits.iter().filter(move |l| l.scheme == scheme);
        let words = limits.map(|limit| match limit.condition {
            Some(condition) => format!("{} from {condition:.0e}", limit.dtype),
            None => format!("{} never", limit.dtype),
        });
        format!("{}: {}.", scheme.name(), words.collect::<Vec<_>>().join(", "))
    };
    let mut lines = vec![format!("Scheme error above {tolerable} %, by cond(W_K) as tried:")];
    lines.extend(Scheme::ALL.map(of));
    lines
}

/// An error above its bound, in words.
fn sentence(excess: &Excess) -> String {
    let Excess { scheme, dtype, isa, case, condition, element, found, expected, bound } = excess;
    format!(
        "✗ {} {dtype} on {}: {case}, cond(W_K) {condition:.0e}: element {element} is {found:e}, should be {expected:e} within {bound:.1e}",
        scheme.name(),
        isa.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::verify::{Case, KernelError, Limit};
    use crate::units::Dtype;

    #[test]
    fn what_exceeds_its_bound_and_what_is_lost_is_said() {
        let (scheme, dtype, isa) = (Scheme::SlimK, Dtype::Fp16, Isa::Portable);
        let case =
            Case { heads: 4, head_dim: 32, context: 131, batch: 2, rotation: true, tile: 16, threads: 1 };
        let found = Numerics {
            seed: 1,
            cases: vec![case],
            conditions: vec![1e6],
            kernel_errors: vec![KernelError {
                scheme,
                dtype,
                isa,
                runs: 1,
                overflowed: 1,
                error_over_bound: 2.5,
                relative_error: 0.25,
            }],
            scheme_errors: vec![SchemeErrors {
                dtype,
                condition: 1e6,
                largest_weight: 79_000.0,
                overflowed: 1,
                errors: [4.6e-4, f64::INFINITY, f64::INFINITY],
                slim_storage_error: f64::INFINITY,
            }],
            limits: vec![Limit { dtype, scheme, condition: Some(1e6) }],
            exceeded: vec![Excess {
                scheme,
                dtype,
                isa,
                case,
                condition: 1e6,
                element: 3,
                found: 1.5,
                expected: 1.0,
                bound: 0.2,
            }],
        };
        let mut text = Vec::new();
        write_numerics(&found, None, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for words in [
            "✗ slim-k fp16 on portable: 4 heads of 32, context 131, batch 2, rotated, tile 16, threads 1, cond(W_K) 1e6: element 3 is \
             1.5e0, should be 1e0 within 2.0e-1",
            "250 %",
            "0.046 %",
            "lost",
            "1 of 1",
            "slim-k: fp16 from 1e6.",
        ] {
            assert!(text.contains(words), "'{words}' in\n{text}");
        }
    }
}
