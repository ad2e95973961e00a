//! docs/config.md: tables of keys made from the schemas.

use super::{hold, root};
use serde_json::Value;
use std::fmt::Write as _;

/// What a value looks like, in words.
fn shape(schema: &Value) -> String {
    if let Some(options) = schema["enum"].as_array() {
        if let (Some(first), Some(last)) =
            (options[0].as_u64(), options.last().and_then(serde_json::Value::as_u64))
        {
            return format!("power of two, {first} to {last}");
        }
        let options: Vec<String> = options.iter().map(|o| format!("`{}`", o.as_str().unwrap())).collect();
        return options.join(", ");
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let shapes: Vec<String> = choices.iter().map(shape).collect();
        return shapes.join(" or ");
    }
    match schema["type"].as_str() {
        Some("string") => match schema["pattern"].as_str() {
            // "^(NUMBER ?(B|kB)|ideal)$": the units are the last parentheses.
            Some(pattern) => {
                let (units, rest) = pattern.rsplit_once('(').unwrap().1.split_once(')').unwrap();
                let units = units.replace("|μs", "").replace('|', ", ");
                let also = rest.trim_end_matches([')', '$']).trim_start_matches('|');
                if also.is_empty() { units } else { format!("{units}; or `{also}`") }
            }
            None => "text".to_owned(),
        },
        Some("integer") => {
            let bound = |key: &str| schema[key].as_u64();
            match (bound("minimum").unwrap_or(0), bound("maximum")) {
                (low, Some(high)) if high.is_power_of_two() && high > 65536 => {
                    format!("whole, {low} to 2^{}", high.ilog2())
                }
                (low, Some(high)) => format!("whole, {low} to {high}"),
                (low, None) => format!("whole, at least {low}"),
            }
        }
        Some("number") => {
            let low = schema["exclusiveMinimum"].as_f64().map(|n| format!("above {n}"));
            let low = low.or_else(|| schema["minimum"].as_f64().map(|n| format!("from {n}")));
            let high = schema["maximum"].as_f64().map(|n| format!("to {n}"));
            let high = high.or_else(|| schema["exclusiveMaximum"].as_f64().map(|n| format!("to below {n}")));
            let bounds: Vec<String> = low.into_iter().chain(high).collect();
            format!("number {}", bounds.join(" ")).trim_end().to_owned()
        }
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("array") => match schema["items"]["type"].as_str() {
            Some("object") => "tables".to_owned(),
            _ => format!("a list of: {}", shape(&schema["items"])),
        },
        _ => "table".to_owned(),
    }
}

fn rows(out: &mut String, prefix: &str, schema: &Value) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let nested = if property["type"] == "array" { &property["items"] } else { property };
        let table = nested["properties"].is_object();
        let description = property["description"].as_str().unwrap_or_default();
        let must = if required.contains(&name.as_str()) { "yes" } else { "" };
        let description = description.replace('|', "\\|");
        let typed = table && nested["properties"].get("bf16").is_some();
        let value = if typed {
            // One key an element type: one row says it.
            let types: Vec<&str> =
                nested["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            format!("a table with any of {}: {}", types.join(", "), shape(&nested["properties"]["bf16"]))
        } else if table {
            let header =
                if property["type"] == "array" { format!("[[{path}]]") } else { format!("[{path}]") };
            writeln!(out, "| **`{header}`** | {must} | | {description} |").unwrap();
            // The keys of an experiment and of a kernel have tables of their own.
            if path != "base" && path != "kernel_profile.kernel" {
                rows(out, &path, nested);
            }
            continue;
        } else {
            shape(property)
        };
        writeln!(out, "| `{path}` | {must} | {value} | {description} |").unwrap();
    }
}

#[test]
fn the_page_of_keys_lists_every_key_of_every_schema() {
    let _pages = super::PAGES.lock();
    let page = root().join("docs/config.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let mut new = text.clone();
    for kind in ["accelerator", "model", "memory", "kernels", "experiment", "sweep", "pins"] {
        let file = root().join(format!("configs/schema/{kind}.schema.json"));
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut table = String::from("| key | required | value | |\n|---|---|---|---|\n");
        rows(&mut table, "", &schema);
        let (open, close) = (format!("<!-- keys of {kind} -->\n"), "<!-- end of keys -->");
        let from =
            new.find(&open).unwrap_or_else(|| panic!("docs/config.md has no '{}'", open.trim())) + open.len();
        let to = from + new[from..].find(close).expect("the end of the keys");
        new.replace_range(from..to, &table);
    }
    hold(&page, new.as_bytes());
}
