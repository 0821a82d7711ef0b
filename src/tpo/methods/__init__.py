"""Methods: what a test-time method may do (Attempt), the shipped methods, stopping rules and selection."""
