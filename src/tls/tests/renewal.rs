//! Files that change while connections come and go.

use std::{fs, os::unix::fs::symlink, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    join,
};

use super::{
    MIB, Pair, assert_failed,
    authority::{Authority, Folder, NOW},
    der,
};
use crate::{
    domain::outcome::Reason,
    tls::{Alpn, News, Renewed},
};

const HOST: &str = "payments.internal";
const ENDPOINT: &str = "https://payments.internal";
const UPSTREAM: &str = "{ ca: DIR/ca.pem }";
const LISTENER: &str = "{ certificate: DIR/server.crt, key: DIR/server.key }";

/// A listener with a certificate, an upstream that trusts its authority.
fn start(authority: &Authority) -> (Folder, Pair) {
    let folder = Folder::new();
    folder.put("ca.pem", &authority.pem());
    folder.put_issued("server", &authority.issue(&[HOST], NOW));
    let pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
    (folder, pair)
}

/// The certificate that a new caller is shown.
async fn shown(pair: &Pair) -> Vec<u8> {
    pair.meet().await.0.unwrap().peer.unwrap()
}

/// Looks once; returns what is in use now, place and year of expiry, or what is wrong.
fn look(pair: &mut Pair) -> Vec<Result<String, String>> {
    let news = pair.watcher.look().into_iter().map(|news| match news {
        News::Renewed(Renewed { place, not_after, .. }) => {
            let until = not_after.map(|moment| format!(" until {}", moment.strftime("%Y")));
            Ok(place + &until.unwrap_or_default())
        }
        News::Kept(faults) => Err(faults.to_string()),
    });
    news.collect()
}

fn in_use(place: &str) -> Vec<Result<String, String>> {
    vec![Ok(place.to_owned())]
}

#[tokio::test]
async fn files_renamed_over_the_old_ones_are_shown_to_the_next_caller() {
    let authority = Authority::new("ours");
    let (folder, mut pair) = start(&authority);
    let before = shown(&pair).await;
    assert_eq!(look(&mut pair), []);
    let new = authority.issue(&[HOST], (2020, 2080));
    folder.put_issued("server", &new);
    assert_eq!(shown(&pair).await, before);
    assert_eq!(look(&mut pair), in_use("listeners.payments.tls until 2080"));
    assert_eq!(shown(&pair).await, der(&new.certificate));
    assert_eq!(look(&mut pair), []);
    let certificates = pair.tls.certificates();
    let not_after = certificates[0].not_after.map(|moment| moment.to_string());
    assert_eq!(not_after.as_deref(), Some("2080-01-01T00:00:00Z"));
}

#[tokio::test]
async fn files_behind_a_link_that_is_swapped_are_seen() {
    let authority = Authority::new("ours");
    let folder = Folder::new();
    folder.put("ca.pem", &authority.pem());
    let generation = |name: &str| {
        let issued = authority.issue(&[HOST], NOW);
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("server.crt"), &issued.certificate).unwrap();
        fs::write(path.join("server.key"), &issued.key).unwrap();
        der(&issued.certificate)
    };
    // As Kubernetes mounts a secret: each file a link to `data`, a link to the newest folder.
    let point_to = |name: &str| {
        symlink(name, folder.path().join("data.new")).unwrap();
        fs::rename(folder.path().join("data.new"), folder.path().join("data")).unwrap();
    };
    let first = generation("1");
    point_to("1");
    for file in ["server.crt", "server.key"] {
        symlink(format!("data/{file}"), folder.path().join(file)).unwrap();
    }
    let mut pair = Pair::new(&folder, LISTENER, ENDPOINT, UPSTREAM);
    assert_eq!(shown(&pair).await, first);
    let second = generation("2");
    assert_eq!(look(&mut pair), []);
    point_to("2");
    assert_eq!(look(&mut pair), in_use("listeners.payments.tls until 2090"));
    assert_eq!(shown(&pair).await, second);
}

