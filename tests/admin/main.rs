//! The admin port as its callers see it: a real socket, real HTTP, sample data behind it.

mod access;
mod asking;
mod bad_input;
mod commands;
mod configuration;
mod control;
mod dashboard;
mod harness;
mod learning;
mod limits;
mod naming;
mod openapi;
mod predictions;
mod reports;
mod routes;
mod rows;
mod sample;
mod statistics;
mod steering;
mod store;
mod watching;
