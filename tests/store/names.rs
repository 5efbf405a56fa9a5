//! Who says what of a breaker, where they run and which rules they follow; and words of versions that
//! are not this one.

use std::time::Duration;

use fusebox::{
    domain::{
        breaker::State,
        fleet::{
            attribution::attribute,
            drift::drift,
            hearing::Node,
            word::{Vote, Word},
        },
        quorum::Quorum,
        task::TaskId,
    },
    store::{Identity, Kind, Presence, Roll, Said, StateStore, Stores, open},
};

use crate::fixture::{OPENING, Store, identity, presence, said};

const EVER: Duration = Duration::from_secs(3_600);

/// An instance of this name in this zone, on a host of its own.
fn open_at(store: &Store, name: &str, zone: Option<&str>) -> Stores {
    let identity = Identity {
        display_name: format!("orders-{name}"),
        host: format!("host-{name}"),
        zone: zone.map(str::to_owned),
        ..identity("test", name)
    };
    open(&store.database, store.data_dir(), identity).expect("it opens")
}

fn following(keys: &[&str], rules: &[&str]) -> Presence {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Presence { keys: texts(keys), rules: texts(rules), ..presence(EVER) }
}

async fn beat(state: &dyn StateStore, keys: &[&str], rules: &[&str]) -> Roll {
    state.heartbeat(&following(keys, rules)).await.expect("it answers")
}

fn about(key: &str, word: Word) -> Said {
    Said { key: key.to_owned(), ..said(0, word) }
}

/// Asks for a vote about a breaker, in which each says this.
async fn vote(states: &[&dyn StateStore], key: &str, votes: &[Vote]) {
    let suspect = Word::Suspect { within: EVER, opening: OPENING };
    states[0].say(&about(key, suspect)).await.expect("it answers");
    for (state, vote) in states.iter().zip(votes) {
        assert!(state.say(&about(key, Word::Vote(*vote))).await.expect("it answers").is_done);
    }
}

#[tokio::test]
async fn a_heartbeat_tells_whether_all_have_the_same_rules() {
    let store = Store::new(Kind::Postgres).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| open_at(&store, name, None).state);
    let keys = ["ledger", "payments"];
    let alike = Roll { live: 1, is_uniform: true };
    assert_eq!(beat(&*a, &keys, &["aa", "bb"]).await, alike);
    assert_eq!(beat(&*b, &keys, &["aa", "bb"]).await, Roll { live: 2, ..alike });
    let odd = beat(&*c, &keys, &["aa", "cc"]).await;
    assert_eq!(odd, Roll { live: 3, is_uniform: false });
    assert!(!beat(&*a, &keys, &["aa", "bb"]).await.is_uniform);

    let keys = keys.map(str::to_owned);
    let mut factions = a.factions(&keys).await.unwrap();
    factions.sort_by(|x, y| (&x.key, &x.rules).cmp(&(&y.key, &y.rules)));
    let told: Vec<_> = factions.iter().map(|of| (&*of.key, &*of.rules, of.count)).collect();
    let expected = [("ledger", "aa", 3), ("payments", "bb", 2), ("payments", "cc", 1)];
    assert_eq!(told, expected);
    let found = drift(&factions[1..]).expect("they differ");
    assert_eq!((found.count, found.of, &found.names[..]), (1, 3, &["orders-c".to_owned()][..]));
    assert!(found.since < EVER);
}

#[tokio::test]
async fn instances_of_an_older_version_are_not_held_against_anybody() {
    let store = Store::new(Kind::Postgres).await;
    let state = open_at(&store, "new", None).state;
    store.psql(
        "insert into sidecar_instance (namespace, instance, service, version, journal_id,
            display_name, alive_until, breaker_keys, ballot)
        values ('test', 'old', 's', '1', 'j', 'orders-old', now() + interval '1 hour',
            '{payments}', 3)",
    );
    let roll = beat(&*state, &["payments"], &["aa"]).await;
    assert_eq!(roll, Roll { live: 2, is_uniform: true });
    let factions = state.factions(&["payments".to_owned()]).await.unwrap();
    assert_eq!((factions.len(), drift(&factions)), (1, None));
}

