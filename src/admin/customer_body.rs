//! ○ A customer, from the body that writes it to a row, and from the row to what is answered.

use crate::{
    api::customer::{CustomerBody, CustomerView},
    store::{
        customers::{Customer, CustomerWrite},
        quotas::OwnQuotas,
    },
};

/// The customer as it will be.
#[must_use]
pub fn write(body: CustomerBody) -> CustomerWrite {
    CustomerWrite { name: body.name, grants: body.grants, quotas: body.quotas.map(OwnQuotas) }
}

/// The customer as it is answered.
#[must_use]
pub fn view(customer: &Customer) -> CustomerView {
    let Customer { id, uid, name, grants, quotas, stamps } = customer.clone();
    CustomerView { id, uid, name, grants, quotas: quotas.0, stamps }
}

/// The body that would write the customer as it is: PATCH merges into it.
#[must_use]
pub fn as_body(customer: &Customer) -> CustomerBody {
    let Customer { uid, name, grants, quotas, .. } = customer.clone();
    CustomerBody { uid, name, grants, quotas: Some(quotas.0) }
}
