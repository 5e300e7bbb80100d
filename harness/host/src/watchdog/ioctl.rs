//! The watchdog's `ioctl`s (linux/watchdog.h).

use std::{fs::File, io, os::fd::AsRawFd};

/// `WDIOF_MAGICCLOSE`: the magic character stops it.
pub(super) const MAGIC_CLOSE: u32 = 0x0100;
/// `WDIOF_SETTIMEOUT`: the time-out can be set.
pub(super) const SET_TIMEOUT: u32 = 0x0080;

const MAGIC: u8 = b'W';

/// `struct watchdog_info`.
#[repr(C)]
struct Info {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

nix::ioctl_read!(get_support, MAGIC, 0, Info);
nix::ioctl_read!(do_keepalive, MAGIC, 5, libc::c_int);
nix::ioctl_readwrite!(do_set_timeout, MAGIC, 6, libc::c_int);
nix::ioctl_read!(get_timeout, MAGIC, 7, libc::c_int);

/// `WDIOC_GETSUPPORT`: what the device can do.
pub(super) fn options(device: &File) -> io::Result<u32> {
    let mut info = Info { options: 0, firmware_version: 0, identity: [0; 32] };
    // SAFETY: `info` is the structure that this request fills.
    unsafe { get_support(device.as_raw_fd(), &raw mut info) }?;
    Ok(info.options)
}

/// `WDIOC_KEEPALIVE`.
pub(super) fn keep_alive(device: &File) -> io::Result<()> {
    let mut unused = 0;
    // SAFETY: the request takes a pointer to an integer and does not use it.
    unsafe { do_keepalive(device.as_raw_fd(), &raw mut unused) }?;
    Ok(())
}

/// `WDIOC_SETTIMEOUT`, in seconds.
pub(super) fn set_timeout(device: &File, mut seconds: libc::c_int) -> io::Result<()> {
    // SAFETY: the request reads and writes one integer.
    unsafe { do_set_timeout(device.as_raw_fd(), &raw mut seconds) }?;
    Ok(())
}

/// `WDIOC_GETTIMEOUT`, in seconds.
pub(super) fn timeout(device: &File) -> io::Result<libc::c_int> {
    let mut seconds = 0;
    // SAFETY: the request writes one integer.
    unsafe { get_timeout(device.as_raw_fd(), &raw mut seconds) }?;
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_requests_have_the_numbers_of_the_kernel() {
        // linux/watchdog.h, as strace and Patroni's linux.py spell them for x86 and arm.
        assert_eq!(nix::request_code_read!(b'W', 0, size_of::<super::Info>()), 0x8028_5700);
        assert_eq!(nix::request_code_read!(b'W', 5, size_of::<libc::c_int>()), 0x8004_5705);
        assert_eq!(nix::request_code_readwrite!(b'W', 6, size_of::<libc::c_int>()), 0xC004_5706);
        assert_eq!(nix::request_code_read!(b'W', 7, size_of::<libc::c_int>()), 0x8004_5707);
    }
}
