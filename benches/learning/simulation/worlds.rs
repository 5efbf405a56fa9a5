//! Worlds that tasks are drawn from: who asks for what, and how likely it works.

use super::random::Random;

/// One task: the value of each parameter, who asked, and how likely it succeeds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(crate) values: [usize; 3],
    pub(crate) caller: usize,
    pub(crate) rate: f64,
}

/// Where tasks come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    /// How many of the values are used.
    pub(crate) parameters: usize,
    /// Whether those of the first parameter are numbers; else they are words.
    pub(crate) numbers: bool,
    /// Whether the store knows the callers apart.
    pub(crate) callers_known: bool,
    /// The impact of tasks, which nothing else depends on, from a number between 0 and 1.
    pub(crate) impact: fn(f64) -> f64,
    pub(crate) task: fn(&mut Random, day: i32) -> Task,
}

const fn world(name: &'static str, parameters: usize, task: fn(&mut Random, i32) -> Task) -> World {
    World { name, parameters, numbers: parameters > 1, callers_known: true, impact: leaning, task }
}

/// Most tasks have a good impact, some a bad one.
fn leaning(unit: f64) -> f64 {
    100.0 * unit.sqrt()
}

/// Nineteen of twenty tasks are perfect and one is worth nothing.
fn lopsided(unit: f64) -> f64 {
    if unit < 0.95 { 100.0 } else { 0.0 }
}

/// Nothing matters: one parameter with 18 values.
pub(crate) const NULL_18: World =
    world("nothing matters, 18 values", 1, |random, _| one(random, |_| 0.95));

/// Nothing matters, and impacts are as lopsided as they can be.
pub(crate) const NULL_LOPSIDED: World =
    World { name: "nothing matters, impacts of 0 or 100", impact: lopsided, ..NULL_COMBINED };

/// Nothing matters: one parameter with 40 numbers, which are looked at in groups.
pub(crate) const NULL_NUMBERS: World = World {
    numbers: true,
    ..world("nothing matters, 40 numbers", 1, |random, _| Task {
        values: [random.one_of(40), 0, 0],
        caller: 0,
        rate: 0.95,
    })
};

/// Nothing matters: three parameters with six values each, and their 216 combinations.
pub(crate) const NULL_COMBINED: World =
    world("nothing matters, 3 x 6 values", 3, |random, _| three(random, |_| 0.95));

/// Nothing matters but the day: some are much worse than others.
pub(crate) const NULL_BAD_DAYS: World = world("nothing matters but the day", 3, |random, day| {
    three(random, |_| 0.95 - 0.04 * f64::from(day * 7 % 5))
});

/// One of 18 values is ten points worse than the others.
pub(crate) const WORSE_18: World = world("one of 18 values: 85 %, else 95 %", 1, |random, _| {
    one(random, |value| if value == 0 { 0.85 } else { 0.95 })
});

/// One of the six values of a parameter is ten points worse than the others.
pub(crate) const WORSE_COMBINED: World =
    world("one of 3 x 6 values: 85 %, else 95 %", 3, |random, _| {
        three(random, |values| if values[0] == 0 { 0.85 } else { 0.95 })
    });

/// One of 18 values is twelve points better than the others.
pub(crate) const BETTER_18: World = world("one of 18 values: 92 %, else 80 %", 1, |random, _| {
    one(random, |value| if value == 0 { 0.92 } else { 0.80 })
});

/// One of the six values of a parameter is ten points better than the others.
pub(crate) const BETTER_COMBINED: World =
    world("one of 3 x 6 values: 95 %, else 85 %", 3, |random, _| {
        three(random, |values| if values[0] == 0 { 0.95 } else { 0.85 })
    });

/// A value does nothing, but callers with easy tasks prefer it.
pub(crate) const CONFOUNDED: World =
    world("easy callers prefer a value", 3, |random, _| confounded(random, 0.0));

/// A value does harm, and still looks good, because callers with easy tasks prefer it (Simpson).
pub(crate) const REVERSED: World =
    world("easy callers prefer a harmful value", 3, |random, _| confounded(random, -0.04));

/// The same as [`CONFOUNDED`] where nobody told the store who calls.
pub(crate) const HIDDEN: World =
    World { name: "the same, callers not told apart", callers_known: false, ..CONFOUNDED };

fn one(random: &mut Random, rate: fn(usize) -> f64) -> Task {
    let value = random.one_of(18);
    Task { values: [value, 0, 0], caller: 0, rate: rate(value) }
}

/// Three callers, alike.
fn three(random: &mut Random, rate: impl Fn([usize; 3]) -> f64) -> Task {
    let values = [random.one_of(6), random.one_of(6), random.one_of(6)];
    Task { values, caller: random.one_of(3), rate: rate(values) }
}

/// Two callers: one has easy tasks and mostly uses the first value, the other neither.
fn confounded(random: &mut Random, effect: f64) -> Task {
    let caller = random.one_of(2);
    let (base, preference) = if caller == 0 { (0.98, 0.6) } else { (0.80, 0.1) };
    let first = if random.happens(preference) { 0 } else { 1 + random.one_of(5) };
    let rate = if first == 0 { base + effect } else { base };
    Task { values: [first, random.one_of(6), random.one_of(6)], caller, rate }
}
