"""Is a narrow head a bottleneck for the gradient?"""
