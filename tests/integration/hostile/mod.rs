//! Callers of HTTP/2 that no library would be: frames by hand, against the running proxy.

mod attacks;
mod caller;
mod heads;
