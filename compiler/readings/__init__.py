"""What text tells of a checkpoint that its tensors do not: whether it was read as the model that it is, and what it is
where nothing else says it.
"""
