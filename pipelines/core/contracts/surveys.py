"""Contracts of what members were asked and said: surveys, questions, answers."""

from __future__ import annotations

from pipelines.core.contracts.base import (
    Contract,
    Instant,
    SourceTable,
    Strings,
    optional,
    required,
)


class Surveys(SourceTable):
    """A version of a questionnaire."""

    survey_id: str = required("Id of the survey.")
    version: int = required("Version of its wording.")
    title_zh: str = optional("Chinese title.")
    title_en: str = optional("English title.")
    audience: str = optional(
        "Whom it asks.", one_of=("lover", "hater", "one_and_done", "never", "all")
    )
    wave: str = optional("The round it belongs to.")


class SurveyQuestions(SourceTable):
    """A question of a version of a survey."""

    survey_id: str = required("The survey it belongs to.")
    version: int = required("The version it belongs to.")
    question_id: str = required("Id of the question, stable over versions.")
    type: str = optional(
        "How it is answered.", one_of=("single", "multi", "scale", "number", "text")
    )
    options: str = optional("JSON list of {code, zh, en}.")
    maps_to_tag_group: str = optional("The tag group that its answers fill.")
    valid_days: int = optional("Days for which an answer holds.")


class SurveyAnswers(SourceTable):
    """A member's answer to one question."""

    answer_id: str = required("Id of the answer.")
    invite_id: str = optional("The invitation that it answers.")
    survey_id: str = required("The survey.")
    version: int = required("Version of the survey that was answered.")
    member_id: str = required("Who answered.", pii="pseudonym")
    question_id: str = required("The question.")
    option_codes: Strings = optional("Codes of the options chosen.", pii="opinion")
    number: float = optional("The number given, for scales and numbers.", pii="opinion")
    text: str = optional("Free text: kept in raw, never served.", pii="free_text")
    answered_at: Instant = required("When it was answered.")


CONTRACTS = (
    Contract("surveys", Surveys, ("survey_id", "version")),
    Contract("survey_questions", SurveyQuestions, ("survey_id", "version", "question_id")),
    Contract("survey_answers", SurveyAnswers, ("answer_id",), "answered_at"),
)