#[tokio::test]
async fn rules_are_followed_since_they_were_changed() {
    let store = Store::new(Kind::Postgres).await;
    let state = open_at(&store, "a", None).state;
    beat(&*state, &["payments"], &["aa"]).await;
    let since = "select rules_since from sidecar_instance";
    let first = store.psql(since);
    beat(&*state, &["payments"], &["aa"]).await;
    assert_eq!(store.psql(since), first);
    beat(&*state, &["payments"], &["bb"]).await;
    assert_ne!(store.psql(since), first);
}

#[tokio::test]
async fn those_who_say_bad_are_named_with_where_they_are() {
    let store = Store::new(Kind::Postgres).await;
    let at = |name: &'static str, zone| open_at(&store, name, Some(zone)).state;
    let nodes =
        [at("a", "eu-1b"), at("b", "eu-1b"), at("c", "eu-1a"), at("d", "eu-1a"), at("e", "eu-1c")];
    let states: Vec<&dyn StateStore> = nodes.iter().map(|node| &**node).collect();
    for state in &states {
        beat(*state, &["ledger", "mail", "payments"], &["x", "y", "z"]).await;
    }
    use Vote::{Abstain, Bad, Good};
    vote(&states, "payments", &[Bad, Bad, Good, Good, Good]).await;
    let ballots = states[0].ballots("payments").await.unwrap();
    assert_eq!(ballots.len(), 5);
    let first = &ballots[0];
    let (zone, host) = (Some("eu-1b".to_owned()), Some("host-a".to_owned()));
    assert_eq!(first.node, Node { name: "orders-a".to_owned(), zone, host });
    assert_eq!((first.vote, first.calls, first.failures), (Some(Bad), 20, 9));
    assert_eq!((first.alone, first.of), (1, 3));
    let told: Vec<_> = attribute(&ballots).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["both that fail are in eu-1b, none of the 3 elsewhere"]);

    vote(&states, "mail", &[Bad, Abstain, Good, Good, Good]).await;
    let ballots = states[0].ballots("payments").await.unwrap();
    let alone: Vec<_> = ballots.iter().map(|ballot| ballot.alone).collect();
    assert_eq!(alone, [2, 1, 0, 0, 0], "orders-a is alone with two of three");
    let told: Vec<_> = attribute(&ballots).iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("instance orders-a (eu-1b, host-a) sees 2 of its 3"), "{told:?}");
}

#[tokio::test]
async fn a_hearing_tells_all_that_is_known_of_a_breaker() {
    let store = Store::new(Kind::Postgres).await;
    let nodes = ["a", "b", "c"].map(|name| open_at(&store, name, Some("eu-1a")).state);
    let states: Vec<&dyn StateStore> = nodes.iter().map(|node| &**node).collect();
    for state in &states {
        beat(*state, &["payments"], &["x"]).await;
    }
    let nothing = states[0].hearing("payments").await.unwrap();
    assert_eq!((nothing.asked, nothing.prober, nothing.opening), (None, None, None));
    assert_eq!(nothing.factions.len(), 1);

    vote(&states, "payments", &[Vote::Bad, Vote::Bad, Vote::Good]).await;
    let asked = states[2].hearing("payments").await.unwrap();
    assert_eq!((asked.electorate, asked.ballots.len()), (3, 3));
    assert!(asked.asked.is_some() && !asked.left.is_zero());
    assert_eq!((asked.count(Vote::Bad), asked.count(Vote::Good)), (2, 1));

    // The one who decides names a call of its own, beside those of the one who asked.
    let own = TaskId::from_u128(0xabc);
    let trip =
        Said { task_ids: vec![own], ..about("payments", Word::Trip { quorum: Quorum::Majority }) };
    assert!(states[1].say(&trip).await.unwrap().is_done);
    let lease = 7;
    let acquire = Word::Acquire { lease, ttl: EVER, is_early: true };
    let acquired = Said { epoch: 1, ..about("payments", acquire) };
    assert!(states[2].say(&acquired).await.unwrap().is_done);
    let open = states[0].hearing("payments").await.unwrap();
    let (prober, left) = open.prober.expect("there is one");
    assert_eq!(prober.name, "orders-c");
    assert!(left > EVER / 2);
    let opening = open.opening.expect("it is open");
    assert_eq!((&*opening.by.name, opening.bad, opening.good), ("orders-b", 2, 1));
    let reporters: Vec<_> = opening.reporters.iter().map(ToString::to_string).collect();
    assert_eq!(reporters, ["orders-a (eu-1a, host-a)", "orders-b (eu-1a, host-b)"]);
    assert_eq!(opening.task_ids.len(), 2);
    assert!(opening.task_ids.contains(&own) && opening.task_ids.contains(&trip_id()));
    let failed = Said { epoch: 2, ..about("payments", Word::Fail { lease, opening: OPENING }) };
    assert!(states[2].say(&failed).await.unwrap().is_done);
    let doubted = states[0].hearing("payments").await.unwrap();
    assert_eq!(doubted.doubter.expect("there is one").0.name, "orders-c");
    assert_eq!(doubted.prober, None);
}