#[tokio::test]
async fn connections_that_are_open_stay_and_none_is_resumed_with_what_is_gone() {
    let authority = Authority::new("ours");
    let (folder, mut pair) = start(&authority);
    let (near, far) = duplex(MIB);
    let (near, far) =
        join!(pair.client.connect(Alpn::Any, near), pair.server.accept(Alpn::Any, far));
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    assert!(!pair.meet().await.0.unwrap().resumed);
    assert!(pair.meet().await.0.unwrap().resumed);
    folder.put_issued("server", &authority.issue(&[HOST], NOW));
    assert_eq!(look(&mut pair).len(), 1);
    assert!(!pair.meet().await.0.unwrap().resumed);
    near.write_all(b"still here").await.unwrap();
    near.flush().await.unwrap();
    let mut heard = [0; 10];
    far.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[tokio::test]
async fn what_cannot_be_used_is_told_once_and_changes_nothing() {
    let authority = Authority::new("ours");
    let (folder, mut pair) = start(&authority);
    let before = shown(&pair).await;
    let new = authority.issue(&[HOST], NOW);
    let half = &new.certificate[..new.certificate.len() / 2];
    for (text, words) in [
        (half, "server.crt is damaged"),
        ("", "server.crt holds no certificate"),
        (&new.certificate, "server.key is not that of the certificate in"),
    ] {
        // In place, as careless tools write.
        fs::write(folder.path().join("server.crt"), text).unwrap();
        let told = look(&mut pair);
        let [Err(why)] = &told[..] else { panic!("{words}: {told:?}") };
        assert!(why.starts_with("listeners.payments.tls.") && why.contains(words), "{why}");
        assert_eq!(look(&mut pair), [], "{words}");
        assert_eq!(shown(&pair).await, before, "{words}");
    }
    folder.put("server.key", &new.key);
    assert_eq!(look(&mut pair), in_use("listeners.payments.tls until 2090"));
    assert_eq!(shown(&pair).await, der(&new.certificate));
    fs::remove_file(folder.path().join("server.key")).unwrap();
    let told = look(&mut pair);
    assert!(told[0].as_ref().is_err_and(|why| why.contains("cannot read")), "{told:?}");
    assert_eq!(shown(&pair).await, der(&new.certificate));
}

#[tokio::test]
async fn an_upstream_is_trusted_by_the_authorities_of_now() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (folder, mut pair) = start(&ours);
    assert!(pair.meet().await.0.is_ok());
    folder.put("ca.pem", &theirs.pem());
    assert_eq!(look(&mut pair), in_use("upstreams.payments.tls"));
    let (client, _) = pair.meet().await;
    assert_failed(&client, Reason::TlsCertificate, "authority that is not trusted", "swapped");
    // While an authority is replaced, both are trusted.
    folder.put("ca.pem", &format!("{}{}", theirs.pem(), ours.pem()));
    assert_eq!(look(&mut pair), in_use("upstreams.payments.tls"));
    assert!(pair.meet().await.0.is_ok());
}

#[tokio::test]
async fn a_certificate_towards_an_upstream_is_renewed_too() {
    let authority = Authority::new("ours");
    let folder = Folder::new();
    folder.put("ca.pem", &authority.pem());
    folder.put_issued("server", &authority.issue(&[HOST], NOW));
    folder.put_issued("client", &authority.issue(&["orders"], NOW));
    let listener = "{ certificate: DIR/server.crt, key: DIR/server.key, client_ca: DIR/ca.pem }";
    let upstream = "{ ca: DIR/ca.pem, certificate: DIR/client.crt, key: DIR/client.key }";
    let mut pair = Pair::new(&folder, listener, ENDPOINT, upstream);
    let new = authority.issue(&["orders"], (2020, 2080));
    folder.put_issued("client", &new);
    assert_eq!(look(&mut pair), in_use("upstreams.payments.tls until 2080"));
    assert_eq!(pair.meet().await.1.unwrap().peer, Some(der(&new.certificate)));
}

#[tokio::test]
async fn the_watcher_looks_by_itself_and_ends_when_told() {
    let authority = Authority::new("ours");
    let (folder, pair) = start(&authority);
    let Pair { tls, watcher, server, client } = pair;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::time::pause();
    let watching = tokio::spawn(watcher.run(async { drop(stopped.await) }));
    folder.put_issued("server", &authority.issue(&[HOST], (2020, 2080)));
    let year = || {
        let not_after = tls.certificates()[0].not_after;
        not_after.map(|moment| moment.strftime("%Y").to_string())
    };
    // Time goes on by itself while nothing is to be done, so that a minute is soon over.
    for _ in 0..60 {
        if year().as_deref() == Some("2080") {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(year().as_deref(), Some("2080"));
    stop.send(()).unwrap();
    watching.await.unwrap();
    drop((server, client));
}
