//! All tests that run the program or several of its parts together, in one binary.

mod cli;
mod crash;
mod fixtures;
mod fuzz;
mod laws;
mod layers;
mod schemas;
mod support;
