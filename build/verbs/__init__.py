"""What a person can ask for: each module adds its verbs to the command line and calls one station for each."""
