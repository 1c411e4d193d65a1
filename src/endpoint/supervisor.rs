//! ● Starts, rebuilds and retires endpoint actors.
