"""What one does with a trained run beside judging it."""
