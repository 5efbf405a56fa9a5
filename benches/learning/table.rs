//! The table: what was measured, and the bar that it has to meet.

/// What a figure must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
    /// Shown for comparison.
    None,
}

impl Bar {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bar) => figure <= bar,
            Self::AtLeast(bar) => figure >= bar,
            Self::None => true,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtMost(bar) => format!("<= {bar}"),
            Self::AtLeast(bar) => format!(">= {bar}"),
            Self::None => String::new(),
        }
    }
}

/// Prints lines as they come and remembers whether all bars were met.
#[derive(Debug, Default)]
pub(crate) struct Table {
    missed: u32,
}

impl Table {
    pub(crate) fn heading(&self, title: &str) {
        println!("\n{title}");
    }

    /// One figure; `beside` is told with it.
    pub(crate) fn line(&mut self, what: &str, figure: f64, bar: Bar, beside: &str) {
        let met = bar.is_met(figure);
        self.missed += u32::from(!met);
        let mark = if met { "" } else { "  MISSED" };
        let bar = bar.shown();
        println!("  {what:<58} {figure:>10.4} {bar:>10}  {beside}{mark}");
    }

    /// Whether every bar was met.
    pub(crate) const fn is_met(&self) -> bool {
        self.missed == 0
    }
}
