//! The method of a call as rows, lines and spans tell it.

use http::Method;

use crate::domain::secret;

/// The longest that is told, in bytes; the longest that is registered has 16.
const LONGEST: usize = 32;

/// No secret is shorter; the methods that everybody uses are.
const SHORTEST_SECRET: usize = 8;

/// One that only fills the rows, or is a secret, is not told.
pub(super) fn told(method: &Method) -> Method {
    let name = method.as_str();
    if name.len() < SHORTEST_SECRET || (name.len() <= LONGEST && !secret::is_in(name.as_bytes())) {
        return method.clone();
    }
    Method::from_bytes(b"-").unwrap_or_default()
}
