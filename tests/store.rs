//! The stores, against a real Postgres and the embedded file.
#[path = "support/postgres.rs"]
mod postgres;
#[test]
fn up() {
    let server = postgres::Server::start();
    let url = server.database();
    assert_eq!(server.psql("test_0", &["-c", "select 1"]), "1");
    server.stop();
    server.resume();
    assert_eq!(server.psql("test_0", &["-c", "select 1"]), "1");
    assert!(url.contains(&server.port().to_string()));
    assert!(server.authority().exists());
    postgres::Server::shared();
}
