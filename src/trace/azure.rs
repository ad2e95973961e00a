//! Azure LLM inference traces (Azure/AzurePublicDataset, 2023 and 2024): calendar times.

use super::table::{Table, ZeroOutput};
use super::values;

/// The format.
pub(super) const AZURE: Table = Table {
    name: "azure",
    arrival: &["TIMESTAMP"],
    arrival_optional: false,
    prompt: &["ContextTokens"],
    output: &["GeneratedTokens"],
    parse_arrival: values::calendar,
    zero_output: ZeroOutput::Malformed,
    header: "TIMESTAMP,ContextTokens,GeneratedTokens",
};
