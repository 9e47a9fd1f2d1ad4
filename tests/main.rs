//! All tests that run the program or several of its parts together, in one binary.

mod api;
mod browser;
mod ci_examples;
mod cli;
mod commits;
mod crash;
mod edit;
mod explain;
mod fixtures;
mod fuzz;
mod hooks;
mod ids;
mod interleavings;
mod laws;
mod layers;
mod lost_database;
mod mail_server;
mod migrate;
mod probe;
mod recognition;
mod remote;
mod schemas;
mod serve;
mod stores;
mod support;
mod watch;
