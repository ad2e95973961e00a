//! JSON with places: Hugging Face configurations are JSON, and their errors shall point into them too.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostic};
use super::source::{Origin, Source};
use super::tree::{Key, Node, Table, Value};

/// Reads a JSON text.
pub(crate) fn parse(source: &Arc<Source>) -> Result<Node, ConfigError> {
    // serde_json judges the syntax and bounds the depth; what follows may take both for granted.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&source.text) {
        let line_start: usize =
            source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = (line_start + error.column().saturating_sub(1)).min(source.text.len());
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or_default();
        let diagnostic = Diagnostic::new(Origin::span(at..at), format!("not valid JSON: {message}"), "here");
        return Err(ConfigError::new(vec![Arc::clone(source)], vec![diagnostic]));
    }
    let mut scanner = Scanner { text: &source.text, at: 0, duplicates: Vec::new() };
    let value = scanner.value();
    if !scanner.duplicates.is_empty() {
        return Err(ConfigError::new(vec![Arc::clone(source)], scanner.duplicates));
    }
    value.ok_or_else(|| ConfigError::plain(format!("cannot read {}", source.name), Vec::new()))
}

/// Walks over sound JSON.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    duplicates: Vec<Diagnostic>,
}

impl<'a> Scanner<'a> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Steps over `byte` if it comes next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The text of a number or a word.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The quoted text that comes next.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while *bytes.get(self.at)? != b'"' {
            self.at += 1 + usize::from(bytes[self.at] == b'\\');
        }
        self.at += 1;
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    fn value(&mut self) -> Option<Node> {
        let first = self.peek()?;
        let start = self.at;
        let value = match first {
            b'"' => Value::Text(self.string()?),
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.eat(b']') {
                    items.push(self.value()?);
                    self.eat(b',');
                }
                Value::Array(items)
            }
            b'{' => {
                self.at += 1;
                let mut entries = Vec::new();
                let mut names = BTreeSet::new();
                while !self.eat(b'}') {
                    self.peek()?;
                    let key_start = self.at;
                    let name = self.string()?;
                    let key = Key { name: name.as_str().into(), origin: Origin::span(key_start..self.at) };
                    if names.contains(&name) {
                        let message = format!("duplicate key '{name}'");
                        self.duplicates.push(Diagnostic::new(
                            key.origin,
                            message,
                            "each key may be given once",
                        ));
                    }
                    names.insert(name);
                    self.eat(b':');
                    entries.push((key, self.value()?));
                    self.eat(b',');
                }
                Value::Table(Table { entries })
            }
            _ => match self.word() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                number if number.bytes().all(|b| b.is_ascii_digit() || b == b'-') => {
                    Value::Integer(number.parse().ok())
                }
                number => Value::Float(number.parse().ok()?),
            },
        };
        Some(Node { value, origin: Origin::span(start..self.at) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_those_of_the_text() {
        let text = r#"{ "a": [1, -2.5e1, "x\"]"], "b": { "c": null, "é": true } }"#;
        let node = parse(&Source::file("x.json", text.into())).unwrap();
        let at = |node: &Node| &text[node.origin.start as usize..node.origin.end as usize];
        let Value::Array(items) = &node.at(&["a"]).unwrap().value else { panic!("a is a list") };
        assert_eq!(items.iter().map(at).collect::<Vec<_>>(), ["1", "-2.5e1", r#""x\"]""#]);
        assert_eq!(items[1].value, Value::Float(-25.0));
        assert_eq!(items[2].value, Value::Text("x\"]".into()));
        assert_eq!(at(node.at(&["b", "c"]).unwrap()), "null");
        assert_eq!(node.at(&["b", "é"]).unwrap().value, Value::Bool(true));
    }

    #[test]
    fn errors_have_a_place() {
        let error = parse(&Source::file("x.json", "{\n  \"a\": 1,\n  \"b\" 2\n}\n".into())).unwrap_err();
        assert!(error.to_string().starts_with("error: x.json:3:7: not valid JSON"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:0-9a-z \\\\.é-]{0,40}") {
            let _ = parse(&Source::file("x.json", text));
        }
    }
}
