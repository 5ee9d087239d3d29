//! The loop: observe, plan, check, apply, observe again. One reconcile at a time.

mod carry_out;
mod granted;
mod outcome;
mod planned;
mod reconciler;
mod round;
mod trouble;

pub(super) use reconciler::{Reconciler, State};
pub(super) use trouble::Trouble;
