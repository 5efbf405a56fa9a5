//! Learning held against the outside: formulas against independent implementations, rules against
//! simulated traffic. The simulations are those of `cargo bench --bench learning`, here smaller.

mod formulas;
mod published;
mod simulations;

#[path = "../../benches/learning/simulation/mod.rs"]
#[expect(dead_code, reason = "shared with the benchmark, which needs more of it")]
mod simulation;
