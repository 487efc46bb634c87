"""Reasons in words, English and Chinese, ordered by how much each moves the log-odds of churn.

A reason is one string `<sign><code>|<English>|<中文>`: `+` raises the risk, `-` lowers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.core.churn.history import Floats, Ints

TOP = 3
#: Smallest move of the log-odds worth a word.
LEAST = 0.05

#: What a phrase may name, by member: whole numbers, by name.
Facts = Mapping[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Phrase:
    """A reason's code and words; `{name}` stands for a fact of the member.

    `when` says for whom the words are true, everybody by default.
    """

    code: str
    english: str
    chinese: str
    when: Callable[[Facts], npt.NDArray[np.bool_]] | None = None


@dataclass(frozen=True)
class Reason:
    """A reason as read back from its string."""

    raises: bool
    code: str
    english: str
    chinese: str

    @classmethod
    def parse(cls, text: str) -> Reason:
        """The reason that a score's string holds."""
        code, english, chinese = text.split("|")
        return cls(code[0] == "+", code[1:], english, chinese)


def top_reasons(
    contributions: Floats, ideas: Sequence[Sequence[Phrase]], facts: Facts
) -> pa.ListArray:
    """The up to three strongest reasons of each member, strongest first.

    `contributions` has a column an idea; of an idea's phrases the first that is true is said.
    """
    strength = np.abs(contributions)
    order = np.argsort(-strength, axis=1, kind="stable")[:, :TOP]
    chosen = np.take_along_axis(strength, order, axis=1) >= LEAST
    owner, place = np.nonzero(chosen)
    idea = order[owner, place]
    texts = pa.array(np.full(len(owner), None), pa.string())
    for column in range(len(ideas)):
        mine = np.flatnonzero(idea == column)
        said = _say(ideas[column], contributions[owner[mine], column] > 0, facts, owner[mine])
        texts = pc.replace_with_mask(texts, pa.array(idea == column), said)
    offsets = np.concatenate([[0], np.cumsum(chosen.sum(1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), texts)


def _say(
    phrases: Sequence[Phrase], raises: npt.NDArray[np.bool_], facts: Facts, rows: Ints
) -> pa.Array:
    """The words for `rows`, each with its sign."""
    mine = {name: values[rows] for name, values in facts.items()}
    signs = pc.if_else(pa.array(raises), "+", "-")
    text = pa.nulls(len(rows), pa.string())
    for phrase in reversed(phrases):
        words = pc.binary_join_element_wise(
            signs,
            phrase.code + "|",
            _fill(phrase.english, mine, len(rows)),
            "|",
            _fill(phrase.chinese, mine, len(rows)),
            "",
        )
        true = np.ones(len(rows), bool) if phrase.when is None else phrase.when(mine)
        text = pc.if_else(pa.array(true), words, text)
    return text


def _fill(template: str, facts: Facts, rows: int) -> pa.Array:
    """The template with each `{name}` replaced by the member's fact."""
    parts: list[pa.Array | str] = []
    for piece in template.replace("}", "{").split("{"):
        is_fact = len(parts) % 2 == 1
        parts.append(pc.cast(pa.array(facts[piece]), pa.string()) if is_fact else piece)
    if len(parts) == 1:
        return pa.array([template] * rows, pa.string())
    return pc.binary_join_element_wise(*parts, "")
