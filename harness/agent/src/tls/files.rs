//! Certificates and keys from PEM files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use pgdrill_file::CERTIFICATES;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{Revocation, certificate::Certificate, provider, revocation::List, verify::Authorities};

/// Where a system keeps the authorities it trusts: Debian, Red Hat, SUSE, Alpine.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates in `file` that are trusted: authorities, and others that are trusted by themselves.
pub(super) fn authorities(file: &Path) -> io::Result<Authorities> {
    let mut roots = RootCertStore::empty();
    let mut read = Vec::new();
    for der in certificates(file)? {
        let certificate = Certificate::parse(&der).ok();
        if let Err(error) = roots.add(der)
            && certificate.is_none()
        {
            return Err(wrong(file, error));
        }
        read.extend(certificate);
    }
    Ok(Authorities { roots: Arc::new(roots), certificates: read.into(), lists: None })
}

/// Those of the system.
pub(super) fn system_authorities() -> io::Result<Authorities> {
    let mut roots = RootCertStore::empty();
    let der = certificates(&system_bundle()?)?;
    let read: Vec<_> = der.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
    // A system's list has entries that rustls does not take; the others count.
    roots.add_parsable_certificates(der);
    Ok(Authorities { roots: Arc::new(roots), certificates: read.into(), lists: None })
}

pub(super) fn system_bundle() -> io::Result<PathBuf> {
    let found = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_owned).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "this system has no list of trusted authorities: name a cacert")
    })
}

/// The lists that libpq would load (`initialize_SSL` of `fe-secure-openssl.c`). `None`: it would do without. That is when the file
/// cannot be read or has nothing in it, whatever the folder has; a folder alone counts even where it is empty.
///
/// # Errors
/// A list in the file is broken. libpq would do without it and all others, which nobody means.
pub(super) fn lists(of: &Revocation) -> io::Result<Option<Arc<[List]>>> {
    let mut lists = Vec::new();
    if let Some(file) = &of.file {
        let Ok(text) = pgdrill_file::bytes(file, CERTIFICATES) else { return Ok(None) };
        for der in CertificateRevocationListDer::pem_slice_iter(&text) {
            let der = der.map_err(|error| wrong(file, error))?;
            let list = List::parse(&der).map_err(|error| wrong(file, format!("not a revocation list: {error}")))?;
            lists.push(list);
        }
        // Certificates are something as well.
        if lists.is_empty() && CertificateDer::from_pem_slice(&text).is_err() {
            return Ok(None);
        }
    }
    if let Some(folder) = &of.folder {
        let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for file in files.filter(|file| has_name_of_list(file)) {
            // One that cannot be read is missing, and is asked for if it matters.
            let text = pgdrill_file::bytes(&file, CERTIFICATES).unwrap_or_default();
            let found = CertificateRevocationListDer::pem_slice_iter(&text).filter_map(Result::ok);
            lists.extend(found.filter_map(|der| List::parse(&der).ok()));
        }
    }
    Ok(Some(lists.into()))
}

/// `5ca1ab1e.r0`, as `openssl rehash` calls it.
fn has_name_of_list(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once(".r").is_some_and(|(hash, number)| {
        let digits = |text: &str, legal: fn(&u8) -> bool| text.as_bytes().iter().all(legal);
        hash.len() == 8
            && digits(hash, u8::is_ascii_hexdigit)
            && !number.is_empty()
            && digits(number, u8::is_ascii_digit)
    })
}

/// What is shown to others: a certificate of any X.509 version with what belongs to it, and its key.
pub(super) fn own(cert_file: &Path, key_file: &Path) -> io::Result<Arc<SingleCertAndKey>> {
    let chain = certificates(cert_file)?;
    let key = provider().key_provider.load_private_key(key(key_file)?).map_err(|error| wrong(key_file, error))?;
    // rustls would look itself, but not into X.509 v1.
    let public = Certificate::parse(&chain[0]).and_then(|leaf| leaf.public_key());
    let public = public.map_err(|error| wrong(cert_file, rustls::Error::InvalidCertificate(error)))?;
    if key.public_key().is_some_and(|of_key| of_key != public) {
        return Err(wrong(
            cert_file,
            format!("its first certificate is not the one of the key in {}", key_file.display()),
        ));
    }
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = pgdrill_file::bytes(file, CERTIFICATES).map_err(|error| wrong(file, error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| wrong(file, error))?;
    if found.is_empty() { Err(wrong(file, "no certificate (PEM) in it")) } else { Ok(found) }
}

fn key(file: &Path) -> io::Result<PrivateKeyDer<'static>> {
    let text = pgdrill_file::text(file, CERTIFICATES).map_err(|error| wrong(file, error))?;
    if is_encrypted(&text) {
        let text = "the private key is encrypted, which is not supported; `openssl pkey -in FILE -out FILE` takes the \
            passphrase away, and the file's permissions protect it";
        return Err(wrong(file, text));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(file, format!("no private key: {error}")))
}

/// Whether a PEM file holds an encrypted private key: `BEGIN ENCRYPTED PRIVATE KEY`, or `Proc-Type: 4,ENCRYPTED` inside of an
/// older one.
#[must_use]
pub fn is_encrypted(pem: &str) -> bool {
    pem.lines().any(|line| line.trim() == "-----BEGIN ENCRYPTED PRIVATE KEY-----" || is_old_encryption(line))
}

fn is_old_encryption(line: &str) -> bool {
    line.strip_prefix("Proc-Type:").is_some_and(|kind| kind.trim() == "4,ENCRYPTED")
}

pub(super) fn wrong(file: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", file.display()))
}

/// What was made of files, and is made anew for the next connection when one of them has changed, so that a renewed certificate
/// counts without a restart; while they cannot be read the last good ones stay.
#[derive(Debug)]
pub(super) struct Fresh<T>(Mutex<Option<(Stamp, T)>>);

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// When each of the files was last changed.
type Stamp = Vec<Option<SystemTime>>;

impl<T: Clone> Fresh<T> {
    /// The latest good one.
    ///
    /// # Errors
    /// There was none yet, and `load` fails.
    pub fn get(&self, files: &[Option<&Path>], load: impl Fn() -> io::Result<T>) -> io::Result<T> {
        // Only replaced as a whole: a panic elsewhere leaves nothing half done.
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(files);
        let outdated = loaded.as_ref().is_none_or(|(then, _)| *then != now);
        if outdated {
            match (load(), &*loaded) {
                (Ok(value), _) => *loaded = Some((now, value)),
                (Err(error), None) => return Err(error),
                (Err(_), Some(_)) => {}
            }
        }
        loaded.as_ref().map(|(_, value)| value.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn stamp(files: &[Option<&Path>]) -> Stamp {
    files.iter().flatten().map(|file| fs::metadata(file).and_then(|found| found.modified()).ok()).collect()
}
