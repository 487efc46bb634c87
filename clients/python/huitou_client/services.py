"""Generated from dbt_project/models/features by `make generate`; edit those instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from huitou_client.answers import Answer, Features, Value


@dataclass(frozen=True, slots=True)
class ChatSidebarV1MemberTagsV1(Features):
    """The member's tags as intervals, present and future; parallel lists, one entry an interval
    that was not over when the member was last heard of. Readers keep those with tag_from <= now
    < tag_until. Without consent to profiling, tags that need it are not in the lists.
    """

    tags: Value[tuple[str, ...]]
    """Codes of the tag catalogue, in order of tag_from."""
    tag_from: Value[tuple[datetime, ...]]
    """First instant at which each holds."""
    tag_until: Value[tuple[datetime, ...]]
    """First instant at which each no longer holds; 9999-12-31 UTC if none is known."""
    tag_set_hash: Value[str]
    """Equal for equal tags and intervals."""


@dataclass(frozen=True, slots=True)
class ChatSidebarV1MemberOrdersV1(Features):
    """What a member bought: counts, value, breadth and habits of qualifying orders; one row a
    member, also of those who never bought. 0 means counted and none, null not computable.
    """

    last_order_at: Value[datetime]
    """Last qualifying order; null if the member never bought."""
    aov_365d_minor: Value[int]
    """net_revenue_365d_minor per order, rounded; null without orders in 365 days. Unit: minor."""


@dataclass(frozen=True, slots=True)
class ChatSidebarV1MemberCouponsV1(Features):
    """Coupons in the member's hands; one row a member, also of those who never had one."""

    open_coupons: Value[str]
    """JSON list of the coupons that work now or will, soonest to end first, at most 50: issue_id,
    role, valid_from, expires_at, value_minor, pair (state of the coupon given with it). Readers
    keep those with valid_from <= now < expires_at.
    """
    next_coupon_expiry_at: Value[datetime]
    """When the first of the open coupons ends; null without any."""
    open_retention_count: Value[int]
    """Retention coupons that work at as_of. Unit: coupons."""
    coupon_redemption_rate_365d: Value[float]
    """Share used of the coupons given in 365 days; null without any. Unit: share."""
    last_reminded_at: Value[datetime]
    """When the member was last reminded of a coupon; has no source yet."""


@dataclass(frozen=True, slots=True)
class ChatSidebarV1MemberSurveyV1(Features):
    """What the member last said, as far as it still holds; one row a member who ever answered."""

    skin_type: Value[str]
    """dry, oily, combination, normal or sensitive; null if not answered."""
    skin_states: Value[tuple[str, ...]]
    """Codes of skin states; null if not answered."""
    pains: Value[tuple[str, ...]]
    """Codes of troubles in use; null if not answered."""
    usage: Value[tuple[str, ...]]
    """Codes of habits of use; null if not answered."""
    reasons: Value[tuple[str, ...]]
    """Why the member loves, left or avoids us, such as love_reason_price; null if not answered."""
    answered_at: Value[datetime]
    """The last of the answers that hold."""
    last_surveyed_at: Value[datetime]
    """The last answer of all."""


@dataclass(frozen=True, slots=True)
class ChatSidebarV1MemberContactV1(Features):
    """Whether and how the member may be contacted. Consents are true granted, false withdrawn, null
    not stated; links, touches, quotas and holdouts have no source yet and are null.
    """

    is_reachable: Value[bool]
    """Has a channel that works; has no source yet."""
    wecom_linked: Value[bool]
    """Is a WeCom contact; has no source yet."""
    touches_7d: Value[int]
    """Touches in 7 days; has no source yet. Unit: touches."""
    promo_touches_30d: Value[int]
    """Promotional touches in 30 days; has no source yet. Unit: touches."""
    last_touch_at: Value[datetime]
    """The last touch; has no source yet."""
    last_promo_touch_at: Value[datetime]
    """The last promotional touch; has no source yet."""
    wecom_quota_left: Value[int]
    """Mass messages left this month; has no source yet. Unit: messages."""
    consent_marketing: Value[bool]
    """Consent to marketing."""
    consent_profiling: Value[bool]
    """Consent to profiling."""
    holdout_arm: Value[str]
    """Arm of the global holdout; has no source yet."""
    recent_promo_instants: Value[tuple[datetime, ...]]
    """Instants of the last promotional touches; has no source yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSidebarV1(Answer):
    """What the chat sidebar shows of the one member in front of it: tags, last order, coupons, what
    the member said, and whether contact is allowed.
    """

    service: ClassVar[str] = "chat_sidebar_v1"

    member_tags_v1: ChatSidebarV1MemberTagsV1
    member_orders_v1: ChatSidebarV1MemberOrdersV1
    member_coupons_v1: ChatSidebarV1MemberCouponsV1
    member_survey_v1: ChatSidebarV1MemberSurveyV1
    member_contact_v1: ChatSidebarV1MemberContactV1


@dataclass(frozen=True, slots=True)
class CouponEngineV1MemberCouponsV1(Features):
    """Coupons in the member's hands; one row a member, also of those who never had one."""

    open_coupons: Value[str]
    """JSON list of the coupons that work now or will, soonest to end first, at most 50: issue_id,
    role, valid_from, expires_at, value_minor, pair (state of the coupon given with it). Readers
    keep those with valid_from <= now < expires_at.
    """
    next_coupon_expiry_at: Value[datetime]
    """When the first of the open coupons ends; null without any."""
    open_retention_count: Value[int]
    """Retention coupons that work at as_of. Unit: coupons."""
    coupon_redemption_rate_365d: Value[float]
    """Share used of the coupons given in 365 days; null without any. Unit: share."""
    last_reminded_at: Value[datetime]
    """When the member was last reminded of a coupon; has no source yet."""


