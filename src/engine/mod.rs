//! What runs instances on a node.
pub mod docker;
