"""The sentence a spec gives a feature for when it is a reason: text with places for what is known then."""

import string

PLACES = ("value", "median", "name", "contribution")
"""What a sentence may have in braces. `{window}` is replaced when the spec is read, as in names."""

MOST_CHARACTERS = 200
PATTERN = rf"^([^{{}}]|\{{({'|'.join((*PLACES, 'window'))})\}})+$"


def sentence(text: str) -> str:
    """The text if it can be told; ValueError says what is wrong with it."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text)} characters, at most {MOST_CHARACTERS} fit a decision; shorten it")
    known = ", ".join(f"{{{place}}}" for place in PLACES)
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"a brace stands alone; braces are for {known}") from error
    if "{{" in text or "}}" in text:
        raise ValueError(f"braces cannot be shown; they are for {known}")
    for _, place, form, conversion in parts:
        if place is not None and (place not in PLACES or form or conversion):
            written = place + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ValueError(f"{{{written}}} stands for nothing; use {known}")
    return text
