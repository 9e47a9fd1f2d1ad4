//! All tests that run the program or several of its parts together, in one binary.

mod ci_examples;
mod cli;
mod crash;
mod explain;
mod fixtures;
mod fuzz;
mod ids;
mod laws;
mod layers;
mod schemas;
mod support;
