//! Destinations of a customer's URL, by the attacks that are known.

use super::*;

fn egress(allow: &[&str], deny: &[&str]) -> Egress {
    let rules = |texts: &[&str]| EgressRules(texts.iter().map(|text| Rule::parse(text).expect(text)).collect());
    let ports = ["3306", "5432", "6379", "9092", "6660-6669"];
    Egress {
        allow: rules(allow),
        deny: rules(deny),
        ports_denied: ports.iter().map(|text| Ports::parse(text).expect(text)).collect(),
        https_only: false,
        own_api: SocketAddr::from(([0, 0, 0, 0], 8080)),
        own_receiver: None,
    }
}

fn check(egress: &Egress, url: &str) -> Result<(), String> {
    let url = EndpointUrl::parse(url).map_err(|error| error.to_string())?;
    egress.check_url(&url).map_err(|refusal| refusal.to_string())
}

#[track_caller]
fn refused(egress: &Egress, urls: &[&str]) {
    for url in urls {
        assert!(check(egress, url).is_err(), "{url} is not refused");
    }
}

#[track_caller]
fn allowed(egress: &Egress, urls: &[&str]) {
    for url in urls {
        assert_eq!(check(egress, url), Ok(()), "{url}");
    }
}

fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect(ip), port)
}

#[test]
fn loopback_is_refused_however_it_is_written() {
    let urls = [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://LocalHost./",
        "http://a.b.localhost:8000/",
        "http://0.0.0.0/",
        "http://0/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://127.255.255.254/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://%31%32%37.0.0.1/",
        "http://１２７.0.0.1/",
        "http://127。0。0。1/",
        "http://ⓛocalhost/",
        "http://[::1]/",
        "http://[::]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:0:127.0.0.1]/",
    ];
    refused(&egress(&[], &[]), &urls);
}

#[test]
fn metadata_services_are_refused_even_where_private_networks_are_allowed() {
    let urls = [
        "http://169.254.169.254/latest/meta-data/",
        "http://169.254.170.2/",
        "http://2852039166/",
        "http://[fd00:ec2::254]/",
        "http://[fd00:ec2::23]/",
        "http://[fd20:ce::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://192.0.0.192/",
        "http://metadata.google.internal/",
        "http://METADATA.google.internal./computeMetadata/v1/",
        "http://metadata/",
        "http://instance-data/",
    ];
    let all = ["0.0.0.0/0", "::/0", "metadata.google.internal", "*.internal", "metadata"];
    for egress in [egress(&[], &[]), egress(&all, &[])] {
        refused(&egress, &urls);
        let answer = egress.check_addresses("innocent.example", &[at("169.254.169.254", 80)]);
        assert_eq!(answer, Err(Refusal::Denied(Ipv4Addr::new(169, 254, 169, 254).into())));
    }
}

#[test]
fn an_ipv4_address_hidden_in_an_ipv6_one_is_found() {
    let urls = [
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::a00:1]/",
        "http://[64:ff9b:1::a00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2002:c0a8:101::1]/",
        // Teredo: the server's address, and the client's with its bits inverted (10.0.0.1).
        "http://[2001:0:a00:1::f5ff:fffe]/",
        "http://[2001:0:808:808:0:0:f5ff:fffe]/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fec0::1]/",
    ];
    refused(&egress(&[], &[]), &urls);
    // Behind DNS64 this is how a public IPv4 address looks.
    allowed(&egress(&[], &[]), &["http://[64:ff9b::808:808]/"]);
    // Allowing the tunnel does not allow what is behind it.
    refused(
        &egress(&["2002::/16", "2001::/23"], &[]),
        &["http://[2002:7f00:1::]/", "http://[2001:0:a00:1::f5ff:fffe]/"],
    );
}

