//! Rules of the planner, first as properties over generated repos and hosts, then as plans that people read.

mod generate;
mod properties;
mod renderings;
mod rounds;
mod scenarios;
