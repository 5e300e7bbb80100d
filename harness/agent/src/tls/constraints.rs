//! Name constraints (RFC 5280, 4.2.1.10) by OpenSSL's rules (`v3_ncons.c`): which names an authority may sign certificates for.
//! Names of a kind that its constraints do not mention are all permitted; of a kind that they do mention, one of the permitted must
//! fit and none of the excluded.
//!
//! Stricter than OpenSSL in one thing: mail addresses beyond ASCII (RFC 9598) below constraints on mail are refused unseen.

use std::{fmt, sync::Arc};

use rustls::{CertificateError, OtherError};
use x509_cert::{
    attr::AttributeTypeAndValue,
    der::{Tag, Tagged, asn1::ObjectIdentifier},
    ext::pkix::{
        NameConstraints,
        constraints::name::{GeneralSubtree, GeneralSubtrees},
        name::GeneralName,
    },
    name::Name,
};

use super::certificate::{COMMON_NAME, Certificate};

const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
/// `id-on-SmtpUTF8Mailbox`.
const MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");
/// As many comparisons are made for one certificate and one authority (`NAME_CHECK_MAX`).
const MOST_COMPARISONS: usize = 1 << 20;

/// Why a certificate does not keep to the constraints of an authority above it.
#[derive(Debug, thiserror::Error)]
enum Violation {
    #[error("an authority above it may not sign for {0}: none of its permitted name constraints fits")]
    NotPermitted(String),
    #[error("an authority above it may not sign for {0}: its name constraints exclude that")]
    Excluded(String),
    #[error(
        "the name constraints of an authority above it are of a kind that OpenSSL does not weigh either, and concern {0}"
    )]
    Unsupported(String),
    #[error("the name constraints of an authority above it have a minimum or maximum, and concern {0}")]
    Distance(String),
    #[error(
        "{0} cannot be weighed against the name constraints of an authority above it: it is not written as its kind requires"
    )]
    Syntax(String),
    #[error("more names than can be weighed against the name constraints of an authority above it")]
    TooMany,
}

/// Whether `certificate` keeps to the constraints of an authority above it. Of a leaf without any DNS name in `subjectAltName` the
/// common names count as such, as far as they look like one.
pub(super) fn weigh(
    constraints: &NameConstraints,
    certificate: &Certificate,
    is_leaf: bool,
) -> Result<(), CertificateError> {
    let alternative = certificate.general_names()?;
    let names = names_of(certificate.subject(), &alternative, is_leaf);
    let kept = names.and_then(|names| Limits::of(constraints)?.permit(&names));
    kept.map_err(|violation| CertificateError::Other(OtherError(Arc::new(violation))))
}

/// The permitted and the excluded, ready for comparisons.
struct Limits<'a> {
    permitted: Vec<(&'a GeneralSubtree, Given)>,
    excluded: Vec<(&'a GeneralSubtree, Given)>,
}

impl<'a> Limits<'a> {
    fn of(constraints: &'a NameConstraints) -> Result<Self, Violation> {
        let read = |trees: &'a Option<GeneralSubtrees>| {
            let trees = trees.iter().flatten();
            trees.map(|tree| Ok((tree, Given::of(&tree.base)?))).collect::<Result<Vec<_>, Violation>>()
        };
        Ok(Self { permitted: read(&constraints.permitted_subtrees)?, excluded: read(&constraints.excluded_subtrees)? })
    }

    fn permit(&self, names: &[Given]) -> Result<(), Violation> {
        if names.len().saturating_mul(self.permitted.len() + self.excluded.len()) > MOST_COMPARISONS {
            return Err(Violation::TooMany);
        }
        names.iter().try_for_each(|name| self.permit_one(name))
    }

    /// `nc_match`.
    fn permit_one(&self, name: &Given) -> Result<(), Violation> {
        let (mut concerned, mut fits) = (false, false);
        for (tree, base) in self.permitted.iter().filter(|(_, base)| name.is_of_kind(base)) {
            has_no_distance(tree, name)?;
            concerned = true;
            fits = fits || name.is_within(base)?;
        }
        if concerned && !fits {
            return Err(Violation::NotPermitted(name.to_string()));
        }
        for (tree, base) in self.excluded.iter().filter(|(_, base)| name.is_of_kind(base)) {
            has_no_distance(tree, name)?;
            if name.is_within(base)? {
                return Err(Violation::Excluded(name.to_string()));
            }
        }
        Ok(())
    }
}

fn has_no_distance(tree: &GeneralSubtree, name: &Given) -> Result<(), Violation> {
    match tree.minimum == 0 && tree.maximum.is_none() {
        true => Ok(()),
        false => Err(Violation::Distance(name.to_string())),
    }
}