#[test]
fn addresses_that_are_not_public_are_refused() {
    let ips = [
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "0.1.2.3",
        "fc00::1",
        "fdff::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "5f00::1",
        "::2",
        "2001:20::1",
    ];
    for ip in ips {
        let answer = egress(&[], &[]).check_addresses("host.example", &[at(ip, 443)]);
        assert!(answer.is_err(), "{ip} is not refused");
    }
    let public = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "100.63.255.255",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00::1",
        "2003::1",
    ];
    for ip in public {
        assert_eq!(egress(&[], &[]).check_addresses("host.example", &[at(ip, 443)]), Ok(()), "{ip}");
    }
}

#[test]
fn one_private_address_among_public_ones_refuses_the_answer() {
    let mixed = [at("1.1.1.1", 443), at("10.0.0.1", 443), at("2606:4700::1111", 443)];
    let answer = egress(&[], &[]).check_addresses("host.example", &mixed);
    assert_eq!(answer, Err(Refusal::NotPublic(Ipv4Addr::new(10, 0, 0, 1).into())));
    assert_eq!(egress(&["10.0.0.0/8"], &[]).check_addresses("host.example", &mixed), Ok(()));
}

#[test]
fn an_operator_allows_networks_and_names_and_a_denial_goes_before() {
    let loopback = egress(&["127.0.0.0/8", "::1"], &[]);
    allowed(&loopback, &["http://127.0.0.1:9000/", "http://localhost:9000/", "http://[::1]:9000/"]);
    allowed(&loopback, &["http://[::ffff:127.0.0.1]:9000/"]);
    refused(&loopback, &["http://10.0.0.1/"]);

    let named = egress(&["Hooks.Example.", "*.corp.example"], &[]);
    for host in ["hooks.example", "HOOKS.example.", "a.b.corp.example"] {
        assert_eq!(named.check_addresses(host, &[at("10.0.0.1", 443)]), Ok(()), "{host}");
    }
    for host in ["corp.example", "xhooks.example", "hooks.example.evil.example", "evilcorp.example"] {
        assert!(named.check_addresses(host, &[at("10.0.0.1", 443)]).is_err(), "{host}");
    }

    let denied =
        egress(&["10.0.0.0/8", "hooks.example"], &["10.1.0.0/16", "hooks.example", "8.8.8.8", "*.bad.example"]);
    refused(&denied, &["http://10.1.2.3/", "http://hooks.example/", "http://8.8.8.8/", "http://x.bad.example/"]);
    allowed(&denied, &["http://10.2.0.1/", "http://bad.example/"]);
    assert!(denied.check_addresses("x.bad.example", &[at("1.1.1.1", 80)]).is_err());
    assert!(denied.check_addresses("other.example", &[at("8.8.8.8", 80)]).is_err());
}

#[test]
fn ports_of_other_services_are_refused_on_write_and_on_connect() {
    let egress = egress(&[], &[]);
    for port in [0, 1, 22, 25, 79, 81, 442, 444, 1023, 3306, 5432, 6379, 9092, 6660, 6665, 6669] {
        assert_eq!(check(&egress, &format!("http://example.com:{port}/")), Err(Refusal::Port(port).to_string()));
        assert_eq!(egress.check_addresses("example.com", &[at("1.1.1.1", port)]), Err(Refusal::Port(port)));
    }
    allowed(&egress, &["http://example.com/", "https://example.com/", "http://example.com:443/"]);
    allowed(&egress, &["https://example.com:1024/", "http://example.com:6670/", "http://example.com:65535/"]);
}

