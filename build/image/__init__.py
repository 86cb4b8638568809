"""Plan to image: runs BuildKit, reads the OCI layout it leaves."""
