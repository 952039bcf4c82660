"""Does a codebook head beat a grid?"""
