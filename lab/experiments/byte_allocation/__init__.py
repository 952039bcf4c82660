"""Does protecting the strongest columns pay?"""
