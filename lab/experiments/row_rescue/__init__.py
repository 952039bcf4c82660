"""Does rescuing the most damaged vocabulary rows pay?"""
