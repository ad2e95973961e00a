//! Hugging Face `config.json`: turned into the keys of a model file, each pointing to where it comes from.

use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostic};
use super::source::{Origin, Source};
use super::tree::{Key, Node, Table, Tree, Value};
use super::{json, limits};

/// How a family of models writes its shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// RMSNorm, rotary embedding, a gated feed-forward network; biases as the file says.
    Llama,
    /// As llama, with biases on Q, K and V.
    Qwen2,
    /// As llama, with tied embeddings and heads of 256 unless the file says otherwise.
    Gemma,
    /// LayerNorm, learned positions, biases everywhere, tied embeddings.
    Gpt2,
}

/// The values of `model_type` that are understood.
const FAMILIES: [(&str, Family); 6] = [
    ("llama", Family::Llama),
    ("mistral", Family::Llama),
    ("phi3", Family::Llama),
    ("qwen2", Family::Qwen2),
    ("gemma", Family::Gemma),
    ("gpt2", Family::Gpt2),
];

/// Turns a `config.json` into the tree of a model file.
pub(crate) fn convert(source: Arc<Source>) -> Result<Tree, ConfigError> {
    let document = json::parse(&source)?;
    let fail = |diagnostic| Err(ConfigError::new(vec![Arc::clone(&source)], vec![diagnostic]));
    if document.table().is_none() {
        let message = format!("the configuration is {}", document.describe());
        return fail(Diagnostic::new(document.origin, message, "expected a JSON object"));
    }
    let supported = FAMILIES.map(|(name, _)| name).join(", ");
    let Some(model_type) = document.at(&["model_type"]) else {
        let message = "missing key 'model_type': this is no model configuration";
        return fail(Diagnostic::new(start(&document), message, format!("expected one of {supported}")));
    };
    let family = match &model_type.value {
        Value::Text(name) => FAMILIES.into_iter().find(|(known, _)| known == name),
        _ => None,
    };
    let Some((name, family)) = family else {
        let message = match &model_type.value {
            Value::Text(name) => format!("model family '{name}' is not supported"),
            _ => format!("'model_type' is {}", model_type.describe()),
        };
        let help = "describe the model in a TOML file instead: 'slimsim show model codellama-7b' prints one to start from";
        return fail(
            Diagnostic::new(model_type.origin, message, format!("expected one of {supported}"))
                .with_help(help),
        );
    };
    let mut converter = Converter { document: &document, entries: Vec::new(), diagnostics: Vec::new() };
    converter.shapes(family);
    converter.put(
        "source",
        start(&document),
        Value::Text(format!("Hugging Face config.json, model_type {name}")),
    );
    let Converter { entries, diagnostics, .. } = converter;
    if !diagnostics.is_empty() {
        return Err(ConfigError::new(vec![source], diagnostics));
    }
    let root = Node { value: Value::Table(Table { entries }), origin: start(&document) };
    Ok(Tree { root, sources: vec![source], syntax: Vec::new() })
}

/// The opening brace: a place for what is said about the whole.
fn start(document: &Node) -> Origin {
    Origin { end: document.origin.start + 1, ..document.origin }
}

