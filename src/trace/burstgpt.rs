//! BurstGPT (HPMLL/BurstGPT): seconds. Its authors document rows with 0 response tokens as requests that failed.

use super::table::{Table, ZeroOutput};
use super::values;

/// The format.
pub(super) const BURSTGPT: Table = Table {
    name: "burstgpt",
    arrival: &["Timestamp"],
    arrival_optional: false,
    prompt: &["Request tokens"],
    output: &["Response tokens"],
    parse_arrival: values::seconds,
    zero_output: ZeroOutput::Failed,
    header: "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type",
};
