"""Float matrices to integers and steps: GPTQ with rate-optimal steps, trellis search, sequential
quantization, distillation.
"""
