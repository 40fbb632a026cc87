"""Answers of an endpoint that may cost money: asked for within a budget, kept as they come, never paid for twice.

    ask = Ask(messages, form, max_new_tokens, temperature, about)
    with answers(path) as kept:
        sending = Sending(endpoint, prices, max_cost, kept, told)
        sending.obtain([ask, ...])      ->  [(ask, answer), ...], fewer where the budget does not allow more
        sending.spent()

The teacher of a recipe and the judge of answers both ask this way.
"""

from lathe.paid_answers.ask import Ask, spoken
from lathe.paid_answers.kept import Kept, answers, read
from lathe.paid_answers.sending import Sending, host_of

__all__ = ["Ask", "Kept", "Sending", "answers", "host_of", "read", "spoken"]
