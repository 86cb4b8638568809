"""Proofs that read the OCI layout alone; one file a check, no engine."""
