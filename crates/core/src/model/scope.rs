//! ○ The part of a topic that a subscription covers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The part of a topic that an endpoint gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "level", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// Every event of the topic, those without a tenant included.
    Topic,
    /// The events of these tenants, whatever their department.
    Tenants { tenants: BTreeSet<String> },
    /// The events of these departments of these tenants.
    Departments { departments: BTreeMap<String, BTreeSet<String>> },
}

impl Scope {
    /// The tenants or departments that it names: what it costs in memory. The whole topic is one.
    #[must_use]
    pub fn entries(&self) -> usize {
        match self {
            Scope::Topic => 1,
            Scope::Tenants { tenants } => tenants.len(),
            Scope::Departments { departments } => departments.values().map(BTreeSet::len).sum(),
        }
    }

    /// True if an event with this tenant and department is within the scope. The index gives the same answer for all
    /// subscriptions at once; this is for one of them, when what waited is matched again.
    #[must_use]
    pub fn covers(&self, tenant: Option<&str>, department: Option<&str>) -> bool {
        match self {
            Scope::Topic => true,
            Scope::Tenants { tenants } => tenant.is_some_and(|tenant| tenants.contains(tenant)),
            Scope::Departments { departments } => tenant
                .and_then(|tenant| departments.get(tenant))
                .is_some_and(|of_tenant| department.is_some_and(|department| of_tenant.contains(department))),
        }
    }
}
