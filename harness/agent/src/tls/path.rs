//! Certificates that OpenSSL accepts and webpki does not, by OpenSSL's rules (`check_chain` and `check_issued` of `x509_vfy.c`,
//! `check_purpose_ssl_server` and `..._client` of `v3_purp.c`):
//! * one that is an authority (`CA:TRUE`), as `openssl req -x509` makes it, and is shown as a server's or client's own;
//! * X.509 v1, as `openssl x509 -req` made it before version 3.2 (the way of PostgreSQL's manual, "Creating Certificates").
//!
//! What is trusted is the certificate itself, byte for byte, or who signed it. Beyond OpenSSL's default a trusted certificate need
//! not be signed by itself (its `X509_V_FLAG_PARTIAL_CHAIN`, which Python 3.13 and Go have on). Name constraints are weighed in
//! `constraints`,
//! and revocation lists, where there are some, in `revocation`. libpq has the partial chains off: where lists are in force only who
//! has signed itself is an end of the way.

use rustls::{
    CertificateError,
    pki_types::{SignatureVerificationAlgorithm, UnixTime},
};
use x509_cert::der::asn1::ObjectIdentifier;

use super::{
    certificate::{Authority, Certificate},
    constraints,
    revocation::{self, List},
};

/// As many signatures are looked at for one peer, who may send any number of certificates.
const MOST_SIGNATURES: u32 = 64;

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To clients, by a server.
    Server,
    /// To a server, by a client.
    Client,
}

impl Purpose {
    /// Of `extKeyUsage`. `anyExtendedKeyUsage` is not enough for OpenSSL.
    const fn usage(self) -> ObjectIdentifier {
        match self {
            Self::Server => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
            Self::Client => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
        }
    }
}

/// What does not change from one step of a path to the next.
pub(super) struct Rules<'a> {
    pub trusted: &'a [Certificate],
    pub purpose: Purpose,
    pub now: UnixTime,
    pub algorithms: &'a [&'static dyn SignatureVerificationAlgorithm],
    /// `None`: nothing is revoked.
    pub lists: Option<&'a [List]>,
}

impl Rules<'_> {
    /// Whether a peer that shows `leaf`, and sends `others` with it, is trusted.
    ///
    /// # Errors
    /// Of several reasons the one that came closest.
    pub fn verify(&self, leaf: &Certificate, others: &[Certificate]) -> Result<(), CertificateError> {
        self.usable(leaf)?;
        self.may_speak_tls(leaf)?;
        let is_end = |trusted: &&Certificate| self.lists.is_none() || trusted.is_self_issued();
        let (ends, between): (Vec<_>, Vec<_>) = self.trusted.iter().partition(is_end);
        if ends.iter().any(|trusted| trusted.der() == leaf.der()) {
            return self.clear(leaf, leaf);
        }
        let others: Vec<_> = others.iter().chain(between).collect();
        let mut climb = Climb { rules: self, leaf, ends: &ends, others: &others, signatures: MOST_SIGNATURES };
        climb.from(leaf, &mut Vec::new(), 0)
    }

    /// What holds for every certificate of a path: its dates, what it is for, and that it is understood.
    fn usable(&self, certificate: &Certificate) -> Result<(), CertificateError> {
        certificate.is_valid_at(self.now)?;
        if certificate.has_unknown_critical_extension() {
            return Err(CertificateError::UnhandledCriticalExtension);
        }
        match certificate.may_be_used_for(self.purpose.usage())? {
            true => Ok(()),
            false => Err(CertificateError::InvalidPurpose),
        }
    }

    /// Whether the lists, where there are some, clear a certificate that `issuer` has signed.
    fn clear(&self, certificate: &Certificate, issuer: &Certificate) -> Result<(), CertificateError> {
        let Some(lists) = self.lists else { return Ok(()) };
        revocation::clear(lists, certificate, issuer, self.now, self.algorithms)
    }

    /// `keyUsage` of who is spoken to.
    fn may_speak_tls(&self, leaf: &Certificate) -> Result<(), CertificateError> {
        let Some(usage) = leaf.key_usage()? else { return Ok(()) };
        let enciphers = self.purpose == Purpose::Server && usage.key_encipherment();
        match usage.digital_signature() || usage.key_agreement() || enciphers {
            true => Ok(()),
            false => Err(CertificateError::InvalidPurpose),
        }
    }

    /// Whether `issuer` may sign certificates with `below` other authorities between it and the leaf.
    fn may_sign(&self, issuer: &Certificate, is_trusted: bool, below: u32) -> Result<(), CertificateError> {
        self.usable(issuer)?;
        let usage = issuer.key_usage()?;
        if usage.is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(CertificateError::InvalidPurpose);
        }
        let limit = match issuer.authority()? {
            Authority::Yes(limit) => limit,
            // Without a word about it: from before there was one, and only by whom we trust anyway.
            Authority::Silent if is_trusted && (usage.is_some() || issuer.is_v1() && issuer.is_self_issued()) => None,
            Authority::Silent | Authority::No => return Err(CertificateError::UnknownIssuer),
        };
        match limit.is_none_or(|limit| below <= u32::from(limit)) {
            true => Ok(()),
            false => Err(CertificateError::UnknownIssuer),
        }
    }
}

