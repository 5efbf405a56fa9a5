//! The gate against a simple model of itself, with paused time, and with real threads.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use proptest::{
    collection::vec,
    prelude::{prop_assert, prop_assert_eq, proptest},
};

use super::{Entry, PATIENCE, Turn, Turned, Wish};
use crate::clock;

const MS: Duration = Duration::from_millis(1);

type Gate = super::Gate<u32>;
type Place = super::Place<u32>;
type Wait = super::Wait<u32>;

const fn wish(host: usize, thread: usize) -> Option<Wish> {
    Some(Wish { host, thread })
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_room_waits_and_is_late_in_time() {
    let gate = Gate::new(1, 1);
    let began = clock::now();
    let place = gate.try_enter().unwrap();
    assert_eq!(gate.enter(began + 250 * MS).await.unwrap_err(), Turned::Late);
    assert_eq!(clock::now() - began, 250 * MS);
    assert_eq!((gate.inside(), gate.waiting()), (1, 0));
    drop(place);
    assert!(gate.enter(began).await.is_ok(), "room needs no time");
}

#[tokio::test(start_paused = true)]
async fn a_full_line_turns_away_at_once() {
    let gate = Gate::new(1, 1);
    let until = clock::now() + 250 * MS;
    let _place = gate.try_enter().unwrap();
    let Ok(Entry::InLine(_first)) = gate.join(None) else { panic!("a line") };
    assert_eq!(gate.enter(until).now_or_never().unwrap().unwrap_err(), Turned::Away);
}

#[tokio::test]
async fn nobody_overtakes_the_line() {
    let gate = Gate::new(1, 8);
    let place = gate.try_enter().unwrap();
    let Ok(Entry::InLine(mut wait)) = gate.join(None) else { panic!("a line") };
    drop(place);
    assert!(gate.try_enter().is_none(), "the place is handed on");
    assert!((&mut wait).now_or_never().is_some());
}

#[tokio::test]
async fn a_turn_that_is_not_taken_is_the_next_ones() {
    let gate = Gate::new(1, 8);
    let place = gate.try_enter().unwrap();
    let (Ok(Entry::InLine(first)), Ok(Entry::InLine(second))) = (gate.join(None), gate.join(None))
    else {
        panic!("a line")
    };
    drop(place);
    drop(first);
    assert!(second.now_or_never().is_some());
    assert_eq!((gate.inside(), gate.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_gift_goes_to_the_first_who_wishes_for_it_unless_the_very_first_has_lost_its_patience() {
    let gate = Gate::new(1, 8);
    let _place = gate.try_enter().unwrap();
    let mut waits = [wish(1, 1), None, wish(2, 1), wish(2, 2), wish(2, 1)].map(|wish| {
        let Ok(Entry::InLine(wait)) = gate.join(wish) else { panic!("a line") };
        wait
    });
    let give = |host, thread, gift| gate.give(wish(host, thread).unwrap(), gift, clock::now());
    let mut got = |at: usize| match (&mut waits[at]).now_or_never() {
        Some(Turn::Gift(gift)) => Some(gift),
        _ => None,
    };
    assert_eq!((give(2, 1, 7), got(2), got(4)), (Ok(()), Some(7), None));
    assert_eq!(give(3, 1, 8), Err(8), "nobody wishes for that");
    tokio::time::advance(PATIENCE + MS).await;
    assert_eq!(give(2, 2, 9), Err(9), "the first has waited for too long");
    assert_eq!((give(1, 1, 10), got(0)), (Ok(()), Some(10)));
    assert_eq!((gate.inside(), gate.waiting()), (1, 3));
}

#[tokio::test]
async fn a_gift_that_is_not_taken_is_lost_and_nothing_else() {
    let gate = Gate::new(1, 8);
    let place = gate.try_enter().unwrap();
    let Ok(Entry::InLine(wait)) = gate.join(wish(1, 1)) else { panic!("a line") };
    assert_eq!(gate.give(wish(1, 1).unwrap(), 7, clock::now()), Ok(()));
    drop(wait);
    assert_eq!((gate.inside(), gate.waiting()), (1, 0));
    drop(place);
    assert_eq!(gate.inside(), 0);
}

/// What a gate should do, without any cleverness: numbers of those inside and of those in line.
#[derive(Default)]
struct Model {
    inside: Vec<usize>,
    line: VecDeque<usize>,
}

impl Model {
    fn let_in(&mut self, limit: usize) {
        while self.inside.len() < limit
            && let Some(first) = self.line.pop_front()
        {
            self.inside.push(first);
        }
    }
}

/// The real thing, as held by those numbers.
#[derive(Default)]
struct Held {
    places: Vec<(usize, Place)>,
    waits: Vec<(usize, Wait)>,
}

impl Held {
    /// Those whose turn has come go in.
    fn let_in(&mut self) {
        for (who, mut wait) in std::mem::take(&mut self.waits) {
            match (&mut wait).now_or_never() {
                Some(Turn::Place(place)) => self.places.push((who, place)),
                // Then it is gone, as in the model.
                Some(Turn::Gift(_)) => {}
                None => self.waits.push((who, wait)),
            }
        }
    }

    fn numbers(&self) -> (Vec<usize>, Vec<usize>) {
        let mut inside: Vec<_> = self.places.iter().map(|(who, _)| *who).collect();
        inside.sort_unstable();
        (inside, self.waits.iter().map(|(who, _)| *who).collect())
    }
}

proptest! {
    #[test]
    fn a_gate_does_what_its_model_does(
        limit in 1..4_u32,
        longest in 0..5_u32,
        // 0 and 1: somebody comes. 2: one inside leaves. 3: one in line gives up; whether it has
        // looked for its turn before makes no difference. 4: a gift for every other one.
        events in vec((0..5_u8, 0..8_usize, proptest::bool::ANY), 0..80),
    ) {
        let (gate, room) = (Gate::new(limit, longest), limit as usize);
        let (mut model, mut held, began) = (Model::default(), Held::default(), clock::now());
        for (who, (event, at, looks)) in events.into_iter().enumerate() {
            match event {
                0 | 1 => match gate.join(wish(who % 2, 0)) {
                    Ok(Entry::Inside(place)) => {
                        prop_assert!(model.inside.len() < room && model.line.is_empty());
                        model.inside.push(who);
                        held.places.push((who, place));
                    }
                    Ok(Entry::InLine(wait)) => {
                        prop_assert!(model.inside.len() == room);
                        prop_assert!(model.line.len() < longest as usize);
                        model.line.push_back(who);
                        held.waits.push((who, wait));
                    }
                    Err(turned) => {
                        prop_assert_eq!(turned, Turned::Away);
                        prop_assert_eq!(model.line.len(), longest as usize);
                    }
                },
                4 => {
                    let first = model.line.iter().position(|other| other % 2 == at % 2);
                    let given = gate.give(wish(at % 2, 0).unwrap(), 7, began);
                    prop_assert_eq!(given.is_ok(), first.is_some());
                    first.map(|first| model.line.remove(first));
                }
                2 if !held.places.is_empty() => {
                    let (who, place) = held.places.remove(at % held.places.len());
                    drop(place);
                    model.inside.retain(|other| *other != who);
                    model.let_in(room);
                }
                3 if !held.waits.is_empty() => {
                    let (who, wait) = held.waits.remove(at % held.waits.len());
                    drop(wait);
                    model.inside.retain(|other| *other != who);
                    model.line.retain(|other| *other != who);
                    model.let_in(room);
                }
                _ => {}
            }
            prop_assert_eq!(gate.inside() as usize, model.inside.len());
            prop_assert_eq!(gate.waiting() as usize, model.line.len());
            if looks {
                held.let_in();
                model.inside.sort_unstable();
                let (inside, line) = held.numbers();
                prop_assert_eq!(&inside, &model.inside);
                prop_assert_eq!(line, Vec::from(model.line.clone()));
            }
        }
        drop(held);
        prop_assert_eq!((gate.inside(), gate.waiting()), (0, 0));
    }
}

#[test]
fn threads_never_exceed_the_limit_and_all_come_through() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 3_000;
    let gate = Gate::new(2, 1_000);
    let (now_inside, passed, late) = <(Arc<AtomicU32>, Arc<AtomicU32>, Arc<AtomicU32>)>::default();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (gate, now_inside) = (Arc::clone(&gate), Arc::clone(&now_inside));
            let (passed, late) = (Arc::clone(&passed), Arc::clone(&late));
            let one = async move |gives_up: bool| {
                let until = clock::now() + if gives_up { Duration::ZERO } else { 60_000 * MS };
                match gate.enter(until).await {
                    Ok(place) => {
                        assert!(now_inside.fetch_add(1, Ordering::SeqCst) < 2);
                        tokio::task::yield_now().await;
                        now_inside.fetch_sub(1, Ordering::SeqCst);
                        drop(place);
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(turned) => {
                        assert!(gives_up && turned == Turned::Late);
                        late.fetch_add(1, Ordering::SeqCst);
                    }
                }
            };
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                runtime.unwrap().block_on(async {
                    for round in 0..ROUNDS {
                        let several =
                            [0, 1, 2].map(|i| one((round + number + i).is_multiple_of(5)));
                        futures_util::future::join_all(several).await;
                    }
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((gate.inside(), gate.waiting()), (0, 0));
    let (passed, late) = (passed.load(Ordering::SeqCst), late.load(Ordering::SeqCst));
    assert_eq!(passed + late, 3 * THREADS * ROUNDS);
    assert!(late <= 3 * THREADS * ROUNDS / 5 + THREADS * 3, "{late} were late");
}