/// All names of a certificate, in OpenSSL's order (`NAME_CONSTRAINTS_check`, `NAME_CONSTRAINTS_check_CN`).
fn names_of(subject: &Name, alternative: &[GeneralName], is_leaf: bool) -> Result<Vec<Given>, Violation> {
    let mut names = Vec::new();
    if !subject.is_empty() {
        names.push(Given::Directory(canonical(subject)?, subject.to_string()));
    }
    for address in subject.iter().filter(|attribute| attribute.oid == EMAIL_ADDRESS) {
        if address.value.tag() != Tag::Ia5String {
            return Err(Violation::Syntax("the mail address of its subject".into()));
        }
        names.push(Given::Email(address.value.value().to_vec()));
    }
    for name in alternative {
        names.push(Given::of(name)?);
    }
    if is_leaf && !names.iter().any(|name| matches!(name, Given::Dns(_))) {
        for attribute in subject.iter().filter(|attribute| attribute.oid == COMMON_NAME) {
            names.extend(host_name(attribute)?.map(Given::Dns));
        }
    }
    Ok(names)
}

/// A common name that looks like a host's: labels of letters, digits, `_` and inner `-`, and two of them at least (`cn2dnsid`).
fn host_name(attribute: &AttributeTypeAndValue) -> Result<Option<Vec<u8>>, Violation> {
    let text = text(attribute)?.unwrap_or_default();
    let text = text.trim_end_matches('\0');
    if text.contains('\0') {
        return Err(Violation::Syntax("its common name".into()));
    }
    let labels: Vec<&str> = text.split('.').collect();
    let is_label = |label: &&str| {
        let legal = label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
        legal && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    Ok((labels.len() > 1 && labels.iter().all(is_label)).then(|| text.as_bytes().to_vec()))
}

/// A name of one of the kinds that there are, of a certificate or in a constraint.
enum Given {
    /// The relative names without what does not count, and as people read them.
    Directory(Vec<Relative>, String),
    Dns(Vec<u8>),
    Email(Vec<u8>),
    Uri(Vec<u8>),
    Ip(Vec<u8>),
    /// With its type.
    Other(ObjectIdentifier),
    /// Anything else.
    Unknown(&'static str),
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(_, text) => write!(f, "directory name {text:?}"),
            Self::Dns(name) => write!(f, "DNS name {:?}", String::from_utf8_lossy(name)),
            Self::Email(name) => write!(f, "mail address {:?}", String::from_utf8_lossy(name)),
            Self::Uri(name) => write!(f, "URI {:?}", String::from_utf8_lossy(name)),
            Self::Ip(bytes) => match (<[u8; 4]>::try_from(&bytes[..]), <[u8; 16]>::try_from(&bytes[..])) {
                (Ok(four), _) => write!(f, "address {}", std::net::Ipv4Addr::from(four)),
                (_, Ok(six)) => write!(f, "address {}", std::net::Ipv6Addr::from(six)),
                _ => f.write_str("an address"),
            },
            Self::Other(kind) => write!(f, "a name of type {kind}"),
            Self::Unknown(kind) => f.write_str(kind),
        }
    }
}

impl Given {
    fn of(name: &GeneralName) -> Result<Self, Violation> {
        Ok(match name {
            GeneralName::DirectoryName(name) => Self::Directory(canonical(name)?, name.to_string()),
            GeneralName::DnsName(name) => Self::Dns(name.as_bytes().to_vec()),
            GeneralName::Rfc822Name(name) => Self::Email(name.as_bytes().to_vec()),
            GeneralName::UniformResourceIdentifier(name) => Self::Uri(name.as_bytes().to_vec()),
            GeneralName::IpAddress(bytes) => Self::Ip(bytes.as_bytes().to_vec()),
            GeneralName::OtherName(other) => Self::Other(other.type_id),
            GeneralName::EdiPartyName(_) => Self::Unknown("a name of an EDI party"),
            GeneralName::RegisteredId(_) => Self::Unknown("a registered ID"),
        })
    }

    fn is_of_kind(&self, base: &Self) -> bool {
        match (self, base) {
            (Self::Other(MAILBOX), Self::Email(_)) => true,
            (Self::Other(MAILBOX), _) => false,
            (Self::Other(own), Self::Other(base)) => own == base,
            (Self::Unknown(own), Self::Unknown(base)) => own == base,
            _ => std::mem::discriminant(self) == std::mem::discriminant(base),
        }
    }

