//! Is there enough space? Asked first: a disk that fills up half-way hurts more than the images are worth.

use std::path::{Path, PathBuf};

use super::ImageError;

/// What is needed where Docker keeps its images, in MiB. Measured: 0.9 GiB stay, packing doubles it for a while.
pub(super) const IMAGES_MIB: u64 = 2200;
/// What is needed for temporary files, in MiB: a root file system, its archive, and unpacked packages.
pub(super) const SCRATCH_MIB: u64 = 1800;

/// How free space is asked for: bytes.
pub(super) type Free = fn(&Path) -> std::io::Result<u64>;

/// Asks the file system.
pub(super) fn free(place: &Path) -> std::io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(place)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Fails when a place has too little space. A place that cannot be asked (Docker on another machine) is not judged.
pub(super) fn check(places: &[(PathBuf, u64)], free: Free) -> Result<(), ImageError> {
    for (place, need_mib) in places {
        let Ok(bytes) = free(place) else { continue };
        let free_mib = bytes >> 20;
        if free_mib < *need_mib {
            return Err(ImageError::NoRoom { place: place.clone(), free_mib, need_mib: *need_mib });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_space_is_told_before_anything_is_built() {
        let places = [(PathBuf::from("/var/lib/docker"), IMAGES_MIB)];
        let error = check(&places, |_| Ok(100 << 20)).expect_err("100 MiB are not enough");
        let text = error.to_string();
        assert!(text.contains("/var/lib/docker has 100 MiB free, and 2200 MiB are needed"), "{text}");
        assert!(check(&places, |_| Ok(IMAGES_MIB << 20)).is_ok());
        assert!(check(&places, |_| Err(std::io::Error::from(std::io::ErrorKind::NotFound))).is_ok());
        assert!(free(Path::new("/")).expect("there is a root") > 0);
    }
}
