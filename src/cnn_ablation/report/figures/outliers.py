"""Results so far from the others that an axis with all of them would hide the others' differences."""

import pandas as pd


def within_fences(accuracies: pd.Series) -> pd.Series:
    """Whether each accuracy, percent, lies within the outer fences of a box plot (Tukey, 1977).

    The fences are at least three points from the quartiles. A result outside of them is, for example,
    that of a training that learned nothing.
    """
    lower, upper = accuracies.quantile(0.25), accuracies.quantile(0.75)
    fence = 3 * max(upper - lower, 1.0)
    inside: pd.Series = accuracies.between(lower - fence, upper + fence)
    return inside
