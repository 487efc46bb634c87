{# Generated from tags/ by `make generate`; change the catalogue instead. #}
{% macro tag_catalogue() %}
{{ return(
{
    "activity": {
        "exclusive": false,
        "facts": "int_tag_facts_orders",
        "purpose": "",
        "after_scoring": false,
        "requires": [
            "orders"
        ],
        "params": {
            "active_days": 90
        },
        "tags": [
            {
                "code": "active.90d",
                "name_en": "Active in 90 days",
                "name_zh": "90天活躍",
                "facts": "int_tag_facts_orders",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "last_order_at"
                ],
                "rule_version": 1,
                "when": "true",
                "until": {
                    "at": "last_order_at",
                    "plus": ":active_days"
                }
            }
        ]
    },
    "churn": {
        "exclusive": true,
        "facts": "int_tag_facts_risk",
        "purpose": "profiling",
        "after_scoring": true,
        "requires": [
            "orders"
        ],
        "params": {
            "high_at": 0.66,
            "mid_at": 0.33
        },
        "tags": [
            {
                "code": "risk.churn_high",
                "name_en": "Churn risk high",
                "name_zh": "流失風險高",
                "facts": "int_tag_facts_risk",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "p_churn_90d",
                    "basis",
                    "model_version"
                ],
                "rule_version": 1,
                "when": "basis in ('model', 'heuristic') and p_churn_90d >= :high_at"
            },
            {
                "code": "risk.churn_mid",
                "name_en": "Churn risk middle",
                "name_zh": "流失風險中",
                "facts": "int_tag_facts_risk",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "p_churn_90d",
                    "basis",
                    "model_version"
                ],
                "rule_version": 1,
                "when": "basis in ('model', 'heuristic') and p_churn_90d >= :mid_at"
            },
            {
                "code": "risk.churn_low",
                "name_en": "Churn risk low",
                "name_zh": "流失風險低",
                "facts": "int_tag_facts_risk",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "p_churn_90d",
                    "basis",
                    "model_version"
                ],
                "rule_version": 1,
                "when": "basis in ('model', 'heuristic') and p_churn_90d is not null"
            },
            {
                "code": "risk.unscored",
                "name_en": "Churn risk not scored",
                "name_zh": "流失風險未評分",
                "facts": "int_tag_facts_risk",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "basis"
                ],
                "rule_version": 1
            }
        ]
    },
    "consent": {
        "exclusive": false,
        "facts": "int_consent_state",
        "purpose": "",
        "after_scoring": false,
        "requires": [
            "consents"
        ],
        "params": {},
        "tags": [
            {
                "code": "consent.no_marketing",
                "name_en": "Opted out of marketing",
                "name_zh": "拒絕營銷",
                "facts": "int_consent_state",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "purpose",
                    "state"
                ],
                "rule_version": 1,
                "when": "purpose = 'marketing' and state = 'withdrawn'"
            },
            {
                "code": "consent.no_profiling",
                "name_en": "Opted out of profiling",
                "name_zh": "拒絕個性化",
                "facts": "int_consent_state",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "purpose",
                    "state"
                ],
                "rule_version": 1,
                "when": "purpose = 'profiling' and state = 'withdrawn'"
            }
        ]
    },
    "coupon": {
        "exclusive": false,
        "facts": "int_tag_facts_coupons",
        "purpose": "",
        "after_scoring": false,
        "requires": [
            "coupon_issues"
        ],
        "params": {
            "expiring_days": 3,
            "hoarder_issued": 5,
            "hoarder_rate": 0.1,
            "lover_redeemed": 3,
            "lover_rate": 0.6
        },
        "tags": [
            {
                "code": "coupon.expiring_3d",
                "name_en": "Coupon expires in 3 days",
                "name_zh": "券3天到期",
                "facts": "int_tag_facts_coupons",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "issue_id",
                    "expires_at"
                ],
                "rule_version": 1,
                "when": "true",
                "from": {
                    "at": "expires_at",
                    "plus": "-1 * :expiring_days"
                }
            },
            {
                "code": "coupon.holds_retention",
                "name_en": "Holds a retention coupon",
                "name_zh": "持有留存券",
                "facts": "int_tag_facts_coupons",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "issue_id",
                    "expires_at"
                ],
                "rule_version": 1,
                "when": "role = 'retention'"
            },
            {
                "code": "coupon.traffic_used_retention_open",
                "name_en": "Second visit waiting",
                "name_zh": "引流券已用,留存券未用",
                "facts": "int_tag_facts_coupons",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "issue_id",
                    "pair_id",
                    "pair_redeemed_at",
                    "expires_at"
                ],
                "rule_version": 1,
                "when": "role = 'retention' and pair_redeemed_at is not null",
                "from": {
                    "at": "pair_redeemed_at"
                },
                "until": {
                    "at": "pair_reversed_at"
                }
            },
            {
                "code": "coupon.hoarder",
                "name_en": "Claims, rarely uses",
                "name_zh": "領券不用",
                "facts": "int_tag_facts_coupon_habit",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "issued_365d",
                    "redeemed_365d"
                ],
                "rule_version": 1,
                "when": "issued_365d >= :hoarder_issued and redemption_rate_365d < :hoarder_rate"
            },
            {
                "code": "coupon.lover",
                "name_en": "Uses coupons",
                "name_zh": "愛用券",
                "facts": "int_tag_facts_coupon_habit",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "issued_365d",
                    "redeemed_365d"
                ],
                "rule_version": 1,
                "when": "redeemed_365d >= :lover_redeemed and redemption_rate_365d >= :lover_rate"
            }
        ]
    },
    "lifecycle": {
        "exclusive": true,
        "facts": "int_tag_facts_lifecycle",
        "purpose": "",
        "after_scoring": false,
        "requires": [
            "orders"
        ],
        "params": {
            "first_new_days": 30,
            "one_and_done_days": 90,
            "one_and_done_cycles": 2,
            "active_cycles": 1.5,
            "cooling_cycles": 2.5,
            "lost_days": 365,
            "lost_cycles": 4,
            "cycle_default_days": 45,
            "cycle_min_days": 7,
            "cycle_max_days": 180,
            "cycle_own_from": 4,
            "cycle_shrink": 3
        },
        "tags": [
            {
                "code": "lifecycle.never_bought",
                "name_en": "Never bought",
                "name_zh": "未購買",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n"
                ],
                "rule_version": 1,
                "when": "n = 0"
            },
            {
                "code": "lifecycle.first_new",
                "name_en": "New first-time buyer",
                "name_zh": "新客首購",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date"
                ],
                "rule_version": 1,
                "when": "n = 1",
                "until": {
                    "day": "last_purchase_date",
                    "plus": ":first_new_days + 1"
                }
            },
            {
                "code": "lifecycle.first_waiting",
                "name_en": "Awaiting second purchase",
                "name_zh": "待二次購買",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date",
                    "cycle_days"
                ],
                "rule_version": 1,
                "when": "n = 1",
                "until": {
                    "day": "last_purchase_date",
                    "plus": "floor(greatest(:one_and_done_days, :one_and_done_cycles * cycle_days)) + 1"
                }
            },
            {
                "code": "lifecycle.one_and_done",
                "name_en": "One-and-done",
                "name_zh": "一次即走",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date",
                    "cycle_days"
                ],
                "rule_version": 1,
                "when": "n = 1"
            },
            {
                "code": "lifecycle.repeat_active",
                "name_en": "Active repeat buyer",
                "name_zh": "已復購活躍",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date",
                    "cycle_days"
                ],
                "rule_version": 1,
                "when": "n >= 2",
                "until": {
                    "day": "last_purchase_date",
                    "plus": "floor(:active_cycles * cycle_days) + 1"
                }
            },
            {
                "code": "lifecycle.cooling",
                "name_en": "Cooling",
                "name_zh": "即將沉睡",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date",
                    "cycle_days"
                ],
                "rule_version": 1,
                "when": "n >= 2",
                "until": {
                    "day": "last_purchase_date",
                    "plus": "floor(:cooling_cycles * cycle_days) + 1"
                }
            },
            {
                "code": "lifecycle.dormant",
                "name_en": "Dormant",
                "name_zh": "沉睡",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date",
                    "cycle_days"
                ],
                "rule_version": 1,
                "when": "n >= 2",
                "until": {
                    "day": "last_purchase_date",
                    "plus": "floor(greatest(:lost_days, :lost_cycles * cycle_days)) + 1"
                }
            },
            {
                "code": "lifecycle.lost",
                "name_en": "Lost",
                "name_zh": "流失",
                "facts": "int_tag_facts_lifecycle",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date",
                    "cycle_days"
                ],
                "rule_version": 1
            }
        ]
    },
    "research": {
        "exclusive": true,
        "facts": "int_tag_facts_research",
        "purpose": "",
        "after_scoring": false,
        "requires": [
            "orders"
        ],
        "params": {
            "hater_days": 180,
            "hater_nps": 6,
            "hater_csat": 2,
            "lover_purchase_days": 3,
            "lover_nps": 9,
            "once_days": 90,
            "once_cycles": 2,
            "joined_days": 7
        },
        "tags": [
            {
                "code": "research.hater",
                "name_en": "Dislikes us",
                "name_zh": "不愛你的人",
                "facts": "int_tag_facts_research",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "last_dislike_at",
                    "last_dislike_kind"
                ],
                "rule_version": 1,
                "when": "n >= 1 and last_dislike_at is not null",
                "until": {
                    "at": "last_dislike_at",
                    "plus": ":hater_days"
                }
            },
            {
                "code": "research.lover",
                "name_en": "Loves us",
                "name_zh": "愛你的人",
                "facts": "int_tag_facts_research",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_nps"
                ],
                "rule_version": 1,
                "when": "n >= :lover_purchase_days and last_nps >= :lover_nps"
            },
            {
                "code": "research.one_and_done",
                "name_en": "Bought once and left",
                "name_zh": "買了一次就走的人",
                "facts": "int_tag_facts_research",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "last_purchase_date",
                    "cycle_days"
                ],
                "rule_version": 1,
                "when": "n = 1",
                "from": {
                    "day": "last_purchase_date",
                    "plus": "floor(greatest(:once_days, :once_cycles * cycle_days)) + 1"
                }
            },
            {
                "code": "research.never_bought",
                "name_en": "Never bought from us",
                "name_zh": "從來沒買過的人",
                "facts": "int_tag_facts_research",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n",
                    "joined_at"
                ],
                "rule_version": 1,
                "when": "n = 0",
                "from": {
                    "at": "joined_at",
                    "plus": ":joined_days"
                }
            },
            {
                "code": "research.none",
                "name_en": "None of the four",
                "name_zh": "其他",
                "facts": "int_tag_facts_research",
                "judged_at_as_of": false,
                "evidence_fields": [
                    "n"
                ],
                "rule_version": 1
            }
        ]
    },
    "rfm": {
        "exclusive": true,
        "facts": "int_tag_facts_value",
        "purpose": "profiling",
        "after_scoring": false,
        "requires": [
            "orders"
        ],
        "params": {},
        "tags": [
            {
                "code": "rfm.important_value",
                "name_en": "Important – value",
                "name_zh": "重要價值客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1,
                "when": "is_recent and is_frequent and is_high_spend"
            },
            {
                "code": "rfm.important_grow",
                "name_en": "Important – grow",
                "name_zh": "重要發展客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1,
                "when": "is_recent and not is_frequent and is_high_spend"
            },
            {
                "code": "rfm.important_keep",
                "name_en": "Important – keep",
                "name_zh": "重要保持客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1,
                "when": "not is_recent and is_frequent and is_high_spend"
            },
            {
                "code": "rfm.important_winback",
                "name_en": "Important – win back",
                "name_zh": "重要挽留客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1,
                "when": "not is_recent and not is_frequent and is_high_spend"
            },
            {
                "code": "rfm.general_value",
                "name_en": "General – value",
                "name_zh": "一般價值客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1,
                "when": "is_recent and is_frequent and not is_high_spend"
            },
            {
                "code": "rfm.general_grow",
                "name_en": "General – grow",
                "name_zh": "一般發展客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1,
                "when": "is_recent and not is_frequent and not is_high_spend"
            },
            {
                "code": "rfm.general_keep",
                "name_en": "General – keep",
                "name_zh": "一般保持客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1,
                "when": "not is_recent and is_frequent and not is_high_spend"
            },
            {
                "code": "rfm.general_winback",
                "name_en": "General – win back",
                "name_zh": "一般挽留客戶",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "recency_days",
                    "recency_median",
                    "purchase_days_365d",
                    "frequency_median",
                    "net_365d_minor",
                    "money_median_minor"
                ],
                "rule_version": 1
            }
        ]
    },
    "value": {
        "exclusive": true,
        "facts": "int_tag_facts_value",
        "purpose": "profiling",
        "after_scoring": false,
        "requires": [
            "orders"
        ],
        "params": {
            "high_share": 0.1,
            "mid_share": 0.4
        },
        "tags": [
            {
                "code": "value.high",
                "name_en": "High value",
                "name_zh": "高價值",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "net_365d_minor",
                    "high_min_minor"
                ],
                "rule_version": 1,
                "when": "net_365d_minor > 0 and net_365d_minor >= high_min_minor"
            },
            {
                "code": "value.mid",
                "name_en": "Mid value",
                "name_zh": "中價值",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "net_365d_minor",
                    "mid_min_minor"
                ],
                "rule_version": 1,
                "when": "net_365d_minor > 0 and net_365d_minor >= mid_min_minor"
            },
            {
                "code": "value.low",
                "name_en": "Low value",
                "name_zh": "低價值",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "net_365d_minor"
                ],
                "rule_version": 1,
                "when": "net_365d_minor > 0"
            },
            {
                "code": "value.none",
                "name_en": "No value yet",
                "name_zh": "無消費",
                "facts": "int_tag_facts_value",
                "judged_at_as_of": true,
                "evidence_fields": [
                    "net_365d_minor"
                ],
                "rule_version": 1
            }
        ]
    }
}
) }}
{% endmacro %}
