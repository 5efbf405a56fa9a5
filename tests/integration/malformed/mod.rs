//! Messages that are malformed, or that two parsers could read differently: tables of what callers
//! send and of what upstreams send, each with the answer that is required.

mod answers;
mod requests;
mod table;
