//! Revocation lists (RFC 5280, 5) as libpq has OpenSSL weigh them (`X509_V_FLAG_CRL_CHECK_ALL`; `check_crl` and `cert_crl` of
//! `x509_vfy.c`): every certificate of a path, the uppermost included, needs a list of its issuer, signed by that, of today, that
//! does not name it. webpki has such a check as well, but not of the uppermost, and not by lists of version 1, which `openssl ca
//! -gencrl` makes.
//!
//! Lists with critical extensions (parts of a list, changes to one, lists of somebody else's certificates) do not count.

use std::{collections::HashSet, time::Duration};

use rustls::{
    CertificateError,
    pki_types::{SignatureVerificationAlgorithm, UnixTime},
};
use x509_cert::{
    AlgorithmIdentifier,
    crl::RevokedCert,
    der::{
        self, AnyRef, Decode, Reader, SliceReader, Tag, TagMode, TagNumber, asn1::BitString, asn1::ObjectIdentifier,
    },
    ext::Extensions,
    name::Name,
    time::Time,
};

use super::certificate::Certificate;

/// `cRLReason` of an entry, and its value that takes the entry back: `removeFromCRL`.
const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const TAKEN_BACK: [u8; 3] = [10, 1, 8];

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    signed: Vec<u8>,
    algorithm: AlgorithmIdentifier,
    signature: BitString,
    issuer: Name,
    /// Since the epoch, as `until`.
    since: Duration,
    until: Option<Duration>,
    /// The numbers that it names.
    revoked: HashSet<Vec<u8>>,
    /// Whether nothing of it must be understood that is not.
    is_understood: bool,
}

impl List {
    /// Reads DER of version 1 or 2.
    pub fn parse(der: &[u8]) -> Result<Self, der::Error> {
        let outer = AnyRef::from_der(der)?;
        let mut outer = SliceReader::new(outer.value())?;
        let signed = outer.tlv_bytes()?;
        let algorithm: AlgorithmIdentifier = outer.decode()?;
        let signature: BitString = outer.decode()?;
        let mut inside = SliceReader::new(AnyRef::from_der(signed)?.value())?;
        if next_is(&inside, Tag::Integer) {
            inside.tlv_bytes()?;
        }
        let same_algorithm: AlgorithmIdentifier = inside.decode()?;
        let issuer = inside.decode()?;
        let since: Time = inside.decode()?;
        let dated = next_is(&inside, Tag::UtcTime) || next_is(&inside, Tag::GeneralizedTime);
        let until: Option<Time> = if dated { Some(inside.decode()?) } else { None };
        let entries: Vec<RevokedCert> = if next_is(&inside, Tag::Sequence) { inside.decode()? } else { Vec::new() };
        let extensions: Option<Extensions> = match inside.is_finished() {
            true => None,
            false => inside.context_specific(TagNumber(0), TagMode::Explicit)?,
        };
        let of_entries = entries.iter().filter_map(|entry| entry.crl_entry_extensions.as_ref());
        let mut all = of_entries.chain(&extensions).flatten();
        Ok(Self {
            signed: signed.to_vec(),
            is_understood: same_algorithm == algorithm && all.all(|extension| !extension.critical),
            algorithm,
            signature,
            issuer,
            since: since.to_unix_duration(),
            until: until.map(Time::to_unix_duration),
            revoked: entries.iter().filter(|entry| !is_taken_back(entry)).map(number).collect(),
        })
    }

    /// Whether it is usable at `now`, but for its end, and `issuer` has signed it.
    fn is_of(
        &self,
        issuer: &Certificate,
        now: UnixTime,
        algorithms: &[&'static dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let begun = self.since <= since_epoch(now) && self.is_understood && self.issuer == *issuer.subject();
        let signature = self.signature.as_bytes().unwrap_or_default();
        begun && issuer.has_signed_as(&self.algorithm, algorithms, &self.signed, signature).is_ok()
    }

    fn is_over(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| until < since_epoch(now))
    }
}

/// Whether a list of `issuer` clears `certificate`, which it has signed.
///
/// # Errors
/// `UnknownRevocationStatus`: there is no list. `Revoked`. `ExpiredRevocationListContext`: the list is out of date.
pub(super) fn clear(
    lists: &[List],
    certificate: &Certificate,
    issuer: &Certificate,
    now: UnixTime,
    algorithms: &[&'static dyn SignatureVerificationAlgorithm],
) -> Result<(), CertificateError> {
    if issuer.key_usage()?.is_some_and(|usage| !usage.crl_sign()) {
        return Err(CertificateError::UnknownRevocationStatus);
    }
    let usable = lists.iter().filter(|list| list.is_of(issuer, now, algorithms));
    let Some(list) = usable.max_by_key(|list| (!list.is_over(now), list.since)) else {
        return Err(CertificateError::UnknownRevocationStatus);
    };
    if list.is_over(now) {
        let next_update = UnixTime::since_unix_epoch(list.until.unwrap_or_default());
        return Err(CertificateError::ExpiredRevocationListContext { time: now, next_update });
    }
    if list.revoked.contains(certificate.serial()) { Err(CertificateError::Revoked) } else { Ok(()) }
}

fn next_is(reader: &SliceReader<'_>, tag: Tag) -> bool {
    Tag::peek(reader).is_ok_and(|found| found == tag)
}

fn number(entry: &RevokedCert) -> Vec<u8> {
    entry.serial_number.as_bytes().to_vec()
}

fn is_taken_back(entry: &RevokedCert) -> bool {
    let mut extensions = entry.crl_entry_extensions.iter().flatten();
    extensions.any(|extension| extension.extn_id == REASON && extension.extn_value.as_bytes() == TAKEN_BACK)
}

fn since_epoch(now: UnixTime) -> Duration {
    Duration::from_secs(now.as_secs())
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
