//! ● The binary: see [`postrider::command`].

fn main() {}
