"""Two rates on the same items."""

from __future__ import annotations

import math

from lathe.stats.quantiles import Bounds, beta_cdf, critical, normal_quantile, root


def mcnemar(wins: float, losses: float) -> float:
    """Exact two-sided p-value that two arms are right equally often, from the items where only one of them is.

    McNemar (1947) with the binomial distribution instead of chi-squared: 2 P(X >= max(wins, losses)), at most 1.
    """
    most, both = max(wins, losses), wins + losses
    return min(1.0, 2 * beta_cdf(0.5, most, both - most + 1)) if both else 1.0


def tango(wins: float, losses: float, n: float, confidence: float) -> Bounds:
    """Score interval of the difference of two rates measured on the same n items.

    wins: items that only the first arm got right; losses: only the second. The bounds are the differences that a score test
    would just not reject, with the nuisance rate at its restricted maximum likelihood estimate.
    Tango (1998), Statistics in Medicine 17:891; among the recommended of Fagerland, Lydersen and Laake (2014), 33:2850.
    """
    z = critical(confidence)

    def score(difference: float) -> float:
        """The score statistic at a hypothetical difference; falls as the difference rises."""
        linear = -wins - losses + (2 * n - wins + losses) * difference
        constant = -losses * difference * (1 - difference)
        only_second = (math.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
        variance = n * (2 * only_second + difference * (1 - difference))
        gap = wins - losses - n * difference
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

    estimate = (wins - losses) / n
    low = root(lambda d: z - score(d), -1.0, estimate) if estimate > -1 else -1.0
    high = root(lambda d: -z - score(d), estimate, 1.0) if estimate < 1 else 1.0
    return Bounds(low, high)


def careful(wins: float, losses: float, n: float, confidence: float) -> Bounds:
    """For judging: Tango's interval, reaching to zero where exact McNemar sees no difference at the same confidence."""
    low, high = tango(wins, losses, n, confidence)
    if mcnemar(wins, losses) >= 1 - confidence:
        return Bounds(min(low, 0.0), max(high, 0.0))
    return Bounds(low, high)


def detectable(n: int, discordant: float, confidence: float, power: float = 0.8) -> float | None:
    """The smallest difference of two rates that a paired test over n items would find with this power; None where none is.

    discordant: share of the items on which the arms differ, from 0 to 1; no difference can exceed it. Solves for d
    n d^2 = (z_confidence sqrt(discordant) + z_power sqrt(discordant - d^2))^2. Miettinen (1968), Biometrics 24:339, in the form of
    Connor (1987), Biometrics 43:207. The exact test asks for a little more.
    """
    z_alpha, z_power = critical(confidence), normal_quantile(power)

    def surplus(difference: float) -> float:
        """Positive where the difference is found with more than this power."""
        spread = math.sqrt(max(discordant - difference * difference, 0.0))
        return difference * math.sqrt(n) - z_alpha * math.sqrt(discordant) - z_power * spread

    return root(surplus, 0.0, discordant) if discordant > 0 and surplus(discordant) >= 0 else None
