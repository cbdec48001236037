"""Functions whose bits are equal on every machine, of Python floats and of float64 arrays alike.

`math.log1p` and `numpy.exp2` answer as the C library or the vector unit at hand does, and those differ in the
last bit. Here is nothing but additions, multiplications, divisions and exponents, which IEEE 754 fixes.
"""

import math
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SMALLEST_POWER = 1022.0
_LN2 = 0.693147180559945309417232121458
_EXP2 = [_LN2**k / math.factorial(k) for k in range(14, 0, -1)]
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_LOG1P = [
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
]


@overload
def exp2_minus(y: float) -> float: ...
@overload
def exp2_minus(y: Floats) -> Floats: ...
def exp2_minus(y: float | Floats) -> float | Floats:
    """2^-y for y >= 0, within 4e-16 of it relatively; 0 from y = 1022 on; NaN for NaN.

    >>> exp2_minus(0.0), exp2_minus(1.0), exp2_minus(0.5)
    (1.0, 0.5, 0.7071067811865475)
    """
    if isinstance(y, np.ndarray):
        usable = np.minimum(np.nan_to_num(y, nan=0.0), _SMALLEST_POWER)
        whole = np.floor(usable + 0.5)
        power: Floats = np.ldexp(_exp2_near_zero(whole - usable), -whole.astype(np.int32))
        power[y >= _SMALLEST_POWER] = 0.0
        power[np.isnan(y)] = np.nan
        return power
    if y >= _SMALLEST_POWER or math.isnan(y):
        return math.nan if math.isnan(y) else 0.0
    nearest = math.floor(y + 0.5)
    return math.ldexp(_exp2_near_zero(nearest - y), -nearest)


@overload
def log1p(x: float) -> float: ...
@overload
def log1p(x: Floats) -> Floats: ...
def log1p(x: float | Floats) -> float | Floats:
    """ln(1 + x) for x > -1, within an ulp; NaN for any other x, infinity too.

    The method of FDLIBM's s_log1p.c (Sun Microsystems, 1993).

    >>> log1p(0.0), log1p(1e-20), log1p(1.0)
    (0.0, 1e-20, 0.6931471805599453)
    """
    if not isinstance(x, np.ndarray):
        return float(log1p(np.array([x], np.float64))[0])
    fine = (x > -1) & (x < np.inf)
    usable = np.where(fine, x, 0.0)
    near = (usable > -0.29) & (usable < 0.41)  # within sqrt(1/2) - 1 and sqrt(2) - 1: 1 + x only loses digits
    one_more = np.where(near, 1.0, 1.0 + usable)
    lost = np.where(usable > 1, 1.0 - (one_more - usable), usable - (one_more - 1.0)) / one_more
    mantissa, exponent = np.frexp(one_more)
    low = mantissa < math.sqrt(0.5)
    power = np.where(near, 0.0, exponent - low)
    rest = np.where(near, usable, np.where(low, 2 * mantissa, mantissa) - 1.0)
    answer = _log_near_one(rest, power, np.where(near, 0.0, lost))
    answer[~fine] = np.nan
    return answer


def _exp2_near_zero(r: Any) -> Any:
    """2^r for |r| <= 1/2: the Taylor series, whose first term left out is below 1e-18."""
    found = _EXP2[0]
    for factor in _EXP2[1:]:
        found = found * r + factor
    return found * r + 1.0


def _log_near_one(f: Floats, power: Floats, lost: Floats) -> Floats:
    """ln(1 + f) + power × ln 2 + lost, for f from sqrt(1/2) - 1 to sqrt(2) - 1."""
    half_square = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    found: Any = _LOG1P[0]
    for factor in _LOG1P[1:]:
        found = found * z + factor
    corrected = s * (half_square + z * found) + (power * _LN2_LOW + lost)
    answer: Floats = power * _LN2_HIGH - ((half_square - corrected) - f)
    return answer
