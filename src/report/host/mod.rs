//! Results about this machine's CPU.

mod verify;

pub use verify::write_numerics;
