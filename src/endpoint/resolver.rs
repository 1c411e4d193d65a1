//! ● Names → addresses.
