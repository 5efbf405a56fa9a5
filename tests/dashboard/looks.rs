//! Whether everybody can use the pages, on any screen.

use crate::scene::Scene;

/// All pages in light and dark, wide and narrow, take long to look at.
const WHICH: &[&str] = if cfg!(feature = "long-tests") { &["every"] } else { &[] };

#[test]
fn pages_fit_their_screens_and_nothing_is_found_in_them() {
    Scene::new().look("looks.py", WHICH);
}