/// The call that all words of the fixture name.
fn trip_id() -> TaskId {
    said(0, Word::Reset).task_ids[0]
}

#[tokio::test]
async fn the_votes_of_a_newer_version_are_left_out_of_account() {
    let store = Store::new(Kind::Postgres).await;
    let [a, b] = ["a", "b"].map(|name| open_at(&store, name, None).state);
    for state in [&a, &b] {
        beat(&**state, &["payments"], &["x"]).await;
    }
    vote(&[&*a], "payments", &[Vote::Bad]).await;
    store.psql("alter table circuit_breaker_vote drop constraint circuit_breaker_vote_vote_check");
    store.psql(
        "insert into circuit_breaker_vote (namespace, key, epoch, instance, vote)
        values ('test', 'payments', 0, 'b', 'doubtful')",
    );
    let ballots = a.ballots("payments").await.unwrap();
    let votes: Vec<_> = ballots.iter().map(|ballot| ballot.vote).collect();
    assert_eq!(votes, [Some(Vote::Bad), None]);
    // One of two that can tell is no majority: the word that is not known counts for neither.
    let trip = about("payments", Word::Trip { quorum: Quorum::Majority });
    assert!(!a.say(&trip).await.unwrap().is_done);
    assert!(b.say(&about("payments", Word::Vote(Vote::Bad))).await.unwrap().is_done);
    assert!(a.say(&trip).await.unwrap().is_done);
}

#[tokio::test]
async fn a_state_of_a_newer_version_is_nobodys_to_act_on() {
    let store = Store::new(Kind::Postgres).await;
    let state = open_at(&store, "a", None).state;
    beat(&*state, &["mail", "payments"], &["x", "y"]).await;
    store.psql(
        "alter table circuit_breaker_state drop constraint circuit_breaker_state_state_check",
    );
    store.psql(
        "alter table circuit_breaker_state drop constraint circuit_breaker_state_override_check",
    );
    store.psql(
        "insert into circuit_breaker_state
            (namespace, key, upstream, epoch, state, cause, changed_by, override)
        values ('test', 'payments', 'payments', 4, 'brown', 'moon', 'newer', null),
            ('test', 'mail', 'mail', 2, 'open', 'moon', 'newer', 'forced_brown')",
    );
    for _ in 0..2 {
        let breakers = state.breakers(EVER).await.unwrap();
        let [mail] = &breakers[..] else { panic!("{breakers:?}") };
        assert_eq!((&*mail.key, mail.row.state, &mail.order), ("mail", State::Open, &None));
    }
    let suspect = Word::Suspect { within: EVER, opening: OPENING };
    let heard = state.say(&Said { epoch: 4, ..about("payments", suspect) }).await.unwrap();
    assert_eq!((heard.is_done, heard.row), (false, None));
    assert_eq!(
        store.psql("select state, epoch from circuit_breaker_state where key = 'payments'"),
        "brown|4"
    );
}

#[tokio::test]
async fn a_round_of_a_newer_version_opens_with_what_it_says() {
    let store = Store::new(Kind::Postgres).await;
    let state = open_at(&store, "a", None).state;
    beat(&*state, &["payments"], &["x"]).await;
    vote(&[&*state], "payments", &[Vote::Bad]).await;
    let opening = r#"update circuit_breaker_state set vote_opening = '{"cause": "moon"}'"#;
    store.psql(opening);
    let trip = about("payments", Word::Trip { quorum: Quorum::Any });
    let heard = state.say(&trip).await.unwrap();
    let row = heard.row.expect("there is one").row;
    assert!(heard.is_done);
    assert_eq!((row.state, row.step), (State::Open, 1));
    assert!(row.open_for > Duration::from_secs(50) && row.open_for <= Duration::from_secs(60));
}
