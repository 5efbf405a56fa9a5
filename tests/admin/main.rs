//! The admin port as its callers see it: a real socket, real HTTP, sample data behind it.

mod access;
mod asking;
mod commands;
mod configuration;
mod dashboard;
mod harness;
mod limits;
mod routes;
mod sample;
mod steering;
