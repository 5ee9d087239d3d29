//! Which start of this machine this is.

use std::sync::OnceLock;

/// Tells this boot of this machine from others; empty where the kernel does not say.
pub fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        text.trim().to_owned()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_says_which_boot_this_is() {
        assert_eq!(super::id().len(), 36);
    }
}
