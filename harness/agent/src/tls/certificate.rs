//! One certificate, read: what the rules of `path` and `names` ask of it.

use std::time::Duration;

use rustls::{
    CertificateError,
    pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime},
};
use x509_cert::{
    Certificate as Parsed, TbsCertificate, Version,
    der::{AnyRef, Decode, Encode, Reader, SliceReader, asn1::ObjectIdentifier, oid::AssociatedOid},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName, name::GeneralName},
    name::Name,
};

/// Extensions that OpenSSL knows (`X509_supported_extension` of `v3_purp.c`), as far as they occur: `keyUsage`, `subjectAltName`,
/// `basicConstraints`, `nameConstraints`, `cRLDistributionPoints`, policies (which nobody asks for), `extKeyUsage`.
const KNOWN: [&str; 10] = [
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
];
/// `commonName`.
pub(super) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate and the bytes that were signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    der: Vec<u8>,
    signed: Vec<u8>,
    parsed: Parsed,
}

/// What `basicConstraints` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// The extension is missing.
    Silent,
    /// `CA:FALSE`.
    No,
    /// `CA:TRUE`, with `pathlen` if it has one.
    Yes(Option<u8>),
}

impl Certificate {
    /// Reads DER of any X.509 version.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let bad = |_| CertificateError::BadEncoding;
        let parsed = Parsed::from_der(der).map_err(bad)?;
        let outer = AnyRef::from_der(der).map_err(bad)?;
        // As they are: writing the fields anew may give others.
        let signed = SliceReader::new(outer.value()).and_then(|mut inside| inside.tlv_bytes().map(<[u8]>::to_vec));
        Ok(Self { der: der.to_vec(), signed: signed.map_err(bad)?, parsed })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    fn tbs(&self) -> &TbsCertificate {
        self.parsed.tbs_certificate()
    }

    fn extension<'a, T: Decode<'a, Error = x509_cert::der::Error> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<T>, CertificateError> {
        let found = self.tbs().get_extension::<T>().map_err(|_| CertificateError::BadEncoding)?;
        Ok(found.map(|(_, value)| value))
    }

    /// Whether it is X.509 v1: without extensions.
    pub fn is_v1(&self) -> bool {
        self.tbs().version() == Version::V1
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.tbs().issuer() == self.tbs().subject()
    }

    /// Whether `issuer` is the name of who signed it.
    pub fn names_as_issuer(&self, issuer: &Self) -> bool {
        self.tbs().issuer() == issuer.tbs().subject()
    }

    pub fn authority(&self) -> Result<Authority, CertificateError> {
        Ok(match self.extension::<BasicConstraints>()? {
            None => Authority::Silent,
            Some(BasicConstraints { ca: false, .. }) => Authority::No,
            Some(BasicConstraints { path_len_constraint, .. }) => Authority::Yes(path_len_constraint),
        })
    }

    pub fn key_usage(&self) -> Result<Option<KeyUsage>, CertificateError> {
        self.extension()
    }

    pub fn name_constraints(&self) -> Result<Option<NameConstraints>, CertificateError> {
        self.extension()
    }

    /// Its number, by which revocation lists name it.
    pub fn serial(&self) -> &[u8] {
        self.tbs().serial_number().as_bytes()
    }

    pub fn subject(&self) -> &Name {
        self.tbs().subject()
    }

    /// `subjectAltName`, all of it.
    pub fn general_names(&self) -> Result<Vec<GeneralName>, CertificateError> {
        Ok(self.extension::<SubjectAltName>()?.map(|names| names.0).unwrap_or_default())
    }

    /// Whether `extKeyUsage` is missing or names `purpose`.
    pub fn may_be_used_for(&self, purpose: ObjectIdentifier) -> Result<bool, CertificateError> {
        Ok(self.extension::<ExtendedKeyUsage>()?.is_none_or(|usage| usage.0.contains(&purpose)))
    }

    /// Whether an extension that must be understood is none that we know.
    pub fn has_unknown_critical_extension(&self) -> bool {
        let known = |id: &ObjectIdentifier| KNOWN.iter().any(|known| ObjectIdentifier::new_unwrap(known) == *id);
        self.tbs().extensions().into_iter().flatten().any(|extension| extension.critical && !known(&extension.extn_id))
    }

