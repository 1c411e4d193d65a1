//! ● The thin shell around the machine.
