//! Reading a tree into raw types, collecting every error on the way.
//!
//! serde stops at the first error and knows one text only; a user wants all errors of a file at once, and a value may come
//! from a file or from `--set`. So the raw types implement [`FromNode`], tables through the `table!` macro, which makes
//! reader and JSON schema from the same list of keys.

use schemars::{Schema, SchemaGenerator};

use super::diagnostic::{Diagnostic, Nature, nearest};
use super::source::Origin;
use super::tree::{Key, Node, Table, Value};

/// A value and where it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) at: Origin,
}

/// What a table says about one of its keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<T> {
    /// Nothing.
    Absent,
    /// Something wrong, which has been reported.
    Wrong(Origin),
    /// A value.
    Read(Located<T>),
}

impl<T> Field<T> {
    /// The value, if there is a sound one.
    pub(crate) fn value(&self) -> Option<&T> {
        if let Self::Read(located) = self { Some(&located.value) } else { None }
    }

    /// Where it was written, sound or not.
    pub(crate) fn at(&self) -> Option<Origin> {
        match self {
            Self::Absent => None,
            Self::Wrong(at) | Self::Read(Located { at, .. }) => Some(*at),
        }
    }

    /// A copy of the value, if there is a sound one.
    pub(crate) fn get(&self) -> Option<T>
    where
        T: Copy,
    {
        self.value().copied()
    }

    /// `Some(None)` for an absent key, `None` for a wrong one, else what `resolve` makes of it.
    pub(crate) fn map<U>(&self, resolve: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
        match self {
            Self::Absent => Some(None),
            Self::Wrong(_) => None,
            Self::Read(located) => resolve(&located.value).map(Some),
        }
    }
}

/// What kind of value a key takes, as far as the values of a sweep axis depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    /// A count: a range rounds to the nearest integer.
    Integer,
    /// A fraction.
    Float,
    /// Text with a unit.
    Quantity,
    /// Names, booleans, lists.
    Other,
    /// A table: not a key to be set.
    Table,
}

/// A raw type: read from a node, described by a JSON schema.
pub(crate) trait FromNode: Sized {
    /// What kind of value it is.
    const TYPE: KeyType;

    /// What is expected, to stand behind `expected`.
    fn expected() -> String;

    /// Reads `node`; pushes errors and returns `None` where there is nothing to go on with.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// The JSON schema of the value.
    fn schema(generator: &mut SchemaGenerator) -> Schema;

    /// Follows a dotted path of keys, and checks `value` against what it leads to. Pushes an error for a key that does not exist.
    fn follow(path: &[Key], value: Option<&Node>, reader: &mut Reader) -> Option<KeyType> {
        if let Some(key) = path.first() {
            let parent = reader.key();
            let message = format!("'{parent}' has no key '{}'", key.name);
            reader.push(Diagnostic::new(key.origin, message, format!("'{parent}' is not a table")));
            return None;
        }
        if let Some(node) = value {
            Self::read(node, reader)?;
        }
        Some(Self::TYPE)
    }
}

/// Collects errors; knows which key is being read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Everything wrong so far.
    pub(crate) diagnostics: Vec<Diagnostic>,
    path: Vec<&'static str>,
    /// Keys of the outermost level that belong to another file but may be meant in an override.
    pub(crate) also_root: &'static [&'static str],
}

impl Reader {
    /// A reader that may suggest keys of the outermost level beside those of the file.
    pub(crate) fn suggesting(also_root: &'static [&'static str]) -> Self {
        Self { also_root, ..Self::default() }
    }

    /// Adds an error.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The dotted path of the key being read.
    pub(crate) fn key(&self) -> String {
        self.path.join(".")
    }

    /// Runs `read` one key deeper.
    pub(crate) fn within<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key);
        let result = read(self);
        self.path.pop();
        result
    }

    /// The node is of another type than expected.
    pub(crate) fn wrong_type<T>(&mut self, node: &Node, expected: &str) -> Option<T> {
        let message = match self.path.last() {
            Some(_) => format!("'{}' is {}", self.key(), node.describe()),
            None => format!("unexpected {}", node.describe()),
        };
        self.push(Diagnostic::new(node.origin, message, format!("expected {expected}")));
        None
    }

    /// The node's value is not acceptable: `what` follows the key's name.
    pub(crate) fn refuse<T>(&mut self, node: &Node, what: &str, expected: &str) -> Option<T> {
        let message = format!("'{}' {what}", self.key());
        self.push(Diagnostic::new(node.origin, message, format!("expected {expected}")));
        None
    }

    /// The node as a table.
    pub(crate) fn table<'n>(&mut self, node: &'n Node) -> Option<&'n Table> {
        match &node.value {
            Value::Table(table) => Some(table),
            _ => {
                let expected = match self.path.last() {
                    Some(key) => format!("a table [{key}]"),
                    None => "a table".to_owned(),
                };
                self.wrong_type(node, &expected)
            }
        }
    }

    /// A key that no table of this kind has; returns the known one that is probably meant.
    pub(crate) fn unknown_key(&mut self, key: &Key, known: &[&'static str]) -> Option<&'static str> {
        let place = if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.key()) };
        let message = format!("unknown key '{}'{place}", key.name);
        let others: &[&str] = if self.path.is_empty() { self.also_root } else { &[] };
        let candidates = || known.iter().chain(others).copied();
        let expected = format!("expected one of {}", candidates().collect::<Vec<_>>().join(", "));
        let diagnostic = Diagnostic::new(key.origin, message, expected);
        self.push(diagnostic.suggesting(&key.name, candidates()));
        nearest(&key.name, known.iter().copied())
    }

    /// A key that must be there is not.
    pub(crate) fn missing_key(&mut self, at: Origin, key: &str, expected: &str) {
        let place = if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.key()) };
        let message = format!("missing key '{key}'{place}");
        self.push(Diagnostic::new(at, message, format!("expected '{key}', {expected}")).of(Nature::Missing));
    }
}

