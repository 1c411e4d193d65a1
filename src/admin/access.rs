//! ● Authorization: the caller, and what the caller may do.
//!
//! **Invariant:** every handler says in its first argument who may call it; the table of routes takes no other. So a
//! handler without a decision does not compile.

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, http::StatusCode};

use super::problem::Problem;
use crate::{api::api_key::KeyRole, fair_share::shares::Holder};

/// The caller of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `key_…`, or [`CONFIGURED`].
    pub key_id: String,
    pub role: Role,
}

/// The role of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads everything, writes nothing.
    Operator,
    /// A customer's key: whatever belongs to others does not exist for it.
    Customer(OwnCustomer),
}

impl Role {
    /// The role as the API names it.
    #[must_use]
    pub fn key_role(&self) -> KeyRole {
        match self {
            Role::Admin => KeyRole::Admin,
            Role::Operator => KeyRole::Operator,
            Role::Customer(_) => KeyRole::Customer,
        }
    }
}

/// The customer that a key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCustomer {
    pub id: String,
    /// The caller's own key for it.
    pub uid: Option<String>,
}

/// The id of the key of the configuration.
pub const CONFIGURED: &str = "configured";

/// A name that no customer has: under it there is nothing, as under any other name that is not there.
const NOBODY: &str = "";

impl Access {
    /// The customer under which to look: the one that was named, or the key's own. A customer's key that names another
    /// one finds what anybody finds under a name that does not exist.
    #[must_use]
    pub fn scoped_customer<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        match (&self.role, named) {
            (Role::Admin | Role::Operator, named) => named,
            (Role::Customer(own), None) => Some(&own.id),
            (Role::Customer(own), Some(name)) if name == own.id || Some(name) == own.uid.as_deref() => Some(&own.id),
            (Role::Customer(_), Some(_)) => Some(NOBODY),
        }
    }

    /// The holder of what this key takes: keys of one customer share.
    #[must_use]
    pub fn holder(&self) -> Holder {
        self.customer().unwrap_or(&self.key_id).into()
    }

    /// The id of the customer that this key is bound to.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        match &self.role {
            Role::Admin | Role::Operator => None,
            Role::Customer(own) => Some(&own.id),
        }
    }

    /// True if something of this customer may be seen.
    #[must_use]
    pub fn sees(&self, customer_id: &str) -> bool {
        self.customer().is_none_or(|own| own == customer_id)
    }
}

/// The role that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Admins.
    Administer,
    /// Admins and operators: what belongs to no customer, or to all.
    Watch,
    /// Everyone; customers see what is theirs.
    Read,
    /// Admins, and customers what is theirs.
    Write,
}

impl Needs {
    #[must_use]
    pub fn admits(self, role: &Role) -> bool {
        match role {
            Role::Admin => true,
            Role::Operator => matches!(self, Needs::Watch | Needs::Read),
            Role::Customer(_) => self.admits_customers(),
        }
    }

    #[must_use]
    pub fn admits_customers(self) -> bool {
        matches!(self, Needs::Read | Needs::Write)
    }
}

/// An argument of a handler by which the operation says who may call it.
pub trait Permit: FromRequest + 'static {
    const NEEDS: Needs;
}

/// The arguments of a handler whose first one is a [`Permit`].
pub trait AuthorizedHandler {
    const NEEDS: Needs;
}

macro_rules! permit {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Access);

        impl Permit for $name {
            const NEEDS: Needs = Needs::$name;
        }

        impl Deref for $name {
            type Target = Access;

            fn deref(&self) -> &Access {
                &self.0
            }
        }

        impl FromRequest for $name {
            type Error = Problem;
            type Future = Ready<Result<Self, Problem>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready(permitted(request, Needs::$name).map($name))
            }
        }
    };
}

permit! {
    /// See [`Needs::Administer`].
    Administer
}
permit! {
    /// See [`Needs::Watch`].
    Watch
}
permit! {
    /// See [`Needs::Read`].
    Read
}
permit! {
    /// See [`Needs::Write`].
    Write
}

macro_rules! decided {
    ($($argument:ident)*) => {
        impl<P: Permit, $($argument),*> AuthorizedHandler for (P, $($argument,)*) {
            const NEEDS: Needs = P::NEEDS;
        }
    };
}

decided!();
decided!(A);
decided!(A B);
decided!(A B C);
decided!(A B C D);
decided!(A B C D E);

/// Marks a path that has something for customers: then a method that is not theirs is 403, and else 404.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownToCustomers(pub bool);

fn permitted(request: &HttpRequest, needs: Needs) -> Result<Access, Problem> {
    let access = request.extensions().get::<Access>().cloned();
    let Some(access) = access else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "missing_key", "send a key"));
    };
    request.extensions_mut().insert(needs);
    if needs.admits(&access.role) {
        return Ok(access);
    }
    let shown = request.app_data::<ShownToCustomers>().is_none_or(|shown| shown.0);
    if access.customer().is_some() && !shown {
        return Err(Problem::not_found("path"));
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "this key may not do that"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_customer() -> Access {
        let own = OwnCustomer { id: "cus_1".to_owned(), uid: Some("acme".to_owned()) };
        Access { key_id: "key_1".to_owned(), role: Role::Customer(own) }
    }

    #[test]
    fn a_customers_key_looks_under_its_own_customer_whatever_it_names() {
        let access = of_customer();
        for own in [None, Some("cus_1"), Some("acme")] {
            assert_eq!(access.scoped_customer(own), Some("cus_1"));
        }
        for foreign in ["cus_2", "other", "", "ACME"] {
            assert_eq!(access.scoped_customer(Some(foreign)), Some(NOBODY), "{foreign}");
        }
        assert!(access.sees("cus_1") && !access.sees("cus_2") && !access.sees(""));
    }

    #[test]
    fn other_keys_look_where_they_say() {
        let access = Access { key_id: "key_1".to_owned(), role: Role::Operator };
        assert_eq!((access.scoped_customer(None), access.scoped_customer(Some("cus_2"))), (None, Some("cus_2")));
        assert!(access.sees("cus_1"));
    }

    #[test]
    fn an_operator_writes_nothing_and_a_customer_sees_nothing_of_the_service() {
        let customer = of_customer().role;
        let table = [
            (Needs::Administer, [true, false, false]),
            (Needs::Watch, [true, true, false]),
            (Needs::Read, [true, true, true]),
            (Needs::Write, [true, false, true]),
        ];
        for (needs, expected) in table {
            let admits = [&Role::Admin, &Role::Operator, &customer].map(|role| needs.admits(role));
            assert_eq!(admits, expected, "{needs:?}");
        }
    }
}
