"""What a study can vary: optimizers, schedules, augmentations, initializations and architectures.

A part is one class that holds its settings and its behaviour. Settings that are not behaviour, such as
the number of epochs, belong to `study.configuration`.
"""
