//! Names that repeat from row to row, each kept once.

use rustc_hash::FxHashMap;

/// The names of a table's GPUs, frameworks, versions and kernels, by number in the order of their first usable row.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub(super) gpus: Interner,
    pub(super) frameworks: Interner,
    pub(super) versions: Interner,
    pub(super) kernels: Interner,
}

impl Names {
    /// The GPU of this number, in lower case.
    #[must_use]
    pub fn gpu(&self, number: u32) -> &str {
        self.gpus.name(number)
    }

    /// The framework of this number, in lower case.
    #[must_use]
    pub fn framework(&self, number: u32) -> &str {
        self.frameworks.name(number)
    }

    /// The version of this number.
    #[must_use]
    pub fn version(&self, number: u32) -> &str {
        self.versions.name(number)
    }

    /// The kernel of this number.
    #[must_use]
    pub fn kernel(&self, number: u32) -> &str {
        self.kernels.name(number)
    }

    /// Every GPU, by number.
    #[must_use]
    pub fn gpus(&self) -> &[String] {
        &self.gpus.names
    }

    /// Every framework, by number.
    #[must_use]
    pub fn frameworks(&self) -> &[String] {
        &self.frameworks.names
    }

    /// Every version, by number.
    #[must_use]
    pub fn versions(&self) -> &[String] {
        &self.versions.names
    }

    /// Every kernel, by number.
    #[must_use]
    pub fn kernels(&self) -> &[String] {
        &self.kernels.names
    }
}

/// The names of one column.
#[derive(Debug, Clone, Default)]
pub(super) struct Interner {
    names: Vec<String>,
    /// Numbers by what stands in the file: `SGLang` and `sglang` may have one.
    numbers: FxHashMap<String, u32>,
    /// What was asked for last. Rows come in runs.
    last: (String, u32),
}

impl Interner {
    /// The number of what the file calls `text`, whose name is `name(text)`.
    pub(super) fn number(&mut self, text: &str, name: impl FnOnce(&str) -> String) -> u32 {
        if self.last.0 == text && !self.names.is_empty() {
            return self.last.1;
        }
        let number = self.numbers.get(text).copied().unwrap_or_else(|| {
            let name = name(text);
            let place = self.names.iter().position(|n| *n == name).unwrap_or_else(|| {
                self.names.push(name);
                self.names.len() - 1
            });
            self.numbers.insert(text.to_owned(), place as u32);
            place as u32
        });
        text.clone_into(&mut self.last.0);
        self.last.1 = number;
        number
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_number() {
        let mut interner = Interner::default();
        let mut number = |text: &str| interner.number(text, str::to_lowercase);
        assert_eq!(["a", "a", "b", "A", "", "b"].map(&mut number), [0, 0, 1, 0, 2, 1]);
        assert_eq!(interner.names, ["a", "b", ""]);
        assert_eq!(interner.name(1), "b");
    }
}
