"""What a packed submission's one script is made of.

Strategy: every module here is ordinary source, tested where it stands, that uses nothing but the standard library,
numpy and torch (and numba where it can be imported), and imports nothing of ours but its neighbours. The packer takes
those that an artifact needs, joins them without their imports of each other, and minifies the result; so their names
are unique across the folder. They trust the artifact that they travel with: checksums and the digest are compared,
the rules of spec/ that refuse a stranger's bytes are the business of `format/`.
"""
