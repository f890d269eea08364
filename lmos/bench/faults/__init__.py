"""What must not hurt: killed and frozen servers, bad links, hostile bytes, long runs; each counts what went wrong."""
