//! The language of the scripts.
//!
//! | step | what happens |
//! | --- | --- |
//! | `+` `-` `c` | a call: success, failure, failure to connect |
//! | `S` `w` `W` | a slow success; 429; 429 with a Retry-After of 90 s |
//! | `n` `x` | a call: neutral; given up without a verdict |
//! | `p` `P` | a call that may not be repeated: success, failure |
//! | `?` | a call is admitted and does not report yet; `s` `f`: the oldest succeeds, fails |
//! | `h` | each of those says how long it has waited; `g`: the oldest is given up; `t`: it begins to answer |
//! | `~` | a call's head succeeds, its body is under way; `o` `y`: the oldest or youngest dies, `e`: the oldest ends well |
//! | `k` `K` | a health check: good, bad |
//! | `60` | seconds pass, decimals allowed |
//!
//! Each step but time adds a letter to the trace: the state after it, `C O H R`, as a small letter
//! when the call was refused.

use std::time::{Duration, Instant};

use crate::{
    clock,
    domain::{
        breaker::{Breaker, Mode, Observed, Permit, Policy, Receipt, State, Transition},
        order::{Order, Signature, Wish},
        outcome::Verdict,
    },
};

/// Runs a script under the default policy and compares the trace.
#[track_caller]
pub(super) fn check(script: &str, expect: &str) {
    check_with(Policy::default(), script, expect);
}

/// Runs a script and compares the trace.
#[track_caller]
pub(super) fn check_with(policy: Policy, script: &str, expect: &str) {
    assert_eq!(Bench::new(policy).run(script), expect, "{script}");
}

/// Seconds.
pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a call that ends like this tells the breaker.
pub(super) fn observed(verdict: Verdict) -> Observed {
    Observed { verdict, latency: Duration::ZERO, retry_after: None, by_connection: false }
}

/// An order that holds for ten minutes.
pub(super) fn order(mode: Mode, now: Instant) -> Order {
    order_for(mode, Some(s(600)), now)
}

/// Who resets it.
pub(super) fn signature() -> Signature {
    Signature::new(Some("ann"), "a test").expect("a signature")
}

/// An order that holds so long.
pub(super) fn order_for(mode: Mode, ttl: Option<Duration>, now: Instant) -> Order {
    let wish = Wish { mode, reason: "a test", by: Some("ann"), ttl };
    Order::new(wish, now).expect("an order")
}

/// Steers a breaker; `auto` lifts the order.
pub(super) fn steer(breaker: &mut Breaker, mode: Mode, now: Instant) -> Option<Transition> {
    if mode == Mode::Auto { breaker.lift(now) } else { breaker.steer(order(mode, now), now) }
}

/// A breaker, a clock, and the calls that are under way.
pub(super) struct Bench {
    pub(super) breaker: Breaker,
    pub(super) now: Instant,
    pub(super) transitions: Vec<Transition>,
    calls: Vec<(Permit, Instant)>,
    bodies: Vec<Receipt>,
}

impl Bench {
    pub(super) fn new(policy: Policy) -> Self {
        let now = clock::now();
        let (transitions, calls, bodies) = (Vec::new(), Vec::new(), Vec::new());
        Self { breaker: Breaker::new(policy, 7, now), now, transitions, calls, bodies }
    }

    /// Runs a script and returns its trace.
    pub(super) fn run(&mut self, script: &str) -> String {
        let (mut trace, mut rest) = (String::new(), script);
        while let Some(step) = rest.chars().next() {
            let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            if number > 0 {
                self.now += Duration::from_secs_f64(rest[..number].parse().expect("seconds"));
                rest = &rest[number..];
                continue;
            }
            rest = &rest[1..];
            if step != ' ' {
                let passed = self.step(step);
                let letter = letter(self.breaker.snapshot(self.now).state);
                trace.push(if passed { letter } else { letter.to_ascii_lowercase() });
            }
        }
        trace
    }

    /// One step; false when it was a call and refused.
    fn step(&mut self, step: char) -> bool {
        match step {
            'k' | 'K' => {
                let moved = self.breaker.check(step == 'k', self.now);
                self.transitions.extend(moved);
            }
            's' | 'f' => {
                let (permit, began) = self.calls.remove(0);
                self.report(permit, if step == 's' { '+' } else { '-' }, self.now - began);
            }
            'g' => {
                let (permit, _) = self.calls.remove(0);
                let moved = self.breaker.release(permit, self.now);
                self.transitions.extend(moved);
            }
            't' => self.breaker.begins_to_answer(&mut self.calls.remove(0).0, self.now),
            'h' => self.wait(),
            'o' | 'y' => {
                let at = if step == 'o' { 0 } else { self.bodies.len() - 1 };
                let moved = self.breaker.reclassify(self.bodies.remove(at), self.now);
                self.transitions.extend(moved);
            }
            'e' => self.breaker.settle(self.bodies.remove(0)),
            _ => return self.call(step),
        }
        true
    }

    fn call(&mut self, step: char) -> bool {
        let idempotent = !matches!(step, 'p' | 'P');
        let (decision, moved) = self.breaker.admit(idempotent, self.now);
        self.transitions.extend(moved);
        let Ok(permit) = decision else { return false };
        match step {
            '?' => self.calls.push((permit, self.now)),
            'x' => {
                let moved = self.breaker.release(permit, self.now);
                self.transitions.extend(moved);
            }
            _ => self.report(permit, step, Duration::ZERO),
        }
        true
    }

    fn wait(&mut self) {
        for (permit, began) in &mut self.calls {
            let (_, moved) = self.breaker.waits(permit, self.now - *began, self.now);
            self.transitions.extend(moved);
        }
    }

    fn report(&mut self, permit: Permit, step: char, latency: Duration) {
        let plain = |verdict| Observed { latency, ..observed(verdict) };
        let observed = match step {
            '+' | 'p' | '~' => plain(Verdict::Success),
            'S' => Observed { latency: s(3), ..plain(Verdict::Success) },
            '-' | 'P' => plain(Verdict::Failure),
            'c' => Observed { by_connection: true, ..plain(Verdict::Failure) },
            'w' => plain(Verdict::Overload),
            'W' => Observed { retry_after: Some(s(90)), ..plain(Verdict::Overload) },
            'n' => plain(Verdict::Neutral),
            _ => panic!("no such step: {step}"),
        };
        let (receipt, moved) = self.breaker.record(permit, observed, self.now);
        self.transitions.extend(moved);
        if step == '~' {
            self.bodies.push(receipt);
        } else if !receipt.is_final() {
            self.breaker.settle(receipt);
        }
    }
}

const fn letter(state: State) -> char {
    match state {
        State::Closed => 'C',
        State::Open => 'O',
        State::HalfOpen => 'H',
        State::Ramping => 'R',
    }
}
