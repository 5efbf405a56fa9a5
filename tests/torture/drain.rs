//! How fast a backlog reaches Postgres, and what the thread of the store spends on a row.

use std::{fs, time::Duration};

use tokio::runtime::Runtime;

use crate::{
    callers::{Callers, Habits},
    harness::{Fusebox, Setup},
    local::wait_until,
    postgres::Server,
    settings,
    upstream::Upstream,
};

/// As fast as the timer lets them.
const HASTY: Habits = Habits { callers: 64, every: Duration::from_millis(1), id_length: 0 };

/// Much longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(1800);

/// The processor time of the store's thread.
fn time_of_the_store(fusebox: &Fusebox) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", fusebox.pid())).expect("it runs");
    let paths = tasks.map(|task| task.expect("it runs").path());
    let is_it =
        |name: std::io::Result<String>| name.is_ok_and(|name| name.trim() == "fusebox-store");
    let thread = paths.into_iter().find(|path| is_it(fs::read_to_string(path.join("comm"))));
    let stat = fs::read_to_string(thread.expect("it has this thread").join("stat"));
    let stat = stat.expect("it runs");
    let (_, numbers) = stat.rsplit_once(") ").expect("the name is in parentheses");
    let ticks = numbers.split(' ').skip(11).take(2).map(|n| n.parse::<u32>().expect("a number"));
    // A tick is a hundredth of a second on every Linux.
    Duration::from_millis(10) * ticks.sum::<u32>()
}

#[test]
fn a_backlog_is_written_in_no_time() {
    let rows = settings::number("FUSEBOX_TORTURE_BACKLOG").unwrap_or(1_000_000);
    let (runtime, server) = (Runtime::new().expect("a runtime"), Server::start());
    let upstream = runtime.block_on(Upstream::start());
    let setup = Setup::payments(&upstream.url(), &[]).database(&server.database());
    let fusebox = setup.with("workers: 2").with("logs: { calls: none }").start();
    let told =
        |what: &str| fusebox.ask("/api/v1/status")["history"][what].as_u64().expect("a number");
    server.stop();
    let inside = runtime.enter();
    let callers = Callers::start(fusebox.proxy, HASTY);
    drop(inside);
    wait_until("the backlog", LIMIT, || (callers.made() >= rows).then_some(()));
    drop(runtime.block_on(callers.finish()));
    let backlog = told("waiting");
    assert!(backlog >= rows / 2, "{backlog} rows wait");
    server.resume();
    let before = told("written");
    let (began, spent_before) = wait_until("rows arrive", LIMIT, || {
        (told("written") > before).then(|| (fusebox::clock::now(), time_of_the_store(&fusebox)))
    });
    let rows = told("waiting");
    wait_until("no row waits", LIMIT, || (told("waiting") == 0).then_some(()));
    let wall = fusebox::clock::now() - began;
    let spent = time_of_the_store(&fusebox) - spent_before;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / rows as f64;
    eprintln!(
        "{rows} rows in {wall:.1?}: {:.1} us a row, of which {:.1} us on the store's thread, which \
         could write {:.0} rows a second on a core of its own; the journal has {} bytes",
        each(wall),
        each(spent),
        1e6 / each(spent),
        told("journalBytes"),
    );
    assert_eq!(told("dropped"), 0);
}
