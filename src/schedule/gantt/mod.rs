//! A timeline as a picture: what was planned, what happened, and how late.
//!
//! In: a [`Chart`], which the caller fills from a schedule or a run. Out: an SVG file ([`svg`]) or lines of text
//! ([`text`]). The same chart always gives the same bytes. It must not judge: states and expected ends are given.

mod bar_state;
mod layout;
mod picture;
mod scale;
mod svg;
mod svg_bar;
mod svg_style;
mod svg_text;
#[cfg(test)]
mod tests;
mod text;

pub use bar_state::BarState;
pub(super) use layout::{cut, plain};
pub use picture::{Bar, Chart, ChartRow};
pub use svg::svg;
pub use text::text;
