//! The addresses of this machine's network interfaces.

use std::ffi::CStr;
use std::net::Ipv4Addr;

/// The IPv4 addresses of an interface; none when there is no such interface, or the kernel does not say.
#[expect(unsafe_code, reason = "no library of ours wraps getifaddrs")]
pub fn addresses(name: &str) -> Vec<Ipv4Addr> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the pointer is to a live, writable pointer, which is set when 0 is returned.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Vec::new();
    }
    let (mut found, mut at) = (Vec::new(), list);
    // SAFETY: each entry of the list is null or valid until `freeifaddrs`.
    while let Some(entry) = unsafe { at.as_ref() } {
        // SAFETY: the name of an entry is a C string that lives as long as the list.
        let is_named = unsafe { CStr::from_ptr(entry.ifa_name) }.to_bytes() == name.as_bytes();
        // SAFETY: an address is null or points to one of the family that it says.
        let family = unsafe { entry.ifa_addr.as_ref() }.map(|address| i32::from(address.sa_family));
        if is_named && family == Some(libc::AF_INET) {
            // SAFETY: an address of this family is a `sockaddr_in`; it is copied without regard to its alignment.
            let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            found.push(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)));
        }
        at = entry.ifa_next;
    }
    // SAFETY: the list came from `getifaddrs` and is not used any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_its_address_and_one_that_is_not_there_has_none() {
        assert_eq!(addresses("lo"), [Ipv4Addr::LOCALHOST]);
        assert_eq!(addresses("no-such-thing"), [] as [Ipv4Addr; 0]);
    }
}
