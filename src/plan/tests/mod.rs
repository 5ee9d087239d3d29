//! Rules of the planner, first as properties over generated repos and hosts, then as plans that people read.

mod engines;
mod generate;
mod identities;
mod joined;
mod properties;
mod renderings;
mod rounds;
mod scenarios;
mod unread;
mod volumes;