    /// Its dates.
    pub fn is_valid_at(&self, now: UnixTime) -> Result<(), CertificateError> {
        let validity = self.tbs().validity();
        let time = |at: Duration| UnixTime::since_unix_epoch(at);
        let (not_before, not_after) =
            (time(validity.not_before.to_unix_duration()), time(validity.not_after.to_unix_duration()));
        if now < not_before {
            return Err(CertificateError::NotValidYetContext { time: now, not_before });
        }
        if now > not_after {
            return Err(CertificateError::ExpiredContext { time: now, not_after });
        }
        Ok(())
    }

    /// Its public key as X.509 writes it.
    pub fn public_key(&self) -> Result<SubjectPublicKeyInfoDer<'static>, CertificateError> {
        let der = self.tbs().subject_public_key_info().to_der();
        der.map(SubjectPublicKeyInfoDer::from).map_err(|_| CertificateError::BadEncoding)
    }

    /// Whether its key has made a signature by one of these algorithms, of those that the caller admits.
    pub fn has_signed<'a>(
        &self,
        algorithms: impl IntoIterator<Item = &'a &'static dyn SignatureVerificationAlgorithm>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let key = self.tbs().subject_public_key_info();
        let kind = algorithm(&key.algorithm)?;
        let bits = key.subject_public_key.as_bytes().ok_or(CertificateError::BadEncoding)?;
        let fits = |found: &&&dyn SignatureVerificationAlgorithm| found.public_key_alg_id().as_ref() == kind;
        let signed =
            algorithms.into_iter().filter(fits).any(|it| it.verify_signature(bits, message, signature).is_ok());
        if signed { Ok(()) } else { Err(CertificateError::BadSignature) }
    }

    /// Whether `issuer`'s key has signed it, by one of these algorithms.
    pub fn was_signed_by(
        &self,
        issuer: &Self,
        algorithms: &[&'static dyn SignatureVerificationAlgorithm],
    ) -> Result<(), CertificateError> {
        if self.parsed.signature_algorithm() != self.tbs().signature() {
            return Err(CertificateError::BadEncoding);
        }
        let signature = self.parsed.signature().as_bytes().ok_or(CertificateError::BadEncoding)?;
        issuer.has_signed_as(self.parsed.signature_algorithm(), algorithms, &self.signed, signature)
    }

    /// Whether its key has made a signature by the algorithm that is named with it, if that is one of these.
    pub fn has_signed_as(
        &self,
        named: &x509_cert::AlgorithmIdentifier,
        algorithms: &[&'static dyn SignatureVerificationAlgorithm],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let by = algorithm(named)?;
        let named = algorithms.iter().filter(|found| found.signature_alg_id().as_ref() == by);
        self.has_signed(named, message, signature)
    }

    /// `subjectAltName`: names, and addresses as 4 or 16 bytes.
    pub fn alternative_names(&self) -> Result<Vec<AlternativeName>, CertificateError> {
        let ours = self.general_names()?.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(AlternativeName::Dns(name.as_bytes().to_vec())),
            GeneralName::IpAddress(address) => Some(AlternativeName::Ip(address.as_bytes().to_vec())),
            _ => None,
        });
        Ok(ours.collect())
    }

    /// The first common name of its subject.
    pub fn common_name(&self) -> Option<&[u8]> {
        let mut attributes = self.tbs().subject().iter();
        attributes.find(|attribute| attribute.oid == COMMON_NAME).map(|attribute| attribute.value.value())
    }
}

/// One entry of `subjectAltName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AlternativeName {
    Dns(Vec<u8>),
    Ip(Vec<u8>),
}

/// An algorithm with its parameters, as rustls names them: what is inside of X.509's sequence.
fn algorithm(of: &x509_cert::AlgorithmIdentifier) -> Result<Vec<u8>, CertificateError> {
    let der = of.to_der().map_err(|_| CertificateError::BadEncoding)?;
    let outer = AnyRef::from_der(&der).map_err(|_| CertificateError::BadEncoding)?;
    Ok(outer.value().to_vec())
}