impl<T: FromNode> FromNode for Located<T> {
    const TYPE: KeyType = T::TYPE;

    fn expected() -> String {
        T::expected()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(|value| Self { value, at: node.origin })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }

    fn follow(path: &[Key], value: Option<&Node>, reader: &mut Reader) -> Option<KeyType> {
        T::follow(path, value, reader)
    }
}

/// The text of doc lines as one paragraph.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Defines a raw table: every key with its type, `required` or `optional`. What is missing or wrong has been pushed to the reader.
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        $name:ident { $( $(#[doc = $doc:literal])* $need:ident $key:ident: $type:ty, )* }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $key: $crate::config::reader::Field<$type>, )*
        }

        impl $name {
            /// Every key.
            pub(crate) const KEYS: &'static [&'static str] = &[$( stringify!($key) ),*];
        }

        impl $crate::config::reader::FromNode for $name {
            const TYPE: $crate::config::reader::KeyType = $crate::config::reader::KeyType::Table;

            fn expected() -> String {
                "a table".to_owned()
            }

            fn read(
                node: &$crate::config::tree::Node,
                reader: &mut $crate::config::reader::Reader,
            ) -> Option<Self> {
                let table = reader.table(node)?;
                let mut meant = Vec::new();
                let mut this = Self { $( $key: $crate::config::reader::Field::Absent, )* };
                for (key, value) in &table.entries {
                    match &*key.name {
                        $( stringify!($key) => {
                            let read = reader.within(stringify!($key), |reader| {
                                $crate::config::reader::FromNode::read(value, reader)
                            });
                            this.$key = match read {
                                Some(located) => $crate::config::reader::Field::Read(located),
                                None => $crate::config::reader::Field::Wrong(value.origin),
                            };
                        } )*
                        _ => meant.extend(reader.unknown_key(key, Self::KEYS).map(|m| (m, key.origin))),
                    }
                }
                // A misspelt key is wrong; that it is missing too goes without saying.
                for (key, at) in meant {
                    $(
                        if key == stringify!($key) && this.$key.at().is_none() {
                            this.$key = $crate::config::reader::Field::Wrong(at);
                        }
                    )*
                }
                $(
                    if stringify!($need) == "required" && this.$key.at().is_none() {
                        let expected = <$type as $crate::config::reader::FromNode>::expected();
                        reader.missing_key(node.origin, stringify!($key), &expected);
                    }
                )*
                Some(this)
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut properties = serde_json::Map::new();
                let mut required: Vec<&str> = Vec::new();
                $(
                    let mut schema = <$type as $crate::config::reader::FromNode>::schema(generator);
                    schema.insert(
                        "description".to_owned(),
                        $crate::config::reader::paragraph(&[$($doc),*]).into(),
                    );
                    properties.insert(stringify!($key).to_owned(), schema.into());
                    if stringify!($need) == "required" {
                        required.push(stringify!($key));
                    }
                )*
                let mut schema = schemars::json_schema!({
                    "type": "object",
                    "description": $crate::config::reader::paragraph(&[$($about),*]),
                    "properties": properties,
                    "additionalProperties": false,
                });
                if !required.is_empty() {
                    schema.insert("required".to_owned(), required.into());
                }
                schema
            }

            fn follow(
                path: &[$crate::config::tree::Key],
                value: Option<&$crate::config::tree::Node>,
                reader: &mut $crate::config::reader::Reader,
            ) -> Option<$crate::config::reader::KeyType> {
                let Some((key, rest)) = path.split_first() else {
                    if let Some(node) = value {
                        // A path that ends at a table sets no value. `table` says so if the value is something else.
                        reader.table(node)?;
                    }
                    return Some($crate::config::reader::KeyType::Table);
                };
                match &*key.name {
                    $( stringify!($key) => reader.within(stringify!($key), |reader| {
                        <$type as $crate::config::reader::FromNode>::follow(rest, value, reader)
                    }), )*
                    _ => {
                        reader.unknown_key(key, Self::KEYS);
                        None
                    }
                }
            }
        }
    };
}
pub(crate) use table;
