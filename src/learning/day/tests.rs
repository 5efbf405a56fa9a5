use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{MAX_CELLS, MAX_COMBINED, Sums, parameters};
use crate::{
    domain::{
        learn::{
            cell::Cell,
            setting::{Bin, Setting},
        },
        task::TaskId,
    },
    store::{DayCell, Lesson, OperationName},
};

fn lesson(hour: i64, service: &str, bpm: i64) -> Lesson {
    Lesson {
        started_at_us: hour * 3_600_000_000,
        weight: 1,
        id: TaskId::from_u128(1),
        operation: OperationName { domain: "music".into(), action: "beat".into() },
        service: service.into(),
        succeeded: true,
        duration: Duration::from_secs(1),
        parameters: json!({ "bpm": bpm }),
        impact: None,
        cost: None,
    }
}

fn cells(lessons: impl IntoIterator<Item = Lesson>) -> Vec<DayCell> {
    let mut sums = Sums::default();
    lessons.into_iter().for_each(|lesson| sums.take(&lesson));
    sums.into_cells(0).flat_map(|(_, cells)| cells).collect()
}

#[test]
fn like_is_added_up_with_like() {
    let mut cells = cells([
        lesson(0, "orders", 120),
        lesson(5, "orders", 120),
        lesson(6, "orders", 120),
        lesson(5, "web", 120),
        lesson(5, "web", 90),
    ]);
    cells.sort_by(|a, b| (&a.stratum, &a.setting).cmp(&(&b.stratum, &b.setting)));
    let shown: Vec<_> = cells
        .iter()
        .map(|of| (&*of.stratum, of.setting.bin("bpm").unwrap().to_string(), of.cell.tasks))
        .collect();
    assert_eq!(
        shown,
        [
            ("orders 00-06", "120".to_owned(), 2),
            ("orders 06-12", "120".to_owned(), 1),
            ("web 00-06", "90".to_owned(), 1),
            ("web 00-06", "120".to_owned(), 1),
        ]
    );
}

/// Some tempi are common and others rare, more in all than there is room for.
fn many_tempi() -> Vec<Lesson> {
    let part = |at: i64, part: i64, succeeded| {
        let mut lesson = lesson(at % 24, "orders", at % 900);
        lesson.parameters = json!({ "bpm": at % 900, "part": part, "genre": "jazz" });
        lesson.succeeded = succeeded;
        lesson
    };
    let common = (0..8_000).map(|at| part(at % 40, 0, at % 5 > 0));
    common.chain((0..9_000).map(|at| part(at, 1 + at % 7, at % 3 > 0))).collect()
}

fn singles(cells: &[DayCell]) -> BTreeMap<(Box<str>, Setting), Cell> {
    let mut all: BTreeMap<(Box<str>, Setting), Cell> = BTreeMap::new();
    for of in cells {
        let settings = if of.is_part { vec![of.setting.clone()] } else { of.setting.counted() };
        for setting in settings.into_iter().filter(|setting| setting.len() < 2) {
            all.entry((of.stratum.clone(), setting)).or_default().merge(&of.cell);
        }
    }
    all
}

#[test]
fn what_is_kept_of_too_many_combinations_does_not_depend_on_which_came_first() {
    let (forwards, mut backwards) = (many_tempi(), many_tempi());
    backwards.reverse();
    let mut shown = [forwards, backwards].map(|lessons| {
        let cells = cells(lessons);
        let mut shown: Vec<_> = cells
            .iter()
            .map(|of| (of.stratum.clone(), of.setting.clone(), of.is_part, of.cell.tasks))
            .collect();
        shown.sort();
        (shown, singles(&cells).into_iter().map(|(of, cell)| (of, cell.tasks)).collect::<Vec<_>>())
    });
    let [(one, _), (other, _)] = &mut shown;
    assert_eq!(one, other);
}

