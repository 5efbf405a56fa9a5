//! How fast stored calls are replayed, and in how much memory: `cargo bench --bench replay`.
//!
//! First the rules alone, fed from memory. Then the program itself, on rows in a Postgres of its
//! own: a tenth of them and all, so that memory which grew with the rows would show. One call in a
//! hundred fails, and each tenth of the time has an outage. Needs PostgreSQL's server programs.
//! `ROWS` (1000000) may be set.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod postgres;
mod program;
mod rules;

fn main() {
    let rows = rows();
    println!("{:<34} {:>10} {:>9} {:>12} {:>10}", "", "rows", "seconds", "rows/s", "peak MiB");
    rules::measure(rows);
    program::measure(rows);
}

/// How many rows are asked for.
#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration file")]
fn rows() -> u32 {
    let Ok(text) = std::env::var("ROWS") else { return 1_000_000 };
    text.parse().ok().filter(|rows| *rows >= 10_000).expect("ROWS is a number from 10000 up")
}

/// One line of the table.
fn line(what: &str, rows: u32, seconds: f64, peak_mib: Option<f64>) {
    let peak = peak_mib.map_or_else(|| "-".to_owned(), |mib| format!("{mib:.1}"));
    let speed = f64::from(rows) / seconds;
    println!("{what:<34} {rows:>10} {seconds:>9.2} {speed:>12.0} {peak:>10}");
}
