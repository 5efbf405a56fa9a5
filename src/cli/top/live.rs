//! The table on a terminal, drawn again for each answer and each key.

use std::{io, time::Duration};

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use ratatui::DefaultTerminal;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    overview::Overview,
    page::Page,
    shown::{Shown, Step},
};
use crate::{
    cli::{
        client::{Client, Error},
        exit::Exit,
        standing::Standing,
    },
    shutdown::Signals,
};

/// Shows it until a key or a signal ends it.
///
/// # Errors
/// There is no answer to the first question, or one that waiting does not mend; or the terminal is
/// gone.
pub(super) async fn run(
    client: &Client,
    mut shown: Shown,
    every: Duration,
    has_colours: bool,
) -> Result<(), Error> {
    let mut overview = Overview::of(Standing::ask(client).await?);
    let mut signals = Signals::take()?;
    let mut screen = Screen::take()?;
    let mut keys = EventStream::new();
    let (tell, mut answers) = mpsc::channel(1);
    let mut asking = std::pin::pin!(ask(client, every, tell));
    let mut away: Option<String> = None;
    loop {
        let away_because = away.as_deref();
        let page = Page {
            overview: &overview,
            shown: &shown,
            has_colours,
            away: away_because,
            is_live: true,
        };
        let height = screen.0.draw(|frame| frame.render_widget(page, frame.area()))?.area.height;
        let (room, lines) = (page.room(height), shown.lines(&overview.upstreams).len());
        tokio::select! {
            () = &mut asking => return Ok(()),
            _ = signals.next() => return Ok(()),
            Some(answer) = answers.recv() => match answer {
                Ok(standing) => (overview, away) = (Overview::of(standing), None),
                Err(error) if error.exit() == Exit::Unreachable => away = Some(error.to_string()),
                Err(error) => return Err(error),
            },
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if shown.key(key, room, lines) == Step::Quit {
                        return Ok(());
                    }
                }
                // The size is read for every frame; so is one drawn for what else happens.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}

/// Asks again and again, one question at a time, so that keys do not wait for answers.
async fn ask(client: &Client, every: Duration, tell: mpsc::Sender<Result<Standing, Error>>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first answer is there.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if tell.send(Standing::ask(client).await).await.is_err() {
            return;
        }
    }
}

/// The terminal while it is ours; it is given back as it was, after a panic too.
struct Screen(DefaultTerminal);

impl Screen {
    fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        drop(ratatui::try_restore());
    }
}
