//! A terminal that nobody sits at: the real binary in a pseudo terminal, its screen, its keys.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZeroU16,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{harness::PATIENCE, local::wait_until};

/// A command that runs in a terminal; it is killed at the end of the test.
pub(crate) struct Terminal {
    process: Kept,
    keyboard: File,
    seen: Arc<Mutex<Seen>>,
    /// Ends when nobody has the other end any more.
    watcher: JoinHandle<()>,
    /// The end that the command has; kept, so that its settings can be read when it is gone.
    line: File,
}

/// What has come so far.
struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

/// What a command that has ended has left.
pub(crate) struct Left {
    pub(crate) status: ExitStatus,
    pub(crate) screen: vt100::Screen,
    /// Everything that it wrote, also what it has drawn over since.
    pub(crate) written: String,
}

impl Terminal {
    /// Runs it on a screen of so many columns and rows, with nothing of this environment but these.
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)], (columns, rows): (u16, u16)) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("its other end");
        let path = ptsname(&ours, Vec::new()).expect("its name");
        let line = File::options()
            .read(true)
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed())
            .open(std::ffi::OsStr::from_bytes(path.to_bytes()))
            .expect("its other end");
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&line, size).expect("it has a size");
        let end = || line.try_clone().expect("an end of the line");
        // In a session of its own, whose terminal this is: the one of whoever runs the tests is not.
        let process = Command::new("setsid")
            .args(["--ctty", env!("CARGO_BIN_EXE_fusebox")])
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TERM", "xterm-256color")
            .envs(env.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the binary starts");
        let keyboard = File::from(ours);
        let cells = |count: u16| NonZeroU16::new(count).expect("a screen has cells");
        let screen = vt100::Parser::new(cells(rows), cells(columns), 0);
        let seen = Arc::new(Mutex::new(Seen { screen, bytes: Vec::new() }));
        let watcher = watch(keyboard.try_clone().expect("our end"), Arc::clone(&seen));
        Self { process: Kept(process), keyboard, seen, watcher, line }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("somebody reads the keys");
    }

    /// The screen as it is now.
    pub(crate) fn screen(&self) -> vt100::Screen {
        locked(&self.seen).screen.screen().clone()
    }

    /// Waits until the screen shows what is looked for, and returns it.
    pub(crate) fn wait_for(&self, what: &str, is: impl Fn(&str) -> bool) -> vt100::Screen {
        wait_until(what, PATIENCE, || {
            let screen = self.screen();
            is(&screen.contents()).then_some(screen)
        })
    }

    /// Waits until the command ends.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_until("the command ends", PATIENCE, || self.process.0.try_wait().expect("our child"))
    }

    /// Waits until it has ended and all that it wrote has come.
    pub(crate) fn left(mut self) -> Left {
        let status = self.ended();
        let Self { keyboard, seen, watcher, line, process: _ } = self;
        drop(line);
        watcher.join().expect("it only reads");
        drop(keyboard);
        let seen = locked(&seen);
        let written = String::from_utf8_lossy(&seen.bytes).into_owned();
        Left { status, screen: seen.screen.screen().clone(), written }
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Whether it takes lines and shows what is typed, as a shell expects it.
    pub(crate) fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&self.line).expect("a terminal").local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

/// Draws what comes, until the terminal is gone.
fn watch(mut from: File, seen: Arc<Mutex<Seen>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let mut seen = locked(&seen);
            seen.screen.process(&bytes[..count]);
            seen.bytes.extend_from_slice(&bytes[..count]);
        }
    })
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that does not outlive the test.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The colours of a screen's cells, of letters and behind them, and where each is.
pub(crate) fn colours(
    screen: &vt100::Screen,
) -> impl Iterator<Item = ((u16, u16), [vt100::Color; 2])> {
    let (rows, columns) = screen.size();
    let places =
        (0..rows.get()).flat_map(move |row| (0..columns.get()).map(move |column| (row, column)));
    places.filter_map(|(row, column)| {
        let cell = screen.cell(row, column)?;
        Some(((row, column), [cell.fgcolor(), cell.bgcolor()]))
    })
}
