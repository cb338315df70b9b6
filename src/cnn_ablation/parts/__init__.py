"""Parts, which a study can vary: from optimizers and schedules to architectures.

A part is one class that holds its settings and its behaviour. Settings without behaviour, such as the
number of epochs, belong to `study.configuration`.
"""
