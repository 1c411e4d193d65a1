//! ○ The URL of an endpoint, checked as it is parsed: a value that exists may be sent to as far as its form goes.

/// An `http` or `https` URL without userinfo or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl(url::Url);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointUrlError {
    #[error("is not a URL: {0}")]
    Malformed(#[from] url::ParseError),
    #[error("must begin with http:// or https://")]
    Scheme,
    #[error("must not carry a user name or password; use `auth`")]
    Userinfo,
    #[error("must not have a fragment (#…)")]
    Fragment,
    #[error("must be at most 2,048 characters")]
    TooLong,
    #[error("must not contain spaces, tabs, newlines or backslashes")]
    ForbiddenCharacter,
    #[error("must have a host of at most 253 characters, its labels 1 to 63 letters, digits, hyphens or underscores")]
    Host,
    #[error("must name its host: TLS to an IPv6 address is not supported")]
    TlsToIpv6,
}

/// The longest URL.
pub const BYTES_MAX: usize = 2_048;

impl EndpointUrl {
    /// The only way to get one. The URL that is checked is the URL that is sent to.
    pub fn parse(text: &str) -> Result<Self, EndpointUrlError> {
        if text.len() > BYTES_MAX {
            return Err(EndpointUrlError::TooLong);
        }
        // The URL standard strips or rewrites these silently; what is checked must be what was written.
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(EndpointUrlError::ForbiddenCharacter);
        }
        let url = url::Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(EndpointUrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointUrlError::Userinfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointUrlError::Fragment);
        }
        // The client library hands the brackets on to TLS, which takes them for a name.
        if url.scheme() == "https" && matches!(url.host(), Some(url::Host::Ipv6(_))) {
            return Err(EndpointUrlError::TlsToIpv6);
        }
        if url.domain().is_some_and(|name| !is_resolvable(name)) {
            return Err(EndpointUrlError::Host);
        }
        // It is stored as it is sent, its other characters as %XX, and read again.
        if url.as_str().len() > BYTES_MAX {
            return Err(EndpointUrlError::TooLong);
        }
        Ok(EndpointUrl(url))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    #[must_use]
    pub fn url(&self) -> &url::Url {
        &self.0
    }

    /// Roughly whose network the host is in: the last two labels of its name, or the address without its last part.
    /// Two hosts of different sites hardly ever fail together by themselves.
    #[must_use]
    pub fn site(&self) -> Box<str> {
        match self.0.host() {
            Some(url::Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let from = name.rmatch_indices('.').nth(1).map_or(0, |(dot, _)| dot + 1);
                name[from..].into()
            }
            Some(url::Host::Ipv4(address)) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}").into()
            }
            Some(url::Host::Ipv6(address)) => {
                let [a, b, c, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}").into()
            }
            None => Box::default(),
        }
    }
}

/// DNS has no longer names; the dot of the root may stand at the end. The URL standard lets characters pass (a brace, a
/// backtick) with which the client can send nothing.
fn is_resolvable(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_read_can_be_read_again_as_it_is_stored() {
        let of = |characters: usize| EndpointUrl::parse(&format!("http://example.test/{}", "é".repeat(characters)));
        let url = of(300).expect("1,820 characters as they are sent");
        assert_eq!(EndpointUrl::parse(url.as_str()), Ok(url));
        assert_eq!(of(1_000), Err(EndpointUrlError::TooLong), "each is %C3%A9");
    }

    #[test]
    fn hosts_of_one_name_or_one_network_are_one_site() {
        let site = |url: &str| EndpointUrl::parse(url).unwrap().site();
        assert_eq!(&*site("https://a.hooks.example.com/x"), "example.com");
        assert_eq!(&*site("https://EXAMPLE.com.:8443/"), "example.com");
        assert_eq!(&*site("http://localhost/"), "localhost");
        assert_eq!(&*site("http://10.1.2.3/"), "10.1.2");
        assert_eq!(&*site("http://[2001:db8:1:2::3]/"), "2001:db8:1");
    }
}
