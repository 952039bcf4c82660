"""Do bytes of the head return more as depth?"""