    /// `nc_match_single`, of names of one kind.
    fn is_within(&self, base: &Self) -> Result<bool, Violation> {
        let within = match (self, base) {
            (Self::Directory(name, _), Self::Directory(base, _)) => Some(name.starts_with(base)),
            (Self::Dns(name), Self::Dns(base)) => Some(is_below(name, base)),
            (Self::Email(name), Self::Email(base)) => is_mail_of(name, base),
            (Self::Uri(name), Self::Uri(base)) => host_of(name).map(|host| is_host_of(host, base)),
            (Self::Ip(name), Self::Ip(base)) => is_in_network(name, base),
            _ => return Err(Violation::Unsupported(self.to_string())),
        };
        within.ok_or_else(|| Violation::Syntax(self.to_string()))
    }
}

/// `nc_dns`: the same, or with more labels before it. A constraint that begins with a dot wants at least one.
fn is_below(name: &[u8], base: &[u8]) -> bool {
    let Some(rest) = name.len().checked_sub(base.len()) else { return false };
    let (before, end) = name.split_at(rest);
    let at_a_dot = before.is_empty() || base.is_empty() || base.starts_with(b".") || before.ends_with(b".");
    at_a_dot && end.eq_ignore_ascii_case(base)
}

/// The same host, or one below where the constraint begins with a dot.
fn is_host_of(host: &[u8], base: &[u8]) -> bool {
    match base.starts_with(b".") {
        true => host.len() > base.len() && host[host.len() - base.len()..].eq_ignore_ascii_case(base),
        false => host.eq_ignore_ascii_case(base),
    }
}

/// `nc_email`: an address, a host, or with a dot all hosts below; `None`: `name` is no address.
fn is_mail_of(name: &[u8], base: &[u8]) -> Option<bool> {
    let split = |text: &[u8]| text.iter().rposition(|c| *c == b'@');
    let at = split(name)?;
    let (who, host) = (&name[..at], &name[at + 1..]);
    match split(base) {
        None if base.starts_with(b".") => {
            Some(name.len() > base.len() && name[name.len() - base.len()..].eq_ignore_ascii_case(base))
        }
        None => Some(host.eq_ignore_ascii_case(base)),
        // Before the `@` capitals count.
        Some(at) => Some((at == 0 || base[..at] == *who) && host.eq_ignore_ascii_case(&base[at + 1..])),
    }
}

/// `nc_uri`: what is between `//` and a port or path; `None`: there is nothing.
fn host_of(uri: &[u8]) -> Option<&[u8]> {
    let scheme = uri.iter().position(|c| *c == b':')?;
    let rest = uri[scheme + 1..].strip_prefix(b"//")?;
    let end = rest.iter().position(|c| *c == b':').or_else(|| rest.iter().position(|c| *c == b'/'));
    let host = &rest[..end.unwrap_or(rest.len())];
    (!host.is_empty()).then_some(host)
}

/// `nc_ip`: an address, and a network with its mask; `None`: of no length that addresses have.
fn is_in_network(address: &[u8], network: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) || !matches!(network.len(), 8 | 32) {
        return None;
    }
    if address.len() * 2 != network.len() {
        return Some(false);
    }
    let (network, mask) = network.split_at(address.len());
    let mut parts = address.iter().zip(network).zip(mask);
    Some(parts.all(|((address, network), mask)| address & mask == network & mask))
}

/// One relative name: its attributes with their values, in order.
type Relative = Vec<(ObjectIdentifier, Option<String>, Vec<u8>)>;

/// A name without what does not count: encoding, capitals, and spaces beyond single ones between words (`x509_name_canon`).
fn canonical(name: &Name) -> Result<Vec<Relative>, Violation> {
    let attribute = |attribute: &AttributeTypeAndValue| {
        let text = text(attribute)?;
        let raw = if text.is_some() { Vec::new() } else { attribute.value.value().to_vec() };
        let words = text.map(|text| {
            let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
            words.join(" ").to_ascii_lowercase()
        });
        Ok((attribute.oid, words, raw))
    };
    let relative = |attributes: &mut dyn Iterator<Item = &AttributeTypeAndValue>| {
        let mut relative = attributes.map(attribute).collect::<Result<Relative, Violation>>()?;
        relative.sort();
        Ok(relative)
    };
    name.iter_rdn().map(|attributes| relative(&mut attributes.iter())).collect()
}

/// C's `isspace`.
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// The text of an attribute; `None`: it is none.
fn text(attribute: &AttributeTypeAndValue) -> Result<Option<String>, Violation> {
    let bytes = attribute.value.value();
    let text = match attribute.value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::BmpString => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::TeletexString => {
            Some(bytes.iter().copied().map(char::from).collect())
        }
        _ => return Ok(None),
    };
    text.map(Some).ok_or_else(|| Violation::Syntax("a directory name".into()))
}
