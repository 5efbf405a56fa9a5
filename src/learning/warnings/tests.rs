//! The watch of two instances over a made-up fleet, minute by minute.

mod world;

use std::sync::Arc;

use tokio::sync::broadcast::error::TryRecvError;

use super::Watching;
use crate::{
    domain::learn::warn::{
        Signal,
        claim::Claim,
        score::{Fate, Score},
    },
    store::{Prediction, Subject, Which},
};
use world::World;

/// The first minute of the story: noon on a Monday.
const NOON: i64 = 60 * (24 * 20_003 + 12);

/// Lets these minutes pass, in each of which every instance looks.
async fn pass(world: &World, instances: &mut [Watching], minutes: i64) {
    for _ in 0..minutes {
        world.next_minute();
        for instance in &mut *instances {
            instance.round(world.now_us()).await.unwrap();
        }
    }
}

/// Until a condition holds, for two hours at most; how many minutes that took.
async fn pass_until(
    world: &World,
    instances: &mut [Watching],
    holds: impl Fn(&[Watching]) -> bool,
) -> i64 {
    for minutes in 1..120 {
        pass(world, instances, 1).await;
        if holds(instances) {
            return minutes;
        }
    }
    panic!("it never held");
}

fn shown(instance: &Watching) -> Vec<Arc<Prediction>> {
    instance.watch.board.active()
}

async fn made(world: &World, signal: Signal) -> Vec<Prediction> {
    let all = world.predictions(Which::Since(0), 1_000).await.unwrap();
    all.into_iter().filter(|it| it.notice.signal == signal).collect()
}

#[tokio::test(start_paused = true)]
async fn failures_that_rise_are_said_once_shown_by_all_and_over_when_they_are() {
    let world = World::at(NOON);
    let mut instances = [world.instance("one"), world.instance("other")];
    pass(&world, &mut instances, 5).await;
    assert!(instances.iter().all(|it| shown(it).is_empty()));
    let mut heard = instances[1].watch.board.listen();

    world.fail(8);
    let shown_by_all = |all: &[Watching]| all.iter().all(|it| !shown(it).is_empty());
    let minutes = pass_until(&world, &mut instances, shown_by_all).await;
    assert!(minutes <= 4, "{minutes}");
    let first = shown(&instances[1])[0].clone();
    let words = first.notice.claim.clone();
    assert!(words.starts_with("failures rose from 0.2 % to 8.0 %, since 12:0"), "{words}");
    assert_eq!((&*first.notice.subject.upstream, first.notice.probability), ("pay", 0.5));
    let began = heard.try_recv().unwrap();
    assert!(began.begins && began.prediction.id == first.id);

    pass(&world, &mut instances, 10).await;
    world.fail(0);
    let over = |all: &[Watching]| {
        all.iter().all(|it| shown(it).iter().all(|it| it.notice.signal != Signal::Failures))
    };
    let minutes = pass_until(&world, &mut instances, over).await;
    assert!((3..15).contains(&minutes), "{minutes}");
    let failures = made(&world, Signal::Failures).await;
    assert_eq!(failures.len(), 1, "it is not repeated: {failures:?}");
    assert!(matches!(failures[0].fate, Fate::True { lead: 240..=360 }), "{failures:?}");
    let ended = std::iter::from_fn(|| heard.try_recv().ok()).any(|it| it.prediction.id == first.id);
    assert!(ended, "it is told that it is over");
    let scores = world.scores().await.unwrap();
    let score = scores.iter().find(|(signal, _)| *signal == Signal::Failures).unwrap().1;
    assert_eq!((score.decided, score.precision, score.recall), (1, Some(1.0), None));
}

