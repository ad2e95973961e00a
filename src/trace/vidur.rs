//! Traces of the Vidur simulator (microsoft/vidur): seconds; some files hold lengths only, some a pandas index or derived columns.

use super::table::{Table, ZeroOutput};
use super::values;

/// The format.
pub(super) const VIDUR: Table = Table {
    name: "vidur",
    arrival: &["arrived_at(s)", "arrived_at"],
    arrival_optional: true,
    prompt: &["num_prefill_tokens"],
    output: &["num_decode_tokens"],
    parse_arrival: values::seconds,
    zero_output: ZeroOutput::Malformed,
    header: "arrived_at(s),num_prefill_tokens,num_decode_tokens (arrived_at(s) may be absent)",
};
