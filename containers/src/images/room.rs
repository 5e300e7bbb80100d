//! Is there enough space? Asked first: a disk that fills up half-way hurts more than the images are worth.

use std::path::{Path, PathBuf};

use super::ImageError;

/// What is needed where Docker keeps its images, in MiB. Measured: 0.9 GiB stay, packing doubles it for a while.
pub(super) const IMAGES_MIB: u64 = 2200;
/// What is needed for temporary files, in MiB: a root file system, its archive, and unpacked packages.
pub(super) const SCRATCH_MIB: u64 = 1800;

/// A place, and what is needed there.
pub(super) struct Need {
    /// Any path of the file system.
    pub(super) place: PathBuf,
    /// MiB that must be free.
    pub(super) mib: u64,
}

/// How free space is asked for: bytes.
pub(super) type Free = fn(&Path) -> std::io::Result<u64>;

/// Asks the file system.
pub(super) fn free(place: &Path) -> std::io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(place)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Fails when a place has too little space. A place that cannot be asked (Docker on another machine) is not judged.
pub(super) fn check(needs: &[Need], free: Free) -> Result<(), ImageError> {
    for Need { place, mib: need_mib } in needs {
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
        let needs = [Need { place: PathBuf::from("/var/lib/docker"), mib: IMAGES_MIB }];
        let error = check(&needs, |_| Ok(100 << 20)).expect_err("100 MiB are not enough");
        let text = error.to_string();
        assert!(text.contains("/var/lib/docker has 100 MiB free, and 2200 MiB are needed"), "{text}");
        assert!(check(&needs, |_| Ok(IMAGES_MIB << 20)).is_ok());
        assert!(check(&needs, |_| Err(std::io::Error::from(std::io::ErrorKind::NotFound))).is_ok());
        assert!(free(Path::new("/")).expect("there is a root") > 0);
    }
}
