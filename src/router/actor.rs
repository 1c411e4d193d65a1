//! ● One router actor per core.
