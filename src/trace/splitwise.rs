//! Traces of splitwise-sim: seconds; `prompt_size` and `token_size` in tokens.

use super::table::{Table, ZeroOutput};
use super::values;

/// The format.
pub(super) const SPLITWISE: Table = Table {
    name: "splitwise",
    arrival: &["arrival_timestamp"],
    arrival_optional: false,
    prompt: &["prompt_size"],
    output: &["token_size"],
    parse_arrival: values::seconds,
    zero_output: ZeroOutput::Malformed,
    header: "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size",
};