@dataclass(frozen=True, slots=True)
class CouponEngineV1MemberRiskV1(Features):
    """What the churn model says of the buyer; one row a scored member."""

    p_churn_90d: Value[float]
    """Chance of no purchase day in the next 90 days; null if not scored. Unit: probability."""
    churn_band: Value[str]
    """high, mid, low or unscored, by the tag catalogue."""
    p_buy_30d: Value[float]
    """Chance of a purchase day in the next 30 days. Unit: probability."""
    p_second_purchase_60d: Value[float]
    """Chance of a second purchase day in the next 60 days; of one-time buyers. Unit: probability.
    """
    expected_next_order_at: Value[datetime]
    """Median expected next purchase."""
    expected_next_order_lo: Value[datetime]
    """A quarter of such members buy before it."""
    expected_next_order_hi: Value[datetime]
    """Three quarters of such members buy before it."""
    predicted_net_365d_minor: Value[int]
    """Expected net revenue of the next 365 days. Unit: minor."""
    reasons: Value[tuple[str, ...]]
    """The weightiest reasons in words, English and Chinese."""
    basis: Value[str]
    """model, heuristic, insufficient or consent_withheld."""
    model_version: Value[str]
    """The model that scored."""
    scored_at: Value[datetime]
    """The instant the score is of."""


@dataclass(frozen=True, slots=True)
class CouponEngineV1MemberContactV1(Features):
    """Whether and how the member may be contacted. Consents are true granted, false withdrawn, null
    not stated; links, touches, quotas and holdouts have no source yet and are null.
    """

    is_reachable: Value[bool]
    """Has a channel that works; has no source yet."""
    wecom_linked: Value[bool]
    """Is a WeCom contact; has no source yet."""
    touches_7d: Value[int]
    """Touches in 7 days; has no source yet. Unit: touches."""
    promo_touches_30d: Value[int]
    """Promotional touches in 30 days; has no source yet. Unit: touches."""
    last_touch_at: Value[datetime]
    """The last touch; has no source yet."""
    last_promo_touch_at: Value[datetime]
    """The last promotional touch; has no source yet."""
    wecom_quota_left: Value[int]
    """Mass messages left this month; has no source yet. Unit: messages."""
    consent_marketing: Value[bool]
    """Consent to marketing."""
    consent_profiling: Value[bool]
    """Consent to profiling."""
    holdout_arm: Value[str]
    """Arm of the global holdout; has no source yet."""
    recent_promo_instants: Value[tuple[datetime, ...]]
    """Instants of the last promotional touches; has no source yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponEngineV1(Answer):
    """What a coupon engine decides on: coupons in hand, churn risk, and whether contact is allowed.
    Scores never raise a price or take a coupon away.
    """

    service: ClassVar[str] = "coupon_engine_v1"

    member_coupons_v1: CouponEngineV1MemberCouponsV1
    member_risk_v1: CouponEngineV1MemberRiskV1
    member_contact_v1: CouponEngineV1MemberContactV1


@dataclass(frozen=True, slots=True)
class MassSenderV1MemberTagsV1(Features):
    """The member's tags as intervals, present and future; parallel lists, one entry an interval
    that was not over when the member was last heard of. Readers keep those with tag_from <= now
    < tag_until. Without consent to profiling, tags that need it are not in the lists.
    """

    tags: Value[tuple[str, ...]]
    """Codes of the tag catalogue, in order of tag_from."""
    tag_from: Value[tuple[datetime, ...]]
    """First instant at which each holds."""
    tag_until: Value[tuple[datetime, ...]]
    """First instant at which each no longer holds; 9999-12-31 UTC if none is known."""
    tag_set_hash: Value[str]
    """Equal for equal tags and intervals."""


@dataclass(frozen=True, slots=True)
class MassSenderV1MemberContactV1(Features):
    """Whether and how the member may be contacted. Consents are true granted, false withdrawn, null
    not stated; links, touches, quotas and holdouts have no source yet and are null.
    """

    is_reachable: Value[bool]
    """Has a channel that works; has no source yet."""
    wecom_linked: Value[bool]
    """Is a WeCom contact; has no source yet."""
    touches_7d: Value[int]
    """Touches in 7 days; has no source yet. Unit: touches."""
    promo_touches_30d: Value[int]
    """Promotional touches in 30 days; has no source yet. Unit: touches."""
    last_touch_at: Value[datetime]
    """The last touch; has no source yet."""
    last_promo_touch_at: Value[datetime]
    """The last promotional touch; has no source yet."""
    wecom_quota_left: Value[int]
    """Mass messages left this month; has no source yet. Unit: messages."""
    consent_marketing: Value[bool]
    """Consent to marketing."""
    consent_profiling: Value[bool]
    """Consent to profiling."""
    holdout_arm: Value[str]
    """Arm of the global holdout; has no source yet."""
    recent_promo_instants: Value[tuple[datetime, ...]]
    """Instants of the last promotional touches; has no source yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MassSenderV1(Answer):
    """What a mass sender needs of a thousand members at a time: whom a message is for and who may
    be sent one.
    """

    service: ClassVar[str] = "mass_sender_v1"

    member_tags_v1: MassSenderV1MemberTagsV1
    member_contact_v1: MassSenderV1MemberContactV1
