//! YAML files that people write: read with positions, so that every mistake is told with file, line and field.
