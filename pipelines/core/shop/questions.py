"""The surveys: whom they ask, what, and which answers can be ticked."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from pipelines.core.shop.streams import Array
from pipelines.core.shop.tables import Rows, as_json, objects, rows

MAX_WAVES = 140


class Question(NamedTuple):
    """A question; `options` are (code, Chinese, English)."""

    question_id: str
    type: str
    tag_group: str | None
    valid_days: int
    options: tuple[tuple[str, str, str], ...] = ()


QUESTIONS = (
    Question("Q_SKIN_TYPE", "single", "skin_type", 365, (
        ("dry", "干性", "Dry"), ("oily", "油性", "Oily"), ("combination", "混合", "Combination"),
        ("normal", "中性", "Normal"), ("sensitive", "敏感", "Sensitive"))),
    Question("Q_SKIN_STATE", "multi", "skin_state", 180, (
        ("acne", "痘痘", "Acne"), ("redness", "泛红", "Redness"), ("dull", "暗沉", "Dull"),
        ("fine_lines", "细纹", "Fine lines"), ("pores", "毛孔", "Pores"))),
    Question("Q_PAIN", "multi", "pain", 180, (
        ("not_absorbed", "不吸收", "Not absorbed"), ("sticky", "黏腻", "Sticky"),
        ("stinging", "刺痛", "Stinging"), ("no_result", "没效果", "No result"),
        ("pump", "泵头不好用", "Bad pump"))),
    Question("Q_USAGE", "multi", "usage", 365, (
        ("morning", "早上用", "In the morning"), ("night", "晚上用", "At night"),
        ("travel", "出差用", "On the road"), ("family", "全家用", "Whole family"))),
    Question("Q_USAGE_FREQ", "number", "usage_freq_per_week", 180),
    Question("Q_LOVE_WHY", "multi", "love_reason", 365, (
        ("product_effect", "效果好", "It works"), ("quality", "质量好", "Quality"),
        ("look", "好看", "Looks"), ("price", "价格合适", "Price"), ("service", "服务好", "Service"),
        ("trust", "信任品牌", "Trust"), ("habit", "用习惯了", "Habit"), ("gift", "送礼", "Gift"),
        ("other", "其他", "Other"))),
    Question("Q_HATE_WHY", "multi", "hate_reason", 180, (
        ("service", "服务差", "Service"), ("product_detail", "细节不好", "Product detail"),
        ("quality", "质量差", "Quality"), ("logistics", "物流慢", "Logistics"),
        ("packaging", "包装破损", "Packaging"), ("price", "太贵", "Price"),
        ("expectation", "不符预期", "Expectation"))),
    Question("Q_ONCE_WHY_BUY", "single", "first_reason", 365, (
        ("discount", "打折", "Discount"), ("recommended", "朋友推荐", "Recommended"),
        ("live", "直播间", "Live stream"), ("curious", "好奇", "Curious"), ("gift", "送礼", "Gift"),
        ("need", "刚好需要", "Needed it"))),
    Question("Q_ONCE_WHY_LEFT", "multi", "leave_reason", 365, (
        ("no_effect", "没效果", "No effect"), ("price", "太贵", "Price"),
        ("service", "服务差", "Service"), ("quality", "质量差", "Quality"),
        ("logistics", "物流慢", "Logistics"), ("competitor", "用别家了", "Another brand"),
        ("forgot", "忘了", "Forgot"), ("no_need", "不需要了", "No need"))),
    Question("Q_NEVER_AWARE", "single", "awareness", 365, (
        ("never_heard", "没听说过", "Never heard of it"), ("heard", "听说过", "Heard of it"))),
    Question("Q_NEVER_WHY_NOT", "multi", "avoid_reason", 365, (
        ("presale_service", "售前服务", "Pre-sale service"),
        ("need_mismatch", "不需要", "Need mismatch"), ("price", "太贵", "Price"),
        ("competitor", "用别家", "Another brand"), ("other", "其他", "Other"))),
    Question("Q_NPS", "scale", "nps", 365),
    Question("Q_OPEN", "text", None, 365),
)  # fmt: skip
QUESTION_IDS = tuple(question.question_id for question in QUESTIONS)
OPEN_ANSWERS = (
    "味道很好闻，会回购",
    "包装破了，客服说“下次补”，到现在也没补",
    "面膜有点黏，\n第二天就好了",
    "价格可以再便宜点",
    "店员很耐心，给五星",
)
SURVEYS = {  # audience -> its questions; "all" is asked on joining, "nps" after an order
    "profile": ("Q_SKIN_TYPE", "Q_SKIN_STATE", "Q_PAIN", "Q_USAGE", "Q_USAGE_FREQ"),
    "nps": ("Q_NPS",),
    "lover": ("Q_LOVE_WHY", "Q_NPS", "Q_OPEN"),
    "hater": ("Q_HATE_WHY", "Q_NPS", "Q_OPEN"),
    "one_and_done": ("Q_ONCE_WHY_BUY", "Q_ONCE_WHY_LEFT"),
    "never": ("Q_NEVER_AWARE", "Q_NEVER_WHY_NOT"),
}
AUDIENCES = ("lover", "hater", "one_and_done", "never")
TITLES = {
    "profile": ("认识你的肌肤", "About your skin"),
    "nps": ("这次购物怎么样", "How was your order"),
    "lover": ("谢谢你喜欢我们", "What you love"),
    "hater": ("我们哪里做得不好", "What went wrong"),
    "one_and_done": ("好久不见", "Long time no see"),
    "never": ("认识一下", "Getting to know you"),
}
#: Survey ids by position: the two standing ones, then four a wave.
SURVEY_IDS = (
    "SV-PROFILE",
    "SV-NPS",
    *(f"SV-{a.upper()}-W{w:03d}" for w in range(1, MAX_WAVES + 1) for a in AUDIENCES),
)


def _choices() -> tuple[tuple[tuple[str, ...], ...], dict[str, Array]]:
    """Every answer that can be ticked (one option, or two), and where to find it."""
    lists: list[tuple[str, ...]] = []
    places: dict[str, Array] = {}
    for question in QUESTIONS:
        codes = [code for code, _, _ in question.options]
        place = np.zeros((len(codes), len(codes)), np.int16)
        for i, code in enumerate(codes):
            place[i, i] = len(lists)
            lists.append((code,))
        for i, j in combinations(range(len(codes)), 2):
            place[i, j] = place[j, i] = len(lists)
            lists.append((codes[i], codes[j]))
        places[question.question_id] = place
    return tuple(lists), places


#: Answers as lists of codes, and per question the position of the answer (option, option).
CHOICES, CHOICE = _choices()


def option(question: str, code: str) -> int:
    """Position of an option in its question."""
    found = QUESTIONS[QUESTION_IDS.index(question)]
    return [name for name, _, _ in found.options].index(code)


def survey_rows(kinds: tuple[str, ...], wave: int, land: int) -> tuple[Rows, Rows]:
    """The rows of `surveys` and `survey_questions` that land when those kinds are first asked."""
    surveys: dict[str, list[object]] = {}
    questions: dict[str, list[object]] = {}
    for kind in kinds:
        survey_id = f"SV-{kind.upper()}-W{wave:03d}" if wave else f"SV-{kind.upper()}"
        head = {
            "survey_id": survey_id,
            "version": 1,
            "title_zh": TITLES[kind][0],
            "title_en": TITLES[kind][1],
            "audience": kind if kind in AUDIENCES else "all",
            "wave": f"W{wave:03d}" if wave else None,
        }
        _append(surveys, head)
        for name in SURVEYS[kind]:
            asked = QUESTIONS[QUESTION_IDS.index(name)]
            choices = [{"code": c, "zh": zh, "en": en} for c, zh, en in asked.options]
            row = {
                "survey_id": survey_id,
                "version": 1,
                "question_id": name,
                "type": asked.type,
                "options": as_json(choices),
                "maps_to_tag_group": asked.tag_group,
                "valid_days": asked.valid_days,
            }
            _append(questions, row)
    return _table(surveys, land), _table(questions, land)


def _append(table: dict[str, list[object]], row: dict[str, object]) -> None:
    for name, value in row.items():
        table.setdefault(name, []).append(value)


def _table(table: dict[str, list[object]], land: int) -> Rows:
    columns = {name: objects(values) for name, values in table.items()}
    n = len(next(iter(columns.values())))
    return rows(n, np.full(n, land, np.int32), **columns)
