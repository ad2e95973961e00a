//! What this CPU is: its name, its caches, the memory that is free.

use super::simd::Isa;
use super::team::allowed_cpus;

/// This machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpu {
    /// The CPU's name as the system gives it.
    pub model: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Widest instruction set that kernels use.
    pub isa: Isa,
    /// Bytes of one core's second-level cache.
    pub l2: usize,
    /// Bytes of the last-level cache, as the system gives it: a virtual machine may own a part of it.
    pub l3: usize,
}

/// Bytes of a second-level cache where the system says nothing.
const ASSUMED_L2: usize = 512 << 10;
/// Bytes of a last-level cache where the system says nothing.
const ASSUMED_L3: usize = 32 << 20;

impl Cpu {
    /// Asks the system.
    #[must_use]
    pub fn this() -> Self {
        Self {
            model: model().unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH)),
            cpus: allowed_cpus().len().max(1),
            isa: Isa::best(),
            l2: cache(2).unwrap_or(ASSUMED_L2),
            l3: cache(3).unwrap_or(ASSUMED_L3),
        }
    }

    /// What tells it from other machines, in one line.
    #[must_use]
    pub fn identity(&self) -> String {
        let Self { model, cpus, isa, l2, l3 } = self;
        format!("{model}, {cpus} CPUs, {}, L2 {} KiB, L3 {} KiB", isa.name(), l2 >> 10, l3 >> 10)
    }
}

/// The CPU's name.
fn model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = field("model name").or_else(|| field("Model"))?;
    // Clouds hide the name; family, model and stepping remain.
    match (field("cpu family"), field("model"), field("stepping")) {
        (Some(family), Some(model), Some(stepping)) => Some(format!("{name} ({family}/{model}/{stepping})")),
        _ => Some(name),
    }
}

/// Bytes of the cache of that level.
fn cache(level: u32) -> Option<usize> {
    let folder = std::path::Path::new("/sys/devices/system/cpu/cpu0/cache");
    (0..8).find_map(|index| {
        let read = |file: &str| std::fs::read_to_string(folder.join(format!("index{index}/{file}"))).ok();
        let unified = read("type").is_some_and(|kind| kind.trim() != "Instruction");
        if !unified || read("level")?.trim().parse() != Ok(level) {
            return None;
        }
        let size = read("size")?;
        let digits = size.trim().trim_end_matches(['K', 'M']);
        let unit = if size.trim().ends_with('M') { 1 << 20 } else { 1 << 10 };
        digits.parse::<usize>().ok().map(|n| n * unit)
    })
}

/// Bytes of memory that can be had without swapping, within the limit of the process's group; `None` where the system does not say.
#[must_use]
pub fn available_memory() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let system = line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib << 10)?;
    let number = |file: &str| std::fs::read_to_string(file).ok()?.trim().parse::<usize>().ok();
    // Inside a container, the group's own files are at the root.
    let limits = [
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ];
    let left =
        limits.into_iter().filter_map(|(limit, used)| Some(number(limit)?.saturating_sub(number(used)?)));
    Some(left.fold(system, usize::min))
}
