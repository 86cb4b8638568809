"""What a person asks for: recipe files, decoded into types. Reads no network and no engine."""
