//! ○ Topics and tenants that a customer may subscribe to. Checked when a subscription is written, and again whenever it
//! is loaded: access taken away is gone, though the subscription still stands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::scope::Scope;

/// The topics and tenants that a customer may see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    pub topics: Granted,
    pub tenants: Granted,
}

/// `["*"]` is everything; `[]` is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeSet<String>", into = "BTreeSet<String>")]
pub enum Granted {
    All,
    These(BTreeSet<String>),
}

/// A part of a subscription that goes beyond its customer's grants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeyondGrants {
    #[error("topic `{0}` is not granted to this customer")]
    Topic(String),
    #[error("the whole topic needs the grant of all tenants (\"*\")")]
    WholeTopic,
    #[error("tenant `{0}` is not granted to this customer")]
    Tenant(String),
}

impl Grants {
    /// Everything that `scope` of `topic` asks for and these grants do not give. Empty: allowed.
    #[must_use]
    pub fn beyond(&self, topic: &str, scope: &Scope) -> Vec<BeyondGrants> {
        let mut beyond = Vec::new();
        if !self.topics.has(topic) {
            beyond.push(BeyondGrants::Topic(topic.to_owned()));
        }
        let missing = |tenant: &&String| !self.tenants.has(tenant);
        let tenant = |tenant: &String| BeyondGrants::Tenant(tenant.clone());
        match scope {
            Scope::Topic if self.tenants != Granted::All => beyond.push(BeyondGrants::WholeTopic),
            Scope::Topic => {}
            Scope::Tenants { tenants } => beyond.extend(tenants.iter().filter(missing).map(tenant)),
            Scope::Departments { departments } => beyond.extend(departments.keys().filter(missing).map(tenant)),
        }
        beyond
    }

    /// True if an event of this tenant is given by what names the tenant; `None` asks for what names the whole topic.
    #[must_use]
    pub fn give(&self, topic: &str, tenant: Option<&str>) -> bool {
        self.topics.has(topic) && tenant.map_or(self.tenants == Granted::All, |tenant| self.tenants.has(tenant))
    }

    /// True if anything of this topic may be seen.
    #[must_use]
    pub fn give_some_of(&self, topic: &str) -> bool {
        self.topics.has(topic) && self.tenants != Granted::default()
    }

    /// The part of a subscription that these grants allow; `None` when nothing is left.
    #[must_use]
    pub fn narrow(&self, topic: &str, scope: Scope) -> Option<Scope> {
        if !self.topics.has(topic) {
            return None;
        }
        if self.tenants == Granted::All {
            return Some(scope);
        }
        match scope {
            Scope::Topic => None,
            Scope::Tenants { mut tenants } => {
                tenants.retain(|tenant| self.tenants.has(tenant));
                (!tenants.is_empty()).then_some(Scope::Tenants { tenants })
            }
            Scope::Departments { mut departments } => {
                departments.retain(|tenant, _| self.tenants.has(tenant));
                (!departments.is_empty()).then_some(Scope::Departments { departments })
            }
        }
    }
}

impl Granted {
    /// `None` is every name.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&str>> {
        match self {
            Granted::All => None,
            Granted::These(names) => Some(names.iter().map(String::as_str).collect()),
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Granted::All => true,
            Granted::These(names) => names.contains(name),
        }
    }
}

impl Default for Granted {
    fn default() -> Self {
        Granted::These(BTreeSet::new())
    }
}

impl From<BTreeSet<String>> for Granted {
    fn from(names: BTreeSet<String>) -> Self {
        if names.contains("*") { Granted::All } else { Granted::These(names) }
    }
}

impl From<Granted> for BTreeSet<String> {
    fn from(granted: Granted) -> Self {
        match granted {
            Granted::All => BTreeSet::from(["*".to_owned()]),
            Granted::These(names) => names,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(topics: &[&str], tenants: &[&str]) -> Grants {
        Grants { topics: names(topics).into(), tenants: names(tenants).into() }
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn tenants(tenants: &[&str]) -> Scope {
        Scope::Tenants { tenants: names(tenants) }
    }

    #[test]
    fn everything_beyond_the_grants_is_named() {
        let beyond = grants(&["orders"], &["2"]).beyond("bills", &tenants(&["1", "2", "3"]));
        let expected =
            [BeyondGrants::Topic("bills".into()), BeyondGrants::Tenant("1".into()), BeyondGrants::Tenant("3".into())];
        assert_eq!(beyond, expected);
    }

    #[test]
    fn a_whole_topic_needs_all_tenants() {
        assert_eq!(grants(&["*"], &["2"]).beyond("orders", &Scope::Topic), [BeyondGrants::WholeTopic]);
        assert_eq!(grants(&["*"], &["*"]).beyond("orders", &Scope::Topic), []);
    }

    #[test]
    fn a_tenant_named_star_in_a_scope_is_a_name_not_a_pattern() {
        assert_eq!(grants(&["*"], &["2"]).beyond("orders", &tenants(&["*"])), [BeyondGrants::Tenant("*".into())]);
    }

    #[test]
    fn what_is_no_longer_granted_is_left_out() {
        let some = grants(&["orders"], &["2"]);
        assert_eq!(some.narrow("orders", tenants(&["1", "2"])), Some(tenants(&["2"])));
        assert_eq!(some.narrow("orders", tenants(&["1"])), None);
        assert_eq!(some.narrow("bills", tenants(&["2"])), None);
        assert_eq!(some.narrow("orders", Scope::Topic), None);
    }
}
