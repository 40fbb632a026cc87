"""A finished run's models, asked with the very prompt, the longest answer and the reading of answers that they were measured with.

    Questions(run, locked)                    texts as the items that were measured; opens base and tuned model
    Specialist(Questions(run, locked))        the tuned model, loaded once: generate, extract, classify
    ask(run, locked, text)                    base and tuned model on one text

The server asks by the same questions.
"""

from lathe.ask.questions import Answer, Questions
from lathe.ask.specialist import Asked, Specialist, ask

__all__ = ["Answer", "Asked", "Questions", "Specialist", "ask"]
