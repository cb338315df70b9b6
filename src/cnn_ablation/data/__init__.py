"""Image data: finding, reading, checking and splitting it.

Code that turns files into arrays of images and labels belongs here. Training on the arrays does not.
"""
