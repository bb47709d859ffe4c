//! What the test of the layers reads: code as text, the library's sources, the contracts of modules.

pub mod code;
pub mod contract;
pub mod sources;
