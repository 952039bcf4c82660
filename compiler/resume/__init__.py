"""What a compile leaves in a work folder, so that a killed one goes on where it was."""
