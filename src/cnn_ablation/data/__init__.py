"""Image data: finding, reading, checking and splitting it.

Everything that turns files into arrays of images and labels belongs here. What a network does with the
arrays does not.
"""