/// The search for a way up from a leaf to somebody who is trusted.
struct Climb<'a> {
    rules: &'a Rules<'a>,
    leaf: &'a Certificate,
    /// Who is trusted.
    ends: &'a [&'a Certificate],
    others: &'a [&'a Certificate],
    signatures: u32,
}

impl<'a> Climb<'a> {
    /// `taken`: which of the others are below already. `below`: how many authorities are, apart from those that have signed
    /// themselves (RFC 5280, 4.2.1.9).
    fn from(&mut self, child: &Certificate, taken: &mut Vec<usize>, below: u32) -> Result<(), CertificateError> {
        let mut closest = CertificateError::UnknownIssuer;
        for issuer in self.ends {
            match self.step(child, issuer, true, taken, below) {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) => closest = error,
                None => {}
            }
        }
        for (number, issuer) in self.others.iter().enumerate() {
            if taken.contains(&number) {
                continue;
            }
            match self.step(child, issuer, false, taken, below) {
                None => continue,
                Some(Err(error)) => closest = error,
                Some(Ok(())) => {
                    taken.push(number);
                    match self.from(issuer, taken, below + u32::from(!issuer.is_self_issued())) {
                        Ok(()) => return Ok(()),
                        Err(error) => closest = error,
                    }
                    taken.pop();
                }
            }
        }
        Err(closest)
    }

    /// One step up; `None`: it leads elsewhere.
    fn step(
        &mut self,
        child: &Certificate,
        issuer: &Certificate,
        is_trusted: bool,
        taken: &[usize],
        below: u32,
    ) -> Option<Result<(), CertificateError>> {
        if !child.names_as_issuer(issuer) {
            return None;
        }
        self.signatures = self.signatures.checked_sub(1)?;
        // Another authority of the same name is no mistake of anybody's.
        child.was_signed_by(issuer, self.rules.algorithms).ok()?;
        let may_sign = self.rules.may_sign(issuer, is_trusted, below);
        let kept = may_sign.and_then(|()| self.keep_to_constraints(issuer, taken));
        let cleared = kept.and_then(|()| self.rules.clear(child, issuer));
        Some(cleared.and_then(|()| if is_trusted { self.rules.clear(issuer, issuer) } else { Ok(()) }))
    }

    /// Whether the leaf, and the authorities on the way but for those that have signed themselves, are such as `issuer` may sign for
    /// (`check_name_constraints` of `x509_vfy.c`).
    fn keep_to_constraints(&self, issuer: &Certificate, taken: &[usize]) -> Result<(), CertificateError> {
        let Some(constraints) = issuer.name_constraints()? else { return Ok(()) };
        constraints::weigh(&constraints, self.leaf, true)?;
        let between = taken.iter().filter_map(|number| self.others.get(*number));
        let mut named = between.filter(|certificate| !certificate.is_self_issued());
        named.try_for_each(|certificate| constraints::weigh(&constraints, certificate, false))
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
