"""What members say when asked: answers that follow from their fate, with some noise."""

from __future__ import annotations

import numpy as np

from pipelines.core.shop.buying import EXPERIENCES, PERIOD, Purchases
from pipelines.core.shop.config import Dirt
from pipelines.core.shop.coupons import SERIALS
from pipelines.core.shop.members import NEVER, REASONS, SURVEY, Members
from pipelines.core.shop.orders import Heads, lands_late
from pipelines.core.shop.questions import (
    CHOICE,
    OPEN_ANSWERS,
    QUESTION_IDS,
    QUESTIONS,
    SURVEY_IDS,
    option,
)
from pipelines.core.shop.season import DAY_MS, Season
from pipelines.core.shop.streams import Array, Lottery, Streams, between, chance
from pipelines.core.shop.tables import (
    LAND,
    MARK,
    NULL,
    NULL_NUMBER,
    Part,
    Rows,
    day_of,
    part,
    rows,
    stack,
)

WAVE_PERIODS = 6
PROFILE, AFTER_ORDER = 0, 1  # positions in SURVEY_IDS
RESPONSE_SHARE = 0.08
DELETED_SHARE = 0.005
HONEST = 0.85

_LOVES = Lottery(30, 22, 6, 12, 10, 10, 8, 1, 1)

#: What members say when they leave for a reason, by question: reason -> option.
_SAID = {
    "Q_ONCE_WHY_LEFT": {
        "no_effect": "no_effect", "price": "price", "competitor": "competitor", "forgot": "forgot",
        "no_need": "no_need", "service": "service", "quality": "quality", "logistics": "logistics",
    },
    "Q_NEVER_WHY_NOT": {
        "no_need": "need_mismatch", "price": "price", "competitor": "competitor",
        "presale_service": "presale_service",
    },
}  # fmt: skip


def _said(question: str) -> Array:
    """By reason: the option that states it, or NULL."""
    table = _SAID[question]
    return np.array([option(question, table[r]) if r in table else NULL for r in REASONS], np.int16)


SAID = {question: _said(question) for question in _SAID}
#: By the last bad experience: what a hater holds against the brand.
HELD_AGAINST = np.array(
    [NULL, *(option("Q_HATE_WHY", experience) for experience in EXPERIENCES[1:])], np.int16
)


