//! The network of a run: a subnet of its own, so that runs can be played beside each other.

use std::{collections::HashMap, net::Ipv4Addr};

use testcontainers::bollard::{
    Docker,
    models::{Ipam, IpamConfig, NetworkCreateRequest},
};

use super::Trouble;

/// Subnets are taken out of this range, which is set aside for test networks (RFC 2544) and routed nowhere, so that it
/// meets neither Docker's own networks nor those of an office.
const POOL: &str = "198.18.0.0/15";

/// How many networks of 256 addresses that is.
const SUBNETS: u32 = 512;

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
}

impl Subnet {
    /// The `n`th of the pool.
    const fn nth(n: u32) -> Self {
        Self { base: (198 << 24 | 18 << 16) + (n % SUBNETS) * 256 }
    }

    /// The address with this last number. 1 is the lab's own machine.
    #[must_use]
    pub const fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base + last as u32)
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/24", Ipv4Addr::from_bits(self.base))
    }
}

/// Makes a network on a free subnet; `from` is where the search begins, so that runs which start together do not meet at
/// every step.
///
/// # Errors
/// When no subnet is free, or the daemon refuses for another reason.
pub async fn create_network(
    docker: &Docker,
    name: &str,
    labels: &HashMap<String, String>,
    from: u32,
) -> Result<Subnet, Trouble> {
    let mut last = String::new();
    for n in 0..SUBNETS {
        let subnet = Subnet::nth(from.wrapping_add(n));
        let config = IpamConfig {
            subnet: Some(subnet.to_string()),
            gateway: Some(subnet.address(1).to_string()),
            ..IpamConfig::default()
        };
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
            labels: Some(labels.clone()),
            ..NetworkCreateRequest::default()
        };
        match docker.create_network(request).await {
            Ok(_) => return Ok(subnet),
            Err(error) => {
                let why = error.to_string();
                if !why.to_lowercase().contains("overlap") {
                    return Err(Trouble::of(&format!("making the network {name}"), &error));
                }
                last = why;
            }
        }
    }
    Err(Trouble::NoSubnet { pool: POOL.to_owned(), why: last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_stay_inside_the_pool() {
        assert_eq!(Subnet::nth(0).to_string(), "198.18.0.0/24");
        assert_eq!(Subnet::nth(511).to_string(), "198.19.255.0/24");
        assert_eq!(Subnet::nth(512), Subnet::nth(0));
        assert_eq!(Subnet::nth(256).address(11).to_string(), "198.19.0.11");
    }
}
