//! ○ A Kafka record in one allocation.