class Voices:
    """Collects the answers of one period after the other."""

    def __init__(self, members: Members, season: Season, streams: Streams, dirt: Dirt) -> None:
        self._m, self._season, self._streams, self._dirt = members, season, streams, dirt

    def period(
        self,
        period: int,
        joined: Array,
        asked: dict[str, Array],
        heads: Heads | None,
        bought: Purchases,
    ) -> list[Part]:
        """All answers that begin in the period; `asked` is whom its wave asks, by audience."""
        parts = self._profiles(self._streams("profiles", period), joined)
        if heads is not None:
            parts += self._after_orders(self._streams("nps", period), heads, bought)
        for audience, who in asked.items():
            if len(who):
                rng = self._streams(f"wave/{audience}", period)
                parts += self._wave(rng, period, audience, who)
        if not parts:
            return []
        answers = stack(parts)
        n = len(answers[LAND])
        answers["answer_id"] = period * SERIALS + np.arange(1, n + 1)
        day = day_of(answers["answered_at"], self._season.epoch_day)
        rng = self._streams("late/survey_answers", period)
        answers[LAND], answers[MARK] = lands_late(rng, day, self._dirt.late)
        which = chance(rng, n, DELETED_SHARE)
        later = answers[LAND][which] + between(rng, 1, 10, len(which)).astype(np.int32)
        own = {
            LAND: later,
            MARK: np.zeros(len(which), np.int8),
            "is_deleted": np.ones(len(which), np.int8),
        }
        return [part(answers), part(answers, which, **own)]

    def wave_of(self, period: int) -> int:
        """The number of the wave that starts with this period, or 0."""
        due = period % WAVE_PERIODS == WAVE_PERIODS - 1
        return (period + 1) // WAVE_PERIODS if due else 0

    def audiences(self, period: int) -> dict[str, Array]:
        """Whom the wave of this period asks and who answers; nobody unless a wave is due."""
        if not self.wave_of(period):
            return {}
        m, start = self._m, period * PERIOD
        who = chance(self._streams("audiences", period), m.joined, RESPONSE_SHARE)
        who = who[(m.consents[who] & SURVEY > 0) & (m.closes[who] > start)]
        bought, silent = m.purchases[who], start - m.last[who].astype(np.int64)
        hater = m.last_bad[who] >= start - 180
        joined = self._season.midnight(start) - m.joined_at[who] > 7 * DAY_MS
        return {
            "lover": who[~hater & (bought >= 3) & (silent < 120)],
            "hater": who[hater],
            "one_and_done": who[~hater & (bought == 1) & (silent > 90)],
            "never": who[(bought == 0) & joined],
        }

    def _answers(
        self, survey: int, question: str, who: Array, at: Array, **columns: Array | int
    ) -> Rows:
        empty = {"option_codes": NULL, "number": NULL_NUMBER, "text": NULL}
        return rows(
            len(who),
            np.zeros(len(who), np.int32),
            answer_id=0,
            invite_id=NULL,
            survey_id=survey,
            version=1,
            member_id=who + 1,
            question_id=QUESTION_IDS.index(question),
            **{**empty, **columns},
            answered_at=at,
        )

    def _chosen(
        self, rng: np.random.Generator, survey: int, question: str, who: Array, at: Array,
        meant: Array | None = None,
    ) -> Rows:  # fmt: skip
        """Answers by option: the one meant, mostly, and now and then a second one."""
        asked = QUESTIONS[QUESTION_IDS.index(question)]
        n, options = len(who), len(asked.options)
        random = rng.integers(0, options, n)
        one = random
        if meant is not None:
            one = np.where((meant != NULL) & (rng.random(n) < HONEST), meant, random)
        second = (rng.random(n) < 0.35) if asked.type == "multi" else np.zeros(n, bool)
        two = np.where(second, rng.integers(0, options, n), one)
        return self._answers(survey, question, who, at, option_codes=CHOICE[question][one, two])

    def _profiles(self, rng: np.random.Generator, joined: Array) -> list[Rows]:
        """A quarter of those who join say who they are within three weeks."""
        m = self._m
        who = joined[chance(rng, len(joined), 0.25)]
        who = who[m.consents[who] & SURVEY > 0]
        if not len(who):
            return []
        at = m.joined_at[who] + between(rng, 120_000, 20 * DAY_MS, len(who))
        found = [self._chosen(rng, PROFILE, "Q_SKIN_TYPE", who, at, m.skin[who])]
        for i, question in enumerate(("Q_SKIN_STATE", "Q_PAIN", "Q_USAGE")):
            found.append(self._chosen(rng, PROFILE, question, who, at + (i + 1) * 15_000))
        freq = between(rng, 1, 14, len(who))
        return [*found, self._answers(PROFILE, "Q_USAGE_FREQ", who, at + 60_000, number=freq)]

    def _after_orders(
        self, rng: np.random.Generator, heads: Heads, bought: Purchases
    ) -> list[Rows]:
        """A score of 0 to 10 a week after one order in forty."""
        which = chance(rng, len(heads.day), 0.025)
        which = which[heads.purchase[which] != NULL]
        which = which[self._m.consents[heads.member[which]] & SURVEY > 0]
        if not len(which):
            return []
        bad = bought.bad[heads.purchase[which]] > 0
        score = _scores(rng, bad)
        at = heads.at[which] + between(rng, 2 * DAY_MS, 7 * DAY_MS, len(which))
        return [self._answers(AFTER_ORDER, "Q_NPS", heads.member[which], at, number=score)]

    def _wave(self, rng: np.random.Generator, period: int, audience: str, who: Array) -> list[Rows]:
        m = self._m
        survey = SURVEY_IDS.index(f"SV-{audience.upper()}-W{self.wave_of(period):03d}")
        day = period * PERIOD + between(rng, 0, 9, len(who))
        at = self._season.midnight(day) + between(rng, 8 * 3_600_000, 22 * 3_600_000, len(who))
        reason = m.reason[who]
        if audience == "never":
            heard = (m.kind[who] == NEVER) & (REASONS.index("never_heard") == reason)
            aware = self._chosen(rng, survey, "Q_NEVER_AWARE", who, at, np.where(heard, 0, 1))
            knows = np.flatnonzero(~heard)
            why = SAID["Q_NEVER_WHY_NOT"][reason[knows]]
            later = at[knows] + 20_000
            return [aware, self._chosen(rng, survey, "Q_NEVER_WHY_NOT", who[knows], later, why)]
        if audience == "one_and_done":
            why = SAID["Q_ONCE_WHY_LEFT"][reason]
            return [
                self._chosen(rng, survey, "Q_ONCE_WHY_BUY", who, at),
                self._chosen(rng, survey, "Q_ONCE_WHY_LEFT", who, at + 20_000, why),
            ]
        hates = audience == "hater"
        question = "Q_HATE_WHY" if hates else "Q_LOVE_WHY"
        meant = HELD_AGAINST[m.bad_kind[who]] if hates else _LOVES.draw(rng, len(who))
        score = _scores(rng, np.full(len(who), hates))
        talks = chance(rng, len(who), 0.4)
        words = between(rng, 0, len(OPEN_ANSWERS) - 1, len(talks))
        return [
            self._chosen(rng, survey, question, who, at, meant),
            self._answers(survey, "Q_NPS", who, at + 20_000, number=score),
            self._answers(survey, "Q_OPEN", who[talks], at[talks] + 60_000, text=words),
        ]


def _scores(rng: np.random.Generator, bad: Array) -> Array:
    """Willingness to recommend, 0 to 10: 0 to 6 after a bad experience, mostly 7 to 10 else."""
    n = len(bad)
    good = 7 + Lottery(12, 25, 33, 30).draw(rng, n)
    good = np.where(rng.random(n) < 0.08, between(rng, 4, 6, n), good)
    return np.where(bad, between(rng, 0, 6, n), good).astype(np.int64)
