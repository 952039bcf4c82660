"""From quantized tensors to an artifact of the size that was asked for."""
