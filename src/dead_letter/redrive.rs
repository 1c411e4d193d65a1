//! ● Dead letters on their way to the endpoint once more.
