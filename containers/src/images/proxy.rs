//! The proxies that this machine's environment names, for everything that fetches something: tools that run here, and builds
//! that use the network. Images are pulled by the Docker daemon, which has settings of its own for that.

/// Names in both spellings; `apt` knows the small one only, others the great one.
const NAMES: [(&str, &str); 4] = [
    ("http_proxy", "HTTP_PROXY"),
    ("https_proxy", "HTTPS_PROXY"),
    ("ftp_proxy", "FTP_PROXY"),
    ("no_proxy", "NO_PROXY"),
];

/// What the environment names, each in both spellings.
pub(super) fn of_the_environment() -> Vec<(String, String)> {
    in_both_spellings(|name| std::env::var(name).ok())
}

/// Where both spellings are there, each keeps what it has.
fn in_both_spellings(variable: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let mut proxies = vec![];
    for (small, great) in NAMES {
        let (of_small, of_great) = (variable(small), variable(great));
        for (name, own, other) in [(small, &of_small, &of_great), (great, &of_great, &of_small)] {
            proxies.extend(own.as_ref().or(other.as_ref()).map(|value| (name.to_owned(), value.clone())));
        }
    }
    proxies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(environment: &[(&str, &str)]) -> Vec<(String, String)> {
        in_both_spellings(|name| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_proxy_is_given_in_both_spellings_and_none_where_there_is_none() {
        let both = [pair("https_proxy", "http://p:3128"), pair("HTTPS_PROXY", "http://p:3128")];
        assert_eq!(found(&[("HTTPS_PROXY", "http://p:3128")]), both);
        assert_eq!(found(&[("https_proxy", "http://p:3128"), ("http_proxy", "")]), both);
        assert_eq!(found(&[("PATH", "/bin")]), []);
    }

    #[test]
    fn spellings_that_differ_keep_what_they_have() {
        let named = found(&[("no_proxy", "a"), ("NO_PROXY", "b")]);
        assert_eq!(named, [pair("no_proxy", "a"), pair("NO_PROXY", "b")]);
    }
}