#[tokio::test(start_paused = true)]
async fn a_rise_that_was_none_is_found_to_have_been_wrong() {
    let world = World::at(NOON);
    let mut instances = [world.instance("one")];
    pass(&world, &mut instances, 5).await;
    world.fail(30);
    pass(&world, &mut instances, 2).await;
    world.fail(0);
    pass(&world, &mut instances, 30).await;
    let failures = made(&world, Signal::Failures).await;
    assert_eq!((failures.len(), failures[0].fate), (1, Fate::Pending));
    pass(&world, &mut instances, 10).await;
    assert_eq!(made(&world, Signal::Failures).await[0].fate, Fate::False);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_makes_it_true_at_once_and_counts_as_warned_of() {
    let world = World::at(NOON);
    let mut instances = [world.instance("one")];
    pass(&world, &mut instances, 5).await;
    world.open("elsewhere");
    world.fail(30);
    pass_until(&world, &mut instances, |all| !shown(&all[0]).is_empty()).await;
    world.next_minute();
    world.open("pay/charge");
    pass(&world, &mut instances, 1).await;
    assert!(matches!(made(&world, Signal::Failures).await[0].fate, Fate::True { lead: 60 }));
    let scores = world.scores().await.unwrap();
    let score = scores.iter().find(|(signal, _)| *signal == Signal::Failures).unwrap().1;
    assert_eq!(score.recall, Some(0.5), "of two that opened");
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_goes_on_saying_what_the_one_before_said() {
    let world = World::at(NOON);
    let mut one = [world.instance("one")];
    let mut other = [world.instance("other")];
    pass(&world, &mut one, 5).await;
    world.fail(8);
    pass_until(&world, &mut one, |all| !shown(&all[0]).is_empty()).await;
    pass(&world, &mut other, 1).await;
    assert!(other[0].fleet.is_none(), "one holds the lease");
    pass(&world, &mut other, 20).await;
    assert!(other[0].fleet.is_some(), "it has lapsed");
    assert_eq!(made(&world, Signal::Failures).await.len(), 1, "and the warning has not");
    assert_eq!(shown(&other[0])[0].id, made(&world, Signal::Failures).await[0].id);
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_is_mostly_wrong_is_recorded_and_not_shown() {
    let world = World::at(NOON);
    let wrong = Score { decided: 40, precision: Some(0.2), ..Score::default() };
    for signal in Signal::ALL {
        world.keep_score(&(signal, wrong)).await.unwrap();
    }
    let mut instances = [world.instance("one")];
    pass(&world, &mut instances, 5).await;
    // The scores of the made-up past have no warnings behind them, so they are kept as they are.
    world.freeze_scores();
    world.fail(30);
    pass(&world, &mut instances, 10).await;
    let failures = made(&world, Signal::Failures).await;
    assert!(failures[0].notice.is_muted && failures[0].is_active, "{failures:?}");
    assert!((failures[0].notice.probability - 9.0 / 42.0).abs() < 1e-9);
    assert_eq!(shown(&instances[0]), []);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_is_no_more_than_that() {
    let world = World::at(NOON);
    let mut instances = [world.instance("one")];
    pass(&world, &mut instances, 5).await;
    world.fail(8);
    world.go_away(true);
    for _ in 0..20 {
        world.next_minute();
        assert!(instances[0].round(world.now_us()).await.is_err());
    }
    world.go_away(false);
    pass(&world, &mut instances, 1).await;
    assert_eq!(shown(&instances[0])[0].notice.signal, Signal::Failures);
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_for_long_goes_on_watching_for_all() {
    let world = World::at(NOON);
    let mut instances = [world.instance("one"), world.instance("other")];
    world.be_slow(1_000_000);
    let began = world.now_us();
    instances[0].round(world.now_us()).await.unwrap();
    assert!(world.now_us() - began > 300_000_000, "it read for longer than the lease");
    assert!(world.is_watched());
    instances[1].round(world.now_us()).await.unwrap();
    assert!(instances[0].fleet.is_some() && instances[1].fleet.is_none());
}

#[tokio::test(start_paused = true)]
async fn more_warnings_than_are_shown_are_told_to_be_more_and_do_not_seem_to_end() {
    let world = World::at(NOON);
    let mut instances = [world.instance("one")];
    let notice = |at: usize| {
        let claim = Claim::Saturation { in_flight: 47.0, limit: 50 };
        let name = format!("upstream-{at}");
        instances[0].notice(&Subject::upstream(&name), &claim)
    };
    let all: Vec<_> = (0..1_200).map(notice).collect();
    let store = instances[0].watch.store.clone();
    store.warn(&all[..900], super::LASTS).await.unwrap();
    pass(&world, &mut instances, 1).await;
    assert!(!instances[0].watch.board.is_cut());
    let mut heard = instances[0].watch.board.listen();
    store.warn(&all, super::LASTS).await.unwrap();
    pass(&world, &mut instances, 1).await;
    assert!(instances[0].watch.board.is_cut());
    assert_eq!(shown(&instances[0]).len(), 1_000);
    let mut ended = 0;
    loop {
        match heard.try_recv() {
            Ok(moment) => ended += usize::from(!moment.begins),
            Err(TryRecvError::Lagged(_)) => {}
            Err(_) => break,
        }
    }
    assert_eq!(ended, 0, "they all go on");
}