struct Converter<'a> {
    document: &'a Node,
    entries: Vec<(Key, Node)>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Converter<'a> {
    /// The first of `names` that is there and not null.
    fn find(&self, names: &[&str]) -> Option<&'a Node> {
        names.iter().filter_map(|name| self.document.at(&[name])).find(|node| node.value != Value::Null)
    }

    fn put(&mut self, key: &str, origin: Origin, value: Value) {
        self.entries.push((Key { name: key.into(), origin }, Node { value, origin }));
    }

    /// Copies a value that must be there.
    fn need(&mut self, key: &str, names: &[&str]) {
        match self.find(names) {
            Some(node) => self.put(key, node.origin, node.value.clone()),
            None => {
                let message = format!("missing key '{}'", names[0]);
                let expected = format!("expected '{}', the model's {key}", names.join("' or '"));
                self.diagnostics.push(Diagnostic::new(start(self.document), message, expected));
            }
        }
    }

    /// Copies a value, or puts the family's default.
    fn default(&mut self, key: &str, names: &[&str], default: Value) {
        match self.find(names) {
            Some(node) => self.put(key, node.origin, node.value.clone()),
            None => self.put(key, start(self.document), default),
        }
    }

    /// A count that is sound on its own; an unsound one is reported when the model's keys are read.
    fn count(&self, names: &[&str]) -> Option<(u64, Origin)> {
        let node = self.find(names)?;
        match node.value {
            Value::Integer(Some(n)) => {
                let n = u64::try_from(n).ok().filter(|n| (1..=limits::MAX_DIMENSION).contains(n))?;
                Some((n, node.origin))
            }
            _ => None,
        }
    }

    /// A flag; absent is no.
    fn flag(&mut self, name: &str) -> bool {
        match self.find(&[name]).map(|node| (&node.value, node)) {
            Some((Value::Bool(yes), _)) => *yes,
            Some((_, node)) => {
                let message = format!("'{name}' is {}", node.describe());
                self.diagnostics.push(Diagnostic::new(node.origin, message, "expected true or false"));
                false
            }
            None => false,
        }
    }

    fn biases(&mut self, list: &[&str]) {
        let at = start(self.document);
        let item = |name: &&str| Node { value: Value::Text((*name).to_owned()), origin: at };
        self.put("attention_bias", at, Value::Array(list.iter().map(item).collect()));
    }

    /// The head dimension as hidden size over heads, where the file does not give it.
    fn head_dim(&mut self, names: &[&str], hidden: &[&str], heads: &[&str]) {
        if let Some(node) = self.find(names) {
            return self.put("head_dim", node.origin, node.value.clone());
        }
        match (self.count(hidden), self.count(heads)) {
            (Some((d, _)), Some((h, at))) if !d.is_multiple_of(h) => {
                let message = format!("'{}' does not divide '{}': {h} and {d}", heads[0], hidden[0]);
                self.diagnostics.push(Diagnostic::new(at, message, "without 'head_dim', it must"));
            }
            (Some((d, _)), Some((h, at))) => self.put("head_dim", at, Value::Integer(Some((d / h).into()))),
            // One of the two is wrong or missing, and reported for itself; one is put so that no more is said.
            _ => self.put("head_dim", start(self.document), Value::Integer(Some(1))),
        }
    }

    fn shapes(&mut self, family: Family) {
        match family {
            Family::Gpt2 => self.gpt2(),
            Family::Llama | Family::Qwen2 | Family::Gemma => self.llama(family),
        }
    }

    fn llama(&mut self, family: Family) {
        const HEADS: &str = "num_attention_heads";
        self.need("layers", &["num_hidden_layers"]);
        self.need("d_model", &["hidden_size"]);
        self.need("heads", &[HEADS]);
        if self.find(&[HEADS]).is_some() {
            self.need("kv_heads", &["num_key_value_heads", HEADS]);
        }
        if family == Family::Gemma {
            self.default("head_dim", &["head_dim"], Value::Integer(Some(256)));
        } else {
            self.head_dim(&["head_dim"], &["hidden_size"], &[HEADS]);
        }
        self.need("d_ffn", &["intermediate_size"]);
        self.put("gated_ffn", start(self.document), Value::Bool(true));
        let mlp_bias = self.flag("mlp_bias");
        self.put("ffn_bias", start(self.document), Value::Bool(mlp_bias));
        self.need("vocab", &["vocab_size"]);
        self.default("tied_embeddings", &["tie_word_embeddings"], Value::Bool(family == Family::Gemma));
        self.need("max_context", &["max_position_embeddings"]);
        self.put("position", start(self.document), Value::Text("rope".into()));
        if let Some(node) = self.find(&["partial_rotary_factor"]) {
            self.put("rotary_fraction", node.origin, node.value.clone());
        }
        match (family, self.flag("attention_bias")) {
            (Family::Qwen2, _) => self.biases(&["q", "k", "v"]),
            (_, true) => self.biases(&["q", "k", "v", "o"]),
            (_, false) => self.biases(&[]),
        }
        // Qwen2 gives a window that is off unless another key turns it on.
        let window = self.find(&["sliding_window"]);
        if let Some(node) = window
            && (family != Family::Qwen2 || self.flag("use_sliding_window"))
        {
            self.put("sliding_window", node.origin, node.value.clone());
        }
    }

    fn gpt2(&mut self) {
        const HEADS: [&str; 2] = ["n_head", "num_attention_heads"];
        const HIDDEN: [&str; 2] = ["n_embd", "hidden_size"];
        self.need("layers", &["n_layer", "num_hidden_layers"]);
        self.need("d_model", &HIDDEN);
        self.need("heads", &HEADS);
        if self.find(&HEADS).is_some() {
            self.need("kv_heads", &HEADS);
        }
        self.head_dim(&[], &HIDDEN, &HEADS);
        match (self.find(&["n_inner"]), self.count(&HIDDEN)) {
            (Some(node), _) => self.put("d_ffn", node.origin, node.value.clone()),
            (None, Some((d, at))) => self.put("d_ffn", at, Value::Integer(Some((4 * d).into()))),
            (None, None) => self.put("d_ffn", start(self.document), Value::Integer(Some(1))),
        }
        let at = start(self.document);
        self.put("gated_ffn", at, Value::Bool(false));
        self.put("ffn_bias", at, Value::Bool(true));
        self.need("vocab", &["vocab_size"]);
        self.default("tied_embeddings", &["tie_word_embeddings"], Value::Bool(true));
        self.need("max_context", &["n_positions", "n_ctx", "max_position_embeddings"]);
        self.put("position", at, Value::Text("learned".into()));
        self.biases(&["q", "k", "v", "o"]);
        self.put("norm", at, Value::Text("layer".into()));
    }
}
