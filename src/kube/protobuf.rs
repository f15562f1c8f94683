//! Objects in protobuf, decoded by the field table.