#[test]
fn the_most_common_combinations_are_kept_and_all_tasks_count_for_each_parameter() {
    let cells = cells(many_tempi());
    let combined: Vec<_> = cells.iter().filter(|of| !of.is_part).collect();
    assert!(combined.len() <= MAX_COMBINED && combined.len() > MAX_COMBINED - 10);
    let common = combined.iter().filter(|of| of.setting.bin("part") == Some(&Bin::integer(0)));
    assert_eq!(common.map(|of| of.cell.tasks).sum::<u64>(), 8_000);
    let mut expected: BTreeMap<(Box<str>, Setting), (u64, u64)> = BTreeMap::new();
    for lesson in many_tempi() {
        let quarter = lesson.started_at_us / 21_600_000_000;
        let stratum = format!("orders {:02}-{:02}", 6 * quarter, 6 * quarter + 6);
        for setting in parameters::setting(&lesson.parameters).counted() {
            let sum = expected.entry((stratum.clone().into(), setting)).or_default();
            *sum = (sum.0 + 1, sum.1 + u64::from(lesson.succeeded));
        }
    }
    expected.retain(|(_, setting), _| setting.len() < 2);
    let seen = singles(&cells);
    let told_apart = |(_, setting): &(Box<str>, Setting)| {
        setting.iter().all(|(name, bin)| name != "bpm" && *bin != Bin::Other)
    };
    let seen_apart = seen.iter().filter(|(of, _)| told_apart(of));
    let seen_apart: BTreeMap<_, _> =
        seen_apart.map(|(of, cell)| (of.clone(), (cell.tasks, cell.successes))).collect();
    expected.retain(|of, _| told_apart(of));
    assert_eq!(seen_apart, expected);
    let tempi = |(_, setting): &(Box<str>, Setting)| setting.bin("bpm").is_some();
    let tempi: u64 = seen.iter().filter(|(of, _)| tempi(of)).map(|(_, cell)| cell.tasks).sum();
    assert_eq!(tempi, 17_000);
}

#[test]
fn all_operations_together_have_a_bound_as_well() {
    let mut sums = Sums::default();
    let (operations, tempi) = (60, 900);
    for action in 0..operations {
        for bpm in 0..tempi {
            let mut lesson = lesson(0, "orders", bpm);
            lesson.operation.action = format!("beat-{action}").into();
            sums.take(&lesson);
        }
        assert!(sums.cells <= MAX_CELLS, "{}", sums.cells);
    }
    let mut tasks = Vec::new();
    let mut combined = Vec::new();
    for (_, of) in sums.into_cells(0) {
        let in_all = |of: &&DayCell| !of.is_part || of.setting.is_empty();
        tasks.push(of.iter().filter(in_all).map(|of| of.cell.tasks).sum::<u64>());
        combined.push(of.iter().filter(|of| !of.is_part).count());
    }
    assert_eq!(tasks, [900; 60]);
    assert!(combined.iter().all(|&cells| cells > 300), "each has its part: {combined:?}");
}

#[test]
fn an_operation_with_too_many_takes_no_room_from_one_with_few() {
    let mut sums = Sums::default();
    for at in 0..3 * i64::try_from(MAX_CELLS).unwrap() {
        let mut many = lesson(0, "orders", at % 900);
        many.parameters = json!({ "bpm": at % 900, "part": at / 900 });
        sums.take(&many);
        if at % 1_000 == 0 {
            let mut few = lesson(0, "orders", at / 1_000);
            few.operation.action = "song".into();
            sums.take(&few);
        }
    }
    assert!(sums.cells <= MAX_CELLS);
    let of_few = sums.into_cells(0).find(|(name, _)| &*name.action == "song").unwrap().1;
    assert!(of_few.iter().all(|of| !of.is_part));
    assert_eq!(of_few.len(), 150);
}

#[test]
fn the_callers_with_most_tasks_are_told_apart_whenever_they_came() {
    let few = (0..30).map(|at| lesson(0, &format!("caller-{at}"), 120));
    let many = (0..12).flat_map(|at| (0..3).map(move |_| lesson(1, &format!("late-{at}"), 120)));
    let cells = cells(few.chain(many));
    assert_eq!(cells.len(), super::MAX_CALLERS + 1);
    assert!(cells.iter().any(|of| &*of.stratum == "late-11 00-06" && of.cell.tasks == 3));
    assert!(cells.iter().any(|of| &*of.stratum == "* 00-06" && of.cell.tasks == 30));
}

#[test]
fn a_row_that_stands_for_many_is_as_many_tasks() {
    let mut lesson = lesson(0, "orders", 120);
    lesson.weight = 7;
    let mut sums = Sums::default();
    sums.take(&lesson);
    assert_eq!(sums.tasks(), 7);
    let (_, cells) = sums.into_cells(0).next().unwrap();
    assert_eq!((cells[0].cell.tasks, cells[0].cell.weight_squares), (7, 49));
}