#[test]
fn our_own_api_is_no_endpoint() {
    let loopback = egress(&["127.0.0.0/8", "::1"], &[]);
    refused(
        &loopback,
        &["http://127.0.0.1:8080/", "http://127.9.9.9:8080/", "http://[::1]:8080/", "http://localhost:8080/"],
    );
    // Somebody else's service at the same port.
    allowed(&loopback, &["http://example.com:8080/", "http://1.1.1.1:8080/"]);
    let bound = Egress { own_api: at("198.20.0.7", 9000), ..egress(&[], &[]) };
    refused(&bound, &["http://198.20.0.7:9000/", "http://[::ffff:198.20.0.7]:9000/"]);
    allowed(&bound, &["http://198.20.0.7:9001/"]);
    // Only the connection itself shows that an address is this machine's.
    assert!(loopback.is_own_api(at("198.20.0.7", 40_000), at("198.20.0.7", 8080)));
    assert!(!loopback.is_own_api(at("198.20.0.7", 40_000), at("1.1.1.1", 8080)));
    assert!(!loopback.is_own_api(at("198.20.0.7", 40_000), at("198.20.0.7", 8081)));
}

#[test]
fn what_is_no_plain_http_url_is_refused() {
    let long_label = format!("http://{}.example/", "a".repeat(64));
    let long = format!("http://{}example/", "abcdefghi.".repeat(30));
    let urls = [
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "http+unix://socket/",
        "javascript:alert(1)",
        "https://user:pass@example.com/",
        "https://user@example.com/",
        "https://good.example@evil.example/",
        "https://good.example\\@evil.example/",
        "https://good.example\t.evil.example/",
        "https://good.example/\n",
        "http:///",
        "http://a b/",
        "http://256.1.1.1/",
        "http://1.2.3.4.5/",
        "http://0x100000000/",
        "http://a..b/",
        "http://}`.example/",
        "https://[2606:4700::1111]/",
        long_label.as_str(),
        long.as_str(),
    ];
    refused(&egress(&["0.0.0.0/0"], &[]), &urls);
    allowed(&egress(&[], &[]), &["http://[2606:4700::1111]/", "https://1.1.1.1/"]);
    allowed(
        &egress(&[], &[]),
        &["https://BÜCHER.example./hook?a=b", "https://xn--bcher-kva.example/", "https://my_hook-1.example/"],
    );
}

#[test]
fn plain_http_is_refused_where_https_is_a_must() {
    let egress = Egress { https_only: true, ..egress(&[], &[]) };
    refused(&egress, &["http://example.com/", "HTTP://example.com:443/"]);
    allowed(&egress, &["https://example.com/"]);
}

#[test]
fn a_rule_that_could_not_hold_is_refused() {
    for rule in
        ["", "10.0.0.0/33", "10.0.0/8", "a b", "http://a/", "a/8", "*.10.0.0.1", "*", "::ffff:10.0.0.0/104", "*."]
    {
        assert!(Rule::parse(rule).is_err(), "{rule:?}");
    }
    assert_eq!(Rule::parse("10.1.2.3/8"), Rule::parse("10.0.0.0/8"));
    assert_eq!(Rule::parse("127.1"), Rule::parse("127.0.0.1/32"));
    assert_eq!(Rule::parse("BÜCHER.example"), Ok(Rule::Name("xn--bcher-kva.example".to_owned())));
    for ports in ["", "-", "70000", "5-", "9-5", "http", "-5"] {
        assert!(Ports::parse(ports).is_err(), "{ports:?}");
    }
}

#[test]
fn the_canarys_receiver_is_the_one_place_on_the_loopback_that_is_allowed() {
    let own: SocketAddr = "127.0.0.1:40000".parse().unwrap();
    let with_own = Egress { https_only: true, ..egress(&[], &[]) }.with_own_receiver(Some(own));
    let url = |text: &str| with_own.check_url(&EndpointUrl::parse(text).unwrap());
    assert_eq!(url("http://127.0.0.1:40000/path"), Ok(()));
    assert!(url("http://127.0.0.1:40001/path").is_err() && url("http://127.0.0.2:40000/path").is_err());
    assert_eq!(with_own.check_addresses("127.0.0.1", &[own]), Ok(()));
    let beside: SocketAddr = "10.0.0.1:40000".parse().unwrap();
    assert!(with_own.check_addresses("rebound.example", &[own, beside]).is_err());
    assert!(egress(&[], &[]).check_addresses("127.0.0.1", &[own]).is_err());
}
