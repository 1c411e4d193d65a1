//! ○ Finds tenant, department, type, id and time in a record.
