"""Whether a ranking tells anything, or labels that mean nothing would be ranked as well. Pure.

If labels mean nothing, ROC AUC has the mean 1/2 and the variance (P + N + 1) / 12PN, and is nearly normal
(Mann and Whitney, 1947), however events cluster: what is shuffled is the labels.
"""

import math

SIGMAS = 4.0
"""Labels that mean nothing get so far above a half once in 30,000 times."""


def standard_error(positives: int, negatives: int) -> float:
    """Of ROC AUC under labels that mean nothing; infinite without both kinds.

    >>> round(standard_error(30, 3000), 4)
    0.053
    """
    if not positives or not negatives:
        return math.inf
    return math.sqrt((positives + negatives + 1) / (12 * positives * negatives))


def least_auc(positives: int, negatives: int) -> float:
    """What ROC AUC must be above to be no chance."""
    return 0.5 + SIGMAS * standard_error(positives, negatives)
