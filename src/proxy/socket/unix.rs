//! A listening Unix socket and its file, which belongs to one process at a time.
//!
//! The file outlives a process that was killed, so that one in the way says little: whether
//! somebody accepts there is found out by connecting. A stale one is replaced, a living one is an
//! address in use. Ours is removed at the end, unless a successor has replaced it by then.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::fs::{Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};

use super::BACKLOG;

/// Who may connect: our user and our group.
const PERMISSIONS: u32 = 0o660;

/// How long one waits for its turn in a directory, which others need for less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(1);

/// Listens at `path`, in place of a socket that nobody accepts on any more.
pub(super) fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let _turn = turn(path);
    if is_stale(path)? {
        fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::at(path)?;
    // Before it listens: until then nobody can connect, whatever the permissions.
    fs::set_permissions(path, Permissions::from_mode(PERMISSIONS))?;
    socket.listen(BACKLOG)?;
    Ok((OwnedFd::from(socket).into(), file))
}

/// The file of a listening socket. It goes with this value, if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Kept open, so that no other file can get the number of this one.
    inode: File,
}

impl SocketFile {
    /// The file that was just bound.
    fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inode = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        Ok(Self { path: path.to_owned(), inode })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn remove(&self) -> io::Result<()> {
        let _turn = turn(&self.path);
        let (ours, there) = (self.inode.metadata()?, fs::symlink_metadata(&self.path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        match self.remove() {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let (error, path) = (&error as &dyn std::error::Error, self.path.display());
                let hint = "the next start replaces it";
                tracing::warn!(error, %path, hint, "the file of a socket cannot be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// The sole right to bind and to remove sockets in the directory of `path`, until it is dropped.
///
/// Between binding and listening a living socket looks like a stale one, and between looking and
/// removing a stale one may have been replaced. A directory that cannot be locked, or that someone
/// keeps locked, is used without: what may then go wrong takes two starts in the same moment.
fn turn(path: &Path) -> Option<File> {
    let directory = match path.parent()? {
        here if here.as_os_str().is_empty() => Path::new("."),
        directory => directory,
    };
    let directory = File::open(directory).ok()?;
    let (locked, is_locked) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // One that comes too late is unlocked again by being dropped.
        let _late = directory.lock().map(|()| locked.send(directory));
    });
    is_locked.recv_timeout(PATIENCE).ok()
}

/// Whether there is a socket that nobody accepts on.
///
/// # Errors
/// Something else is there: a living socket, or a file that is not ours to remove.
fn is_stale(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::new(ErrorKind::AddrInUse, "a file is there, not a socket")),
    }
    let caller = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One with a full backlog lives too, and would keep us waiting.
    caller.set_nonblocking(true)?;
    match caller.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        Ok(()) | Err(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process is there")),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::ErrorKind,
        os::unix::{
            fs::{PermissionsExt, symlink},
            net::{UnixDatagram, UnixListener, UnixStream},
        },
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    use super::listen;

    /// A directory of one's own, gone with the value.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("fusebox-socket-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("f.sock")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn user_and_group_may_connect_and_the_file_goes_with_its_value() {
        let place = Place::new();
        let (socket, file) = listen(&place.socket()).unwrap();
        let mode = fs::symlink_metadata(place.socket()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        UnixStream::connect(place.socket()).unwrap();
        drop((socket, file));
        assert!(!place.socket().exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_left_alone() {
        let place = Place::new();
        drop(UnixListener::bind(place.socket()).unwrap());
        let (socket, _file) = listen(&place.socket()).unwrap();
        assert_eq!(listen(&place.socket()).unwrap_err().kind(), ErrorKind::AddrInUse);
        UnixStream::connect(place.socket()).unwrap();
        drop(socket);
        assert!(listen(&place.socket()).is_ok());
    }

    #[test]
    fn what_is_no_listening_socket_of_ours_is_left_alone() {
        let place = Place::new();
        let refused = |what: &str| {
            let error = listen(&place.socket()).expect_err(what);
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{what}");
            assert!(fs::symlink_metadata(place.socket()).is_ok(), "{what}");
            fs::remove_file(place.socket()).unwrap();
        };
        File::create(place.socket()).unwrap();
        refused("a file");
        symlink(place.0.join("elsewhere"), place.socket()).unwrap();
        refused("a link");
        let _datagrams = UnixDatagram::bind(place.socket()).unwrap();
        refused("a socket for datagrams");
    }

    #[test]
    fn a_successors_file_stays() {
        let place = Place::new();
        let (socket, file) = listen(&place.socket()).unwrap();
        drop(socket);
        let _successor = listen(&place.socket()).unwrap();
        drop(file);
        UnixStream::connect(place.socket()).unwrap();
    }

    #[test]
    fn of_many_that_start_at_once_one_gets_the_stale_socket() {
        let place = Place::new();
        drop(UnixListener::bind(place.socket()).unwrap());
        let starts: Vec<_> = (0..16)
            .map(|_| {
                let path = place.socket();
                thread::spawn(move || listen(&path))
            })
            .collect();
        let ends: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
        UnixStream::connect(place.socket()).unwrap();
    }

    #[test]
    fn a_missing_directory_is_told() {
        let place = Place::new();
        let error = listen(&place.0.join("none").join("f.sock")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
